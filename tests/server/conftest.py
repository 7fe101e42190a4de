"""One organisation with a token server, a clock that stands still and a few shorthands to tell stories with."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from sqlalchemy import select

from agentsim.server import (
    Activation,
    Admin,
    Assessment,
    Client,
    Confirm,
    GrantState,
    Issue,
    IssueChild,
    KeyRing,
    ManualClock,
    OAuthError,
    Operation,
    PatternMatcher,
    Policy,
    Refresh,
    Register,
    Registration,
    Revocation,
    Revoke,
    SeededSecrets,
    Server,
    SigningKey,
    Store,
    TokenGrant,
    Use,
    Verification,
    Verify,
)
from agentsim.server.audit import GENESIS, row_digest
from agentsim.server.clock import SECOND
from agentsim.server.schema import AuditChain, AuditRow, Base
from agentsim.server.store import table

# What a story asserts is told in full, like what a test does.
pytest.register_assert_rewrite("tests.server.story")

NOW = 1_700_000_000 * SECOND
TOOLS = ("file_read", "file_write", "db_query")
RESOURCES = ("github", "jira")

_Answer = TypeVar("_Answer")


class World:
    """A server, the clock that it asks, and the administrator of its organisation."""

    def __init__(
        self,
        database: Path | str | None = None,
        *,
        seed: bytes = b"test",
        now: int = NOW,
        matcher: PatternMatcher | None = None,
        **policy: Any,
    ) -> None:
        self.matcher = matcher
        self.database = database
        self.seed = seed
        self.policy = Policy(**policy)
        self.clock = ManualClock(now)
        self.admin = Admin("acme")
        self.keyring = KeyRing(SigningKey.from_seed(seed))
        self.server = self._open(SeededSecrets(seed))

    def _open(self, secrets: SeededSecrets, **others: Any) -> Server:
        return Server(
            Store(self.database, synchronous="OFF"),
            policy=self.policy,
            clock=self.clock,
            secrets=secrets,
            keyring=self.keyring,
            **({"matcher": self.matcher} | others),
        )

    def reopen(self, **others: Any) -> None:
        """What a crash leaves: the file, and a new process on it."""
        self.server.close()
        self.server = self._open(SeededSecrets(self.seed + b" again"), **others)

    def ask(self, operation: Operation, answer: type[_Answer]) -> _Answer:
        return self.server.ask(operation, answer)

    def refusal(self, operation: Operation) -> OAuthError:
        """The error that an operation must be answered with."""
        (answer,) = self.server.execute([operation])
        assert isinstance(answer, OAuthError), f"not refused: {answer}"
        return answer

    def register(self, by: Admin | None = None, **terms: Any) -> Registration:
        profile = {"agent_name": "an agent", "allowed_tools": TOOLS, "resource_access": RESOURCES}
        return self.ask(Register(by=by or self.admin, **(profile | terms)), Registration)

    def agent(self, by: Admin | None = None, **terms: Any) -> Client:
        """A registered and confirmed agent."""
        registration = self.register(by, **terms)
        self.ask(Confirm(registration_token=registration.registration_token), Activation)
        return Client(registration.client_id, registration.client_secret)

    def root(self, by: Client, task_id: str = "Code Review", **terms: Any) -> TokenGrant:
        terms.setdefault("scope", "file_read:github")
        return self.ask(Issue(by=by, task_id=task_id, **terms), TokenGrant)

    def child(self, by: Client, parent: TokenGrant, task_id: str = "Review File", **terms: Any) -> TokenGrant:
        terms.setdefault("scope", "file_read:github")
        return self.ask(
            IssueChild(by=by, parent_token=parent.access_token, task_id=task_id, **terms), TokenGrant
        )

    def chain(self, by: Client, depth: int) -> list[TokenGrant]:
        """A root and one grant below the other."""
        grants = [self.root(by, "task 0")]
        for level in range(1, depth + 1):
            grants.append(self.child(by, grants[-1], f"task {level}"))
        return grants

    def refresh(self, by: Client, grant: TokenGrant, **terms: Any) -> TokenGrant:
        assert grant.refresh_token is not None
        return self.ask(Refresh(by=by, refresh_token=grant.refresh_token, **terms), TokenGrant)

    def verify(self, grant: TokenGrant | str, **asked: Any) -> Verification:
        token = grant if isinstance(grant, str) else grant.access_token
        return self.ask(Verify(token=token, **asked), Verification)

    def why_not(self, grant: TokenGrant | str, **asked: Any) -> str | None:
        """The reason for which a token is not valid for this, or None where it is."""
        answer = self.verify(grant, **asked)
        assert answer.is_valid is (answer.error is None)
        return answer.error.reason if answer.error else None

    def revoke(
        self, grant: TokenGrant | None = None, by: Admin | Client | None = None, **terms: Any
    ) -> Revocation:
        if grant is not None:
            terms["token"] = grant.access_token
        return self.ask(Revoke(by=by or self.admin, **terms), Revocation)

    def fill(self, limit: int = 10_000) -> list[Any]:
        """Fill until nothing waits any more."""
        closed: list[Any] = []
        for _ in range(1_000):
            if not self.server.pending():
                return closed
            closed += self.server.fill(limit)
        raise AssertionError("the fill does not end")

    def rows(self, model: type[Base], **where: Any) -> list[dict[str, Any]]:
        """The rows of a table in the order of its key."""
        source = table(model)
        query = select(source).order_by(*source.primary_key.columns)
        for name, value in where.items():
            query = query.where(source.c[name] == value)
        with self.server.store.transaction() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def audit(self, **where: Any) -> list[dict[str, Any]]:
        return self.rows(AuditRow, **where)

    def check_chain(self) -> int:
        """Recompute every audit chain from its first row; returns how many rows there are."""
        heads = {head["chain"]: head for head in self.rows(AuditChain)}
        ends = dict.fromkeys(heads, (0, 0, GENESIS))
        for row in self.audit():
            length, _, previous = ends[row["chain"]]
            assert row["row_hash"] == row_digest(previous, row), f"row {row['log_id']} does not link"
            ends[row["chain"]] = (length + 1, row["log_id"], row["row_hash"])
        for chain, head in heads.items():
            assert ends[chain] == (head["length"], head["log_id"], head["row_hash"])
        return sum(head["length"] for head in heads.values())


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Most stories tell what is decided, and that is the same wherever it is kept: those take SQLite only."""
    if "new_database" in metafunc.fixturenames:
        on_both = metafunc.definition.get_closest_marker("on_both") is not None
        metafunc.parametrize(
            "new_database", ["sqlite", "postgresql"] if on_both else ["sqlite"], indirect=True
        )


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Path | str]:
    """Makes databases of one kind: SQLite files, or schemas of one PostgreSQL."""
    if request.param == "postgresql":
        new_schema: Callable[[], str] = request.getfixturevalue("new_schema")
        return new_schema
    numbers = count()
    return lambda: tmp_path / f"world-{next(numbers)}.sqlite"


@pytest.fixture
def make_world(new_database: Callable[[], Path | str]) -> Iterator[Callable[..., World]]:
    """Makes worlds, each on a database of its own, and checks every audit chain at the end."""
    made: list[World] = []

    def make(**policy: Any) -> World:
        made.append(World(new_database(), **policy))
        return made[-1]

    yield make
    for world in made:
        world.check_chain()
        world.server.close()


@pytest.fixture(scope="session")
def new_world() -> type[World]:
    """For tests that make many worlds of their own, in memory."""
    return World


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


class StrictMatcher:
    """Believes in agents of the role that it knows, for their first verification."""

    def assess(self, use: Use, state: GrantState) -> Assessment:
        match = use.role == "reviewer" and state.verifications == 0
        return Assessment(match, "normal" if match else "unusual", "low" if match else "high")


@pytest.fixture
def matcher() -> StrictMatcher:
    return StrictMatcher()


@pytest.fixture(scope="session")
def private_key() -> Ed25519PrivateKey:
    """The key of an agent that authenticates itself with one."""
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="session")
def public_jwks(private_key: Ed25519PrivateKey) -> str:
    """What such an agent registers."""
    jwk: dict[str, Any] = OKPAlgorithm.to_jwk(private_key.public_key(), as_dict=True)
    return json.dumps({"keys": [jwk | {"kid": "agent's"}]})
