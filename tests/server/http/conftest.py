"""A token server behind real HTTP, on a port of its own, with a clock that the test moves."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn

from agentsim.server import ManualClock, Policy, Server, SigningKey, Store
from agentsim.server.clock import SECOND
from agentsim.server.credentials import digest
from agentsim.server.http.app import make_app
from agentsim.server.http.observer import AccessLog
from agentsim.server.http.serving import bind
from agentsim.server.keyring import KeyRing

NOW = 1_790_000_000 * SECOND
ADMIN_TOKEN = "the-administrators-token-of-these-tests"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class Agent(NamedTuple):
    """What an agent knows of itself; as ``auth`` of a request it is HTTP Basic."""

    client_id: str
    client_secret: str


class Site:
    """One served token server and a client that talks to it."""

    def __init__(self, folder: Path, *, path: str = "", database: str | None = None, **policy: Any) -> None:
        self.clock = ManualClock(NOW)
        self.bound = bind("127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{self.bound.getsockname()[1]}"
        self.issuer = self.origin + path
        self.policy = Policy(issuer=self.issuer, **policy)
        self.log_file = folder / "access.log"
        self.database = database or f"sqlite:///{folder / 'site.sqlite'}"
        self._log = self.log_file.open("w")
        self.server: Server | None = None
        app = make_app(
            self.issuer,
            self._open,
            digest(ADMIN_TOKEN),
            clock=self.clock,
            log=AccessLog(self.clock.now, self._log),
        )
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(app, log_level="error", access_log=False, lifespan="on")
        )
        self._thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self.bound]})
        self._thread.start()
        for _ in range(1_000):
            if self._uvicorn.started or not self._thread.is_alive():
                break
            time.sleep(0.01)
        assert self._uvicorn.started, "the server did not come up"
        self.http = httpx.Client(base_url=self.issuer, timeout=30)

    def _open(self) -> Server:
        store = Store(self.database, synchronous="OFF")
        keyring = KeyRing(SigningKey.generate())
        self.server = Server(store, policy=self.policy, clock=self.clock, keyring=keyring)
        return self.server

    def close(self) -> None:
        self.http.close()
        self._uvicorn.should_exit = True
        self._thread.join()
        self.bound.close()
        self._log.close()

    @property
    def as_admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {ADMIN_TOKEN}"}

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.http.post(path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def register(self, **metadata: Any) -> dict[str, Any]:
        """An agent's registration, not confirmed yet."""
        profile = {
            "client_name": "an agent",
            "allowed_tools": ["file_read", "file_write", "db_query"],
            "resource_access": ["github", "jira"],
        }
        answer = self.post("/register", headers=self.as_admin, json=profile | metadata)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def confirm(self, registration: dict[str, Any]) -> None:
        token = registration["registration_token"]
        answer = self.post("/register/confirm", json={"registration_token": token})
        assert answer.status_code == 200, answer.text

    def agent(self, **metadata: Any) -> Agent:
        """A registered and confirmed agent."""
        registration = self.register(**metadata)
        self.confirm(registration)
        return Agent(registration["client_id"], registration.get("client_secret", ""))

    def ask(self, by: Agent | None, **form: Any) -> httpx.Response:
        """A request of the token endpoint."""
        return self.post("/token", auth=by, data=form)

    def root(self, by: Agent, **form: Any) -> dict[str, Any]:
        """A root token."""
        terms = {"grant_type": "client_credentials", "scope": "file_read:github", "task_id": "Code Review"}
        return self._granted(self.ask(by, **(terms | form)))

    def child(self, by: Agent, parent: dict[str, Any], **form: Any) -> dict[str, Any]:
        """A child token, by token exchange."""
        terms = {
            "grant_type": EXCHANGE,
            "subject_token": parent["access_token"],
            "subject_token_type": ACCESS_TOKEN,
            "scope": "file_read:github",
            "task_id": "Review File",
        }
        return self._granted(self.ask(by, **(terms | form)))

    def refresh(self, by: Agent, grant: dict[str, Any], **form: Any) -> httpx.Response:
        return self.ask(by, grant_type="refresh_token", refresh_token=grant["refresh_token"], **form)

    def is_active(self, token: str) -> bool:
        """What introspection says to the administrator."""
        answer = self.post("/introspect", headers=self.as_admin, data={"token": token})
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["active"])

    def audit(self, **query: Any) -> list[dict[str, Any]]:
        """The audit trail, newest first."""
        answer = self.get("/admin/audit", headers=self.as_admin, params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["audit"])

    def refusals_at_the_door(self, endpoint: str, reason: str) -> int:
        """How many requests were refused before they became operations; they are written down twice a second."""
        for _ in range(100):
            rows = self.audit(event_type="request_refused", limit=1000)
            found = [
                row["details"]["count"]
                for row in rows
                if (row["details"]["endpoint"], row["reason"]) == (endpoint, reason)
            ]
            if found:
                return sum(found)
            time.sleep(0.05)
        return 0

    @staticmethod
    def _granted(answer: httpx.Response) -> dict[str, Any]:
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites; they are shut down at the end of the test."""
    made: list[Site] = []

    def make(**options: Any) -> Site:
        folder = tmp_path / f"site-{len(made)}"
        folder.mkdir()
        made.append(Site(folder, **options))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for the stories of a file, under the file's ``POLICY``; agents, tasks and tokens are each story's own."""
    made = Site(tmp_path_factory.mktemp("site"), **getattr(request.module, "POLICY", {}))
    yield made
    made.close()
