"""The state that one batch is decided on: what was loaded, what earlier operations of it did, what to write.

Decisions read and change a :class:`Batch` and do no I/O. A later operation sees what an earlier one did because
both work on the same rows; the writer takes ``inserts``, ``consumed`` and ``confirmed`` from it at the end.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agentsim.server.audit import Entry, Trail
from agentsim.server.claims import Claims
from agentsim.server.credentials import Secrets
from agentsim.server.history import GrantState
from agentsim.server.ids import IdGenerator
from agentsim.server.ledger import Budget, Ledger
from agentsim.server.limits import Draft
from agentsim.server.lineage import Lineage
from agentsim.server.marks import MarkIndex
from agentsim.server.operations.ends import Grounds
from agentsim.server.policy import Policy
from agentsim.server.tokens import TokenCodec
from agentsim.server.watch import Action, PatternMatcher

#: A row of a table, by column name.
Row = dict[str, Any]

#: How many previous tasks and execution logs are told at most.
MOST_HISTORY = 10


@dataclass(slots=True)
class Loaded:
    """The rows that a batch needs."""

    agents: dict[int, Row] = field(default_factory=dict)
    tokens: dict[int, Row] = field(default_factory=dict)
    grants: dict[int, GrantState] = field(default_factory=dict)
    #: The grants whose state the database has.
    stored: set[int] = field(default_factory=set)
    #: (grant_id, task_id) of the newest grants of a client in the trees of an owner, newest first.
    tasks: dict[tuple[int, str], list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    #: A grant's newest audit rows, newest first.
    logs: dict[int, list[Row]] = field(default_factory=lambda: defaultdict(list))
    #: Keys of client assertions that have been used.
    assertions: set[bytes] = field(default_factory=set)
    #: Codes that people's consent has made.
    codes: dict[int, Row] = field(default_factory=dict)
    #: Budgets of grants, and of the roots of those that share a pool.
    ledger: Ledger = field(default_factory=Ledger)


@dataclass(slots=True, kw_only=True)
class Batch:
    """Everything a decision may use."""

    policy: Policy
    codec: TokenCodec
    secrets: Secrets
    ids: IdGenerator
    matcher: PatternMatcher | None
    #: Marks that were committed before this batch, and those that it makes.
    old_marks: MarkIndex
    loaded: Loaded
    trail: Trail
    #: What may still be asked, and the clients that have authenticated themselves or whose token was good, by id.
    buckets: Draft
    met: dict[int, Row] = field(default_factory=dict)
    #: The role of an agent that an earlier batch has met.
    remembered_role: Callable[[int], str | None] = field(default=lambda _: None)
    new_marks: MarkIndex = field(default_factory=MarkIndex)
    inserts: dict[str, list[Row]] = field(
        default_factory=lambda: {
            "agents": [],
            "issued_tokens": [],
            "revocations": [],
            "used_assertions": [],
            "authorization_codes": [],
        }
    )
    #: (client_id, confirmed_at) and (token_id, consumed_at): conditional updates.
    confirmed: list[tuple[int, int]] = field(default_factory=list)
    consumed: list[tuple[int, int]] = field(default_factory=list)
    #: (code_id, consumed_at, grant_id): the same.
    redeemed: list[tuple[int, int, int]] = field(default_factory=list)
    #: What a matcher wants done beyond refusals, in the order of the uses.
    actions: list[Action] = field(default_factory=list)
    changed_grants: set[int] = field(default_factory=set)
    changed_agents: set[int] = field(default_factory=set)
    #: Task ids from the root down of grants that this batch has issued or refreshed.
    task_chains: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def grant_state(self, grant_id: int) -> GrantState:
        """A grant's state, to be read."""
        return self.loaded.grants.get(grant_id) or GrantState()

    def change_grant(self, grant_id: int) -> GrantState:
        """A grant's state, to be changed; it will be written."""
        self.changed_grants.add(grant_id)
        return self.loaded.grants.setdefault(grant_id, GrantState())

    def role(self, client_id: int) -> str:
        """The role of the agent of a token that is verified or introspected, where a matcher is at work."""
        agent = self.loaded.agents.get(client_id)
        known = self.remembered_role(client_id) if agent is None else agent["role"]
        return known or ""

    def first_issue(self, grant_id: int | None) -> Row | None:
        """The row of a grant's first token, where there is such a grant."""
        row = None if grant_id is None else self.loaded.tokens.get(grant_id)
        return row if row is not None and row["grant_id"] == grant_id else None

    def budget(self, grant_id: int) -> Budget:
        """The budget of a grant whose token says that it has one."""
        return self.loaded.ledger.budgets[grant_id]

    def change_agent(self, row: Row) -> None:
        """Let an agent be as this row says."""
        self.loaded.agents[row["client_id"]] = row
        self.changed_agents.add(row["client_id"])

    def use_assertion(self, key: bytes, expires_at: int) -> bool:
        """Use a client assertion up; False where it has been used before."""
        if key in self.loaded.assertions:
            return False
        self.loaded.assertions.add(key)
        self.inserts["used_assertions"].append({"assertion_key": key, "expires_at": expires_at})
        return True

    def ended_by(self, lineage: Lineage, owner: str, principal: str) -> int | None:
        """The revocation that ended a grant, or None while it is active."""
        ended = self.old_marks.ended_by(lineage, owner, principal)
        if ended is None and self.new_marks.newest:
            ended = self.new_marks.ended_by(lineage, owner, principal)
        return ended

    def mark(self, kind: str, key: int) -> tuple[int, str] | None:
        """The (revocation_id, reason) that stands against a key."""
        return self.new_marks.by_kind[kind].get(key) or self.old_marks.by_kind[kind].get(key)

    def task_status(self, key: int) -> str:
        """``active``, ``completed`` or ``terminated``."""
        status = self.old_marks.task_status(key)
        return self.new_marks.task_status(key) if status == "active" else status

    def add_mark(self, row: Row) -> None:
        """Make a mark; it counts from the next operation on."""
        self.new_marks.add(row)
        self.inserts["revocations"].append(row)

    def add_token(self, row: Row) -> None:
        """Add an issued token."""
        self.inserts["issued_tokens"].append(row)
        self.loaded.tokens[row["token_id"]] = row
        if row["token_id"] == row["grant_id"]:
            self.loaded.tasks[row["client_id"], row["owner"]].insert(0, (row["grant_id"], row["task_id"]))

    def previous_tasks(self, claims: Claims) -> list[str]:
        """Task ids of the client's newest grants but this one, newest first; of this token's owner alone."""
        newest = self.loaded.tasks[claims.client_id, claims.owner]
        tasks = [task for grant, task in newest if grant != claims.grant_id]
        return tasks[:MOST_HISTORY]

    def logs(self, grant_id: int) -> list[Row]:
        """The newest audit rows of a grant, newest first."""
        return (self.trail.of_grant(grant_id) + self.loaded.logs[grant_id])[:MOST_HISTORY]


def about_grant(entry: Entry, claims: Claims) -> None:
    """Let an audit row name the token that was presented and its grant."""
    entry.client_id = claims.client_id
    entry.token_id = claims.token_id
    entry.grant_id = claims.grant_id
    entry.parent_grant_id = claims.parent_grant_id
    entry.root_grant_id = claims.root_grant_id
    entry.task_id = claims.task_id
    entry.parent_task_id = claims.parent_task_id


def about_first_issue(entry: Entry, row: Row) -> None:
    """Let an audit row name the grant that an id was given of."""
    entry.client_id, entry.grant_id = row["client_id"], row["grant_id"]
    entry.parent_grant_id, entry.root_grant_id = row["parent_grant_id"], row["root_grant_id"]
    entry.task_id, entry.parent_task_id = row["task_id"], row["parent_task_id"]


def told_grounds(grounds: Grounds) -> dict[str, Any]:
    """What an audit row says of why something was done: the score to four places, three reasons at most."""
    return {
        "action": grounds.action[:80],
        "score": round(float(grounds.score), 4),
        "reasons": [reason[:160] for reason in grounds.reasons[:3]],
    }
