"""What all rooms' tests share: served token servers, a PostgreSQL, a headless Chromium."""

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest
import uvicorn
from hypothesis import HealthCheck, settings
from sqlalchemy import NullPool, create_engine, make_url, text

from agentsim.server import Assessment, GrantState, ManualClock, Policy, Server, SigningKey, Store, Use
from agentsim.server.clock import SECOND
from agentsim.server.credentials import digest
from agentsim.server.http.app import make_app
from agentsim.server.http.observer import AccessLog
from agentsim.server.http.serving import bind
from agentsim.server.keyring import KeyRing

# What a shell begins in its background ignores interrupts, and so does all that is begun there; a process that has a
# handler of its own begins others that heed them. Stories of Ctrl-C need those.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time, and none is timed. ``--hypothesis-profile soak`` makes up others, and more of them.
settings.register_profile(
    "usual",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=1_000)
settings.load_profile("usual")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: whoever is given one last works on alone while the others have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


ROOT = Path(__file__).parents[1]
ADMIN_TOKEN = "the-administrators-token-of-these-tests"
#: Nothing but what it is asked for: no look-ups of its own, no updates.
_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Served:
    """``agentsim serve`` as a process of its own in a folder of its own, and how its administrator talks to it.

    ``variables`` are of the environment; None takes one away.
    """

    def __init__(self, folder: Path, *arguments: object, **variables: str | None) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self._out, self._err = folder / "out", folder / "err"
        wanted = {"AGENTSIM_ADMIN_TOKEN": ADMIN_TOKEN, "PYTHONPATH": str(ROOT), **variables}
        environment = {name: value for name, value in (os.environ | wanted).items() if value is not None}
        command = [sys.executable, "-m", "agentsim.cli", "serve", "--port", "0", *map(str, arguments)]
        with self._out.open("w") as out, self._err.open("w") as err:
            # A session of its own: its signals come from the tests, not from the keyboard.
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=out, stderr=err, start_new_session=True
            )
        told = self._told()
        self.issuer = told["Serving"]
        self.http = httpx.Client(base_url=told.get("Address", self.issuer), timeout=30, trust_env=False)
        self.as_admin = {"Authorization": f"Bearer {ADMIN_TOKEN}"}

    def _told(self) -> dict[str, str]:
        """What it says once it serves: a word and its value on each line."""
        for _ in range(1_200):
            told = dict(line.split(maxsplit=1) for line in self.out.splitlines() if line[:1].isupper())
            if "Keys" in told:
                return told
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"it does not serve: {self.err}")

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The access log: all that it writes to standard error."""
        # Not by splitlines: a path may hold what Unicode takes for the end of a line.
        return [json.loads(line) for line in self.err.split("\n") if line]

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.http.post(path, **options)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def agent(self, **metadata: Any) -> tuple[str, str]:
        """Id and secret of a registered and confirmed agent."""
        profile = {
            "client_name": "an agent",
            "allowed_tools": ["file_read", "file_write"],
            "resource_access": ["github", "jira"],
        }
        answer = self.post("/register", headers=self.as_admin, json=profile | metadata)
        assert answer.status_code == 201, answer.text
        made = answer.json()
        confirmed = self.post("/register/confirm", json={"registration_token": made["registration_token"]})
        assert confirmed.status_code == 200, confirmed.text
        return made["client_id"], made.get("client_secret", "")

    def root(self, by: tuple[str, str], **form: Any) -> dict[str, Any]:
        """A root token."""
        terms = {"grant_type": "client_credentials", "scope": "file_read:github", "task_id": "Code Review"}
        answer = self.post("/token", auth=by, data=terms | form)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def is_active(self, token: str) -> bool:
        """What introspection says to the administrator."""
        answer = self.post("/introspect", headers=self.as_admin, data={"token": token})
        assert answer.status_code == 200, answer.text
        return bool(answer.json()["active"])

    def stop(self, by: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit status."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(60)

    def close(self) -> None:
        """End it, whatever state it is in."""
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts served instances, by default all in one folder, so on one database with the same keys."""
    made: list[Served] = []

    def start(*arguments: object, folder: Path | None = None, **variables: str | None) -> Served:
        made.append(Served(folder or tmp_path, *arguments, **variables))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One served instance for the stories of a file; agents, tasks and tokens are each story's own."""
    made = Served(tmp_path_factory.mktemp("served"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def traces_folder() -> Path:
    """The folder of real agent traces: ``AGENTSIM_TRACES``, or beside the repository."""
    folder = Path(os.environ.get("AGENTSIM_TRACES", ROOT / "../shared/data/agent-traces"))
    if not folder.is_dir():
        pytest.skip(f"no real traces at {folder}; set AGENTSIM_TRACES")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL: ``AGENTSIM_TEST_POSTGRES``, or one of the tests' own (one for each test process)."""
    if named := os.environ.get("AGENTSIM_TEST_POSTGRES"):
        yield named
        return
    # A session of its own: an interrupt from the keyboard is for the tests, and reaches it as the end of its input.
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("postgres.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    if url := server.stdout.readline().strip():
        yield url
        _, errors = server.communicate()
        assert server.returncode == 0, errors
    else:
        _, errors = server.communicate()
        pytest.skip(f"no PostgreSQL: {errors.strip()}")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Fills a folder that several files read, once for all test processes: the first to ask does it, others wait for it."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = common / name
        with (common / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "filled").exists():
                # What somebody else has begun and not finished is no beginning.
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                (folder / "filled").touch()
        return folder

    return make


@pytest.fixture
def found_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned processes find the functions of a story where the story does."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture(scope="module")
def new_schema(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes empty schemas in the PostgreSQL, each with a URL of its own.

    They are dropped once the file's stories are over, so after every server of theirs has ended: dropping the tables of
    one that still runs may be the other half of a deadlock.
    """
    made: list[str] = []
    url = make_url(postgres).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)

    def make() -> str:
        made.append(f"world_{uuid4().hex}")
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {made[-1]}"))
        own = url.update_query_dict({"options": f"-csearch_path={made[-1]}"})
        return own.render_as_string(hide_password=False)

    yield make
    for schema in made:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


NOW = 1_790_000_000 * SECOND
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class ByTool:
    """A matcher that finds some tools strange, whoever uses them; what it wants done about each it is told."""

    def __init__(self, **actions: Any) -> None:
        self.actions = actions

    def assess(self, use: Use, state: GrantState) -> Assessment:
        for tool in use.event.details["tools"] if use.event else state.tools:
            if tool in self.actions:
                return Assessment(False, "unusual", "high", 3.25, (f"{tool} is strange",), self.actions[tool])
        return Assessment(True, "normal", "low")


class Agent(NamedTuple):
    """What an agent knows of itself; as ``auth`` of a request it is HTTP Basic."""

    client_id: str
    client_secret: str


class Site:
    """One served token server and a client that talks to it."""

    def __init__(
        self,
        folder: Path,
        *,
        path: str = "",
        database: str | None = None,
        matcher: Any = None,
        watcher: Any = None,
        **policy: Any,
    ) -> None:
        self._matcher = matcher
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
            watcher=watcher,
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
        self.server = Server(
            store, policy=self.policy, clock=self.clock, keyring=keyring, matcher=self._matcher
        )
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


@pytest.fixture(scope="session")
def by_tool() -> type[ByTool]:
    """Makes matchers that act on tools by name."""
    return ByTool


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where the machine's Chromium is; whoever has much to make for it asks for this first."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the PATH")
    return found


# Of each file, not of the session: while it is there its event loop runs in this thread, and others want theirs.
@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=_CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page in a browser of its own, without scripts unless they are asked for."""
    opened: list[Any] = []

    def make(width: int = 1280, scheme: str = "light", *, scripts: bool = False) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            # Of the pages, not of what looks at them.
            bypass_csp=scripts,
        )
        opened.append(context)
        return context.new_page()

    yield make
    for context in opened:
        context.close()


@pytest.fixture(scope="session")
def violations() -> Callable[[Any], list[dict[str, Any]]]:
    """What axe-core finds in a page that is open: rule, impact, and the HTML of the place."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python, which carries axe-core, is not installed")
    source = next(Path(found.origin).parent.glob("axe.min.js")).read_text()

    def look(page: Any) -> list[dict[str, Any]]:
        page.evaluate(source)
        return [
            {"rule": each["id"], "impact": each["impact"], "html": node["html"]}
            for each in page.evaluate("axe.run()")["violations"]
            for node in each["nodes"]
        ]

    return look
