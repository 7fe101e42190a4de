"""Rows that are long over, planted fast: copies of what the server itself has written, with ids of long ago."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import select
from tqdm.auto import tqdm

from agentsim.experiments.bench.planting import plant
from agentsim.experiments.bench.requests import AgentCredentials
from agentsim.server import KeyRing, Policy, Store
from agentsim.server.clock import SECOND, SystemClock
from agentsim.server.ids import IdGenerator
from agentsim.server.schema import GrantStateRow, IssuedToken, UsedAssertion
from agentsim.server.store import rows_of, table

#: Grants of a tree; of five rows two are tokens, two their grants' states and one is a used assertion.
TREE = 10
_TOGETHER = 200
_AGO = 90 * 24 * 3600 * SECOND
_TOKENS, _STATES, _ASSERTIONS = table(IssuedToken), table(GrantStateRow), table(UsedAssertion)
#: Columns that hold an id of a grant or a token.
_IDS = ("token_id", "grant_id", "parent_grant_id", "root_grant_id", "parent_token_id")
_TIMES = ("issued_at", "expires_at", "grant_expires_at")
#: A writer of its own: no id of a server's meets one of these.
_WRITER = 4_000


def plant_expired(
    store: Store,
    policy: Policy,
    keyring: KeyRing,
    agents: list[AgentCredentials],
    *,
    rows: int,
    ago_us: int = _AGO,
    progress: bool = False,
) -> int:
    """Plant at least so many rows that have been over for so long, and a tree that is not; returns how many are over."""
    tree = plant(store, policy, keyring, agents, shape="4-ary", grants=TREE, probes=1)
    with store.transaction() as connection:
        query = select(_TOKENS).where(_TOKENS.c.root_grant_id == tree.root_grant_id)
        template = rows_of(connection, query.order_by(_TOKENS.c.token_id))
        found = rows_of(connection, select(_STATES).where(_STATES.c.grant_id == tree.root_grant_id))
    state = found[0]["state"] if found else "{}"
    then = SystemClock().now() - ago_us
    ids = IdGenerator(_WRITER)
    trees = -(-rows // (2 * TREE + TREE // 2))
    with tqdm(total=trees, unit="tree", disable=not progress, desc="plant", leave=False) as bar:
        for start in range(0, trees, _TOGETHER):
            count = min(_TOGETHER, trees - start)
            tokens = [row for _ in range(count) for row in _copy(template, ids, then)]
            states = [{"grant_id": row["grant_id"], "state": state} for row in tokens]
            used = [
                {"assertion_key": secrets.token_bytes(32), "expires_at": then}
                for _ in range(count * TREE // 2)
            ]
            with store.transaction(hurried=True) as connection:
                for target, new in ((_TOKENS, tokens), (_STATES, states), (_ASSERTIONS, used)):
                    connection.execute(target.insert(), new)
            bar.update(count)
    return trees * (2 * TREE + TREE // 2)


def _copy(template: list[dict[str, Any]], ids: IdGenerator, then: int) -> list[dict[str, Any]]:
    """A tree as it would have been then."""
    named: dict[Any, Any] = {None: None}
    rows = []
    for row in template:
        named[row["token_id"]] = ids.next(then)
        rows.append(
            {
                **row,
                **{name: named[row[name]] for name in _IDS},
                **dict.fromkeys(_TIMES, then),
                "access_token_hash": secrets.token_bytes(32),
                # Tasks are many, and each hash another: where the index has it, is anywhere.
                "task_key": secrets.randbits(62),
            }
        )
    return rows
