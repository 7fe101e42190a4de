"""Talking to a token server over HTTP, as its administrator and its agents do."""

import time
from typing import Any, NamedTuple

import httpx

ADMIN_TOKEN = "the-administrators-token-of-these-tests"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class Agent(NamedTuple):
    """What an agent knows of itself; as ``auth`` of a request it is HTTP Basic."""

    client_id: str
    client_secret: str


class Caller:
    """Whoever can reach a token server. What answers with a response may be refused; what answers otherwise must not."""

    http: httpx.Client
    admin_token = ADMIN_TOKEN

    @property
    def as_admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.admin_token}"}

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
