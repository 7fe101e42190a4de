"""Two ways to ask a token server the same operations: ``execute`` itself, and HTTP by a client.

Both answer in the same words: ``reason`` where something was refused, and what an answer holds otherwise. Both let the
audit trail be read as the database has it.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from agentsim.server import (
    Admin,
    Confirm,
    Disable,
    Enable,
    Introspect,
    Introspection,
    Issue,
    IssueChild,
    OAuthError,
    Operation,
    Policy,
    Refresh,
    Register,
    Registration,
    Revoke,
    Server,
    TokenGrant,
    Verification,
    Verify,
)
from agentsim.server.audit import GENESIS, row_digest
from agentsim.server.metadata import TOKEN_EXCHANGE
from agentsim.server.operations.notes import NoteKeyRotation
from agentsim.server.schema import AuditChain, AuditRow
from agentsim.server.store import rows_of, table

ADMIN = Admin("admin", everywhere=True)
#: What is written down without having been asked for.
UNASKED = ("token_ended", "budget_returned", "cleaned_up")
Answer = dict[str, Any]


class AuditReader:
    """Reads a chain on from where it was, and holds each row against the one before it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._end, self._length = (0, GENESIS), 0

    def asked(self) -> list[int]:
        """The rows since the last time that were asked for; all there are must link, and the head be the last."""
        audit, chains = table(AuditRow), table(AuditChain)
        with self._server.store.transaction() as connection:
            newer = select(audit).where(audit.c.log_id > self._end[0]).order_by(audit.c.log_id)
            rows, heads = rows_of(connection, newer), rows_of(connection, select(chains))
        for row in rows:
            assert row["row_hash"] == row_digest(self._end[1], row), f"row {row['log_id']} does not link"
            self._end, self._length = (row["log_id"], row["row_hash"]), self._length + 1
        for head in heads:
            assert (head["log_id"], head["row_hash"], head["length"]) == (*self._end, self._length)
        return [row["log_id"] for row in rows if row["event_type"] not in UNASKED]


class Core:
    """``execute``, however operations are cut into batches."""

    #: On whose behalf an agent may say that it acts; None: its owner.
    principals: tuple[str | None, ...] = (None, "alice", "bob")
    #: Whether rows are filled in, and budgets flow back, without being told to.
    eager = False

    def __init__(self, world: Any) -> None:
        self.clock, self.server = world.clock, world.server
        self.audit = AuditReader(self.server)

    def ask(self, operations: Sequence[Operation], times: Sequence[int]) -> list[Answer]:
        answers = self.server.execute(operations, at=times)
        # Each has the row that it says it has.
        assert self.audit.asked() == [answer.log_id for answer in answers]
        return [_plain(answer) for answer in answers]

    def verify_all(self, operations: Sequence[Verify]) -> list[Answer]:
        return self.ask(operations, [self.clock.now()] * len(operations))

    def rotate_key(self) -> None:
        key = self.server.rotate_key("EdDSA")
        self.ask([NoteKeyRotation(by=ADMIN, kid=key.kid, alg=key.alg)], [self.clock.now()])

    def change_policy(self, policy: Policy) -> int:
        """How many rows it must have written."""
        before = self.server.policy.digest
        return int(self.server.change_policy(policy, ADMIN).digest != before)

    def settle(self, chunk: int = 1_000) -> None:
        """Fill in rows and let budgets flow back until nothing waits."""
        for _ in range(10_000):
            if not self.server.pending():
                return
            self.server.fill(chunk)
        raise AssertionError("the fill does not end")

    def close(self) -> None:
        self.server.close()


class Http(Core):
    """A served server and a client; each request is a batch, unless it comes with many questions."""

    principals = (None,)
    eager = True

    def __init__(self, site: Any) -> None:
        self.site = site
        super().__init__(site)

    def ask(self, operations: Sequence[Operation], times: Sequence[int]) -> list[Answer]:
        assert set(times) == {self.clock.now()}, "time goes on for everybody"
        answers = [self._send(operation) for operation in operations]
        assert len(self.audit.asked()) == len(operations)
        return answers

    def verify_all(self, operations: Sequence[Verify]) -> list[Answer]:
        asked = [{"token": each.token} for each in operations]
        replied = self.site.post("/verify", headers=self.site.as_admin, json={"requests": asked})
        assert replied.status_code == 200, replied.text
        assert len(self.audit.asked()) == len(operations)
        return [_answer_of(members) for members in replied.json()["responses"]]

    def rotate_key(self) -> None:
        assert self._json("/admin/keys", {"alg": "EdDSA"}).status_code == 201
        assert len(self.audit.asked()) == 1

    def change_policy(self, policy: Policy) -> int:
        # As the watch over its file does; that looks twice a second only, and has stories of its own.
        return super().change_policy(policy.model_copy(update={"issuer": self.site.issuer}))

    def close(self) -> None:
        self.site.close()

    def _send(self, operation: Operation) -> Answer:
        replied = self._request(operation)
        assert replied.status_code < 500, replied.text
        members = replied.json() if replied.content else {}
        assert replied.is_success is ("error" not in members or "is_valid" in members), replied.text
        return _answer_of(members)

    def _json(self, path: str, members: dict[str, Any]) -> Any:
        given = {name: value for name, value in members.items() if value is not None}
        return self.site.post(path, headers=self.site.as_admin, json=given)

    def _form(self, path: str, by: Any, **members: Any) -> Any:
        given = {name: value for name, value in members.items() if value is not None}
        if isinstance(by, Admin):
            return self.site.post(path, headers=self.site.as_admin, data=given)
        return self.site.post(path, auth=(by.client_id, by.client_secret), data=given)

    def _request(self, asked: Operation) -> Any:
        match asked:
            case Register():
                members = ("allowed_tools", "resource_access", "max_scope_level", "owner")
                profile = {name: getattr(asked, name) for name in members}
                return self._json("/register", {"client_name": asked.agent_name, **profile})
            case Confirm():
                return self._json("/register/confirm", {"registration_token": asked.registration_token})
            case Disable() | Enable():
                what = type(asked).__name__.lower()
                return self._json(f"/admin/agents/{asked.client_id}/{what}", {})
            case Issue():
                return self._form("/token", asked.by, grant_type="client_credentials", **_terms(asked))
            case IssueChild():
                return self._form(
                    "/token",
                    asked.by,
                    grant_type=TOKEN_EXCHANGE,
                    subject_token=asked.parent_token,
                    subject_token_type="urn:ietf:params:oauth:token-type:access_token",
                    scope_inheritance=asked.scope_inheritance,
                    **_terms(asked),
                )
            case Refresh():
                form = {"refresh_token": asked.refresh_token, "scope": asked.scope}
                return self._form("/token", asked.by, grant_type="refresh_token", **form)
            case Verify():
                use = {"scope": asked.scope, "required_tools": list(asked.required_tools)}
                return self._json("/verify", {"token": asked.token, **use})
            case Introspect():
                return self._form("/introspect", asked.by, token=asked.token)
            case Revoke(by=Admin()):
                names = ("token", "task_id", "client_id", "principal", "owner", "cascade")
                return self._json("/admin/revocations", {name: getattr(asked, name) for name in names})
            case Revoke():
                return self._form("/revoke", asked.by, token=asked.token)
        raise AssertionError(f"no request for {asked}")


def _terms(asked: Issue | IssueChild) -> dict[str, Any]:
    names = ("task_id", "scope", "scope_level", "budget")
    return {name: getattr(asked, name) for name in names}


def _answer_of(members: dict[str, Any]) -> Answer:
    """What a reply holds, in the words of the other driver."""
    names = {
        "access_token": "access",
        "refresh_token": "refresh",
        "client_secret": "secret",
        "budget_left": "left",
    }
    return {"reason": None} | {names.get(name, name): value for name, value in members.items()}


def _plain(answer: Any) -> Answer:
    match answer:
        case OAuthError():
            return {"reason": answer.reason}
        case Registration():
            told = {"client_id": answer.client_id, "secret": answer.client_secret}
            return {"reason": None, "registration_token": answer.registration_token, **told}
        case TokenGrant():
            told = {"access": answer.access_token, "refresh": answer.refresh_token}
            return {"reason": None, "scope": answer.scope, "expires_in": answer.expires_in, **told}
        case Verification():
            reason = answer.error.reason if answer.error else None
            assert answer.is_valid is (reason is None)
            return {"reason": reason, "left": answer.budget_left}
        case Introspection(active=True):
            return {"reason": None, "active": True, "exp": answer.exp, "scope": answer.scope}
        case Introspection():
            return {"reason": None, "active": False}
    return {"reason": None}
