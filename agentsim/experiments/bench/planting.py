"""A large tree, planted fast: its rows are those that the server would have written, and a few of its tokens are signed.

A million requests take minutes and show nothing of a revocation. So what is decided is left out, and minting, packing,
auditing and writing are the server's own; a signature is made only for the tokens that will be shown to somebody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import time_ns

import numpy as np
from sqlalchemy import select
from tqdm.auto import tqdm

from agentsim.experiments.bench.requests import OWNER, RESOURCES, SCOPE, TOOLS, AgentCredentials
from agentsim.server import KeyRing, Policy, Store
from agentsim.server.audit import Entry, Trail
from agentsim.server.batch import Batch, Loaded, Row
from agentsim.server.claims import Claims
from agentsim.server.credentials import SystemSecrets, parse_client_name
from agentsim.server.history import GrantState
from agentsim.server.ids import IdGenerator
from agentsim.server.limits import Buckets
from agentsim.server.lineage import task_key
from agentsim.server.marks import MarkIndex
from agentsim.server.minting import give, make_claims, whole_second
from agentsim.server.schema import Agent
from agentsim.server.store import rows_of, table
from agentsim.server.terms import Terms
from agentsim.server.tokens import TokenCodec

#: Grants of one chain below the root of the shape ``chains``: a policy must let them be so deep.
CHAIN = 16
#: By shape, the parent of the grant of a number; the root is number 0.
SHAPES: dict[str, Callable[[int], int]] = {
    "star": lambda _number: 0,
    "chains": lambda number: number - 1 if (number - 1) % CHAIN else 0,
    "4-ary": lambda number: (number - 1) // 4,
}
_BATCH = 5_000
_TERMS = Terms(
    scope=SCOPE,
    tools=TOOLS[0],
    resources=RESOURCES[0],
    level="restricted",
    audience=(),
    may_act=None,
    authorization_details=False,
)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A tree in the database.

    Attributes
    ----------
    root, root_grant_id : the root's access token, and its grant.
    probes : access tokens of grants all over the tree, the last one and some of its ancestors among them.
    """

    root: str
    root_grant_id: int
    probes: list[str]


def plant(
    store: Store,
    policy: Policy,
    keyring: KeyRing,
    agents: list[AgentCredentials],
    *,
    shape: str,
    grants: int,
    probes: int = 40,
    progress: bool = False,
) -> Planted:
    """Plant one tree; a server that is opened afterwards goes on from there.

    Parameters
    ----------
    store : of a database in which these agents are registered.
    policy, keyring : what the tokens are minted under.
    agents : the tree's grants are theirs in turn.
    shape : one of :data:`SHAPES`.
    grants : how many, the root included.
    probes : how many grants, evenly over the tree, have a signed token.
    """
    return _Planter(store, policy, keyring, agents).plant(shape, grants, probes, progress)


class _Signer(TokenCodec):
    """Signs what is wanted; of other tokens there is only the row."""

    def __init__(self, policy: Policy, keyring: KeyRing) -> None:
        super().__init__(policy.issuer, policy.audiences, keyring)
        self.wanted = False

    def encode(self, claims: Claims) -> str:
        return super().encode(claims) if self.wanted else f"unsigned {claims.token_id}"


class _Planter:
    def __init__(
        self, store: Store, policy: Policy, keyring: KeyRing, agents: list[AgentCredentials]
    ) -> None:
        self._store = store
        self._policy = policy
        self._codec = _Signer(policy, keyring)
        with store.transaction() as connection:
            rows = {row["client_id"]: row for row in rows_of(connection, select(table(Agent)))}
        self._agents: list[Row] = [rows[parse_client_name(agent.client_id) or 0] for agent in agents]
        self._head = store.head(0)
        self._ids = IdGenerator(0, last=self._head.log_id)
        self._states: dict[int, GrantState] = {}
        self._stored: set[int] = set()
        #: Grants without a child, or whose last one has been planted: their state is not needed any more.
        self._complete: list[int] = []

    def plant(self, shape: str, grants: int, probes: int, progress: bool) -> Planted:
        parent_of = SHAPES[shape]
        signed = set(np.linspace(0, grants - 1, num=min(probes, grants), dtype=int).tolist())
        last_child = np.zeros(grants, dtype=np.int64)
        for number in range(1, grants):
            last_child[parent_of(number)] = number
        #: Parents of which children are still to come.
        kept: dict[int, Claims] = {}
        tokens: list[str] = []
        with tqdm(
            total=grants, unit="grant", disable=not progress, desc=f"plant {shape}", leave=False
        ) as bar:
            for start in range(0, grants, _BATCH):
                batch = self._begin()
                numbers = range(start, min(start + _BATCH, grants))
                for number in numbers:
                    self._codec.wanted = number in signed
                    above = parent_of(number)
                    claims, token = self._mint(batch, number, kept[above] if number else None)
                    if last_child[number]:
                        kept[number] = claims
                    else:
                        self._complete.append(claims.grant_id)
                    if number in signed:
                        tokens.append(token)
                    if number and last_child[above] == number:
                        self._complete.append(kept.pop(above).grant_id)
                self._write(batch)
                bar.update(len(numbers))
        return Planted(root=tokens[0], root_grant_id=self._codec.decode(tokens[0]).grant_id, probes=tokens)

    def _begin(self) -> Batch:
        return Batch(
            policy=self._policy,
            codec=self._codec,
            secrets=SystemSecrets(),
            ids=self._ids,
            matcher=None,
            old_marks=MarkIndex(),
            loaded=Loaded(grants=self._states, stored=self._stored),
            trail=Trail(self._head, self._ids),
            buckets=Buckets().draft(self._policy.limits),
        )

    def _mint(self, batch: Batch, number: int, parent: Claims | None) -> tuple[Claims, str]:
        """One grant as the server would have granted it."""
        now, agent, task = time_ns() // 1000, self._agents[number % len(self._agents)], f"task-{number:09}"
        token_id = self._ids.next(now)
        own = (token_id, agent["client_id"], task_key(OWNER, task))
        claims = make_claims(
            _TERMS,
            token_id=token_id,
            lineage=(own,) if parent is None else (*parent.lineage, own),
            tasks=(task,) if parent is None else (*parent.tasks, task),
            principal=OWNER,
            owner=OWNER,
            now=now,
            expires_at=whole_second(now + self._policy.access_ttl_us)
            if parent is None
            else parent.expires_at,
            grant_expires_at=whole_second(now + self._policy.grant_ttl_us)
            if parent is None
            else parent.grant_expires_at,
            budget=None,
        )
        entry = Entry(event_type="token_issued" if parent is None else "child_token_issued", timestamp=now)
        above = None if parent is None else parent.token_id
        grant = give(batch, entry, claims, agent, "", inheritance="restricted", parent_token_id=above)
        batch.trail.append(entry)
        over = None if parent is None else batch.change_grant(parent.grant_id)
        batch.change_grant(claims.grant_id).begin(entry, over)
        if over is not None:
            over.note(entry)
        return claims, grant.access_token

    def _write(self, batch: Batch) -> None:
        with self._store.transaction() as connection:
            self._store.write(connection, batch)
        self._head = batch.trail.head
        self._stored |= batch.changed_grants
        for grant in self._complete:
            del self._states[grant]
        self._stored.difference_update(self._complete)
        self._complete.clear()
