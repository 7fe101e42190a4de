"""Whether a served database is whole: no half of an operation anywhere, every count fits, the audit chains are unbroken.

It is read directly, in one transaction, as it would be after any crash.
"""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import Column, Connection, Select, case, func, or_, select

from agentsim.audit.trails import DatabaseTrail
from agentsim.audit.verifying import verify
from agentsim.server import Store
from agentsim.server.schema import Agent, GrantStateRow, IssuedToken, RevocationMark
from agentsim.server.statements import AUDIT, CHAINS
from agentsim.server.store import table

_AGENTS, _TOKENS, _STATES, _MARKS = map(table, (Agent, IssuedToken, GrantStateRow, RevocationMark))
_IS_FIRST, _IS_ROOT = _TOKENS.c.token_id == _TOKENS.c.grant_id, _TOKENS.c.parent_grant_id.is_(None)
_IS_USED = _TOKENS.c.refresh_consumed_at.is_not(None)
_GRANTS = select(_TOKENS.c.grant_id).where(_IS_FIRST)
#: Rows that each have exactly one audit row of an event, and no such row is about anything else.
_PAIRS: tuple[tuple[str, Column[Any], Any, str], ...] = (
    ("agent", _AGENTS.c.client_id, True, "agent_registered"),
    ("confirmed agent", _AGENTS.c.client_id, _AGENTS.c.is_active, "agent_confirmed"),
    ("root grant", _TOKENS.c.token_id, _IS_FIRST & _IS_ROOT, "token_issued"),
    ("child grant", _TOKENS.c.token_id, _IS_FIRST & ~_IS_ROOT, "child_token_issued"),
    ("refreshed token", _TOKENS.c.token_id, ~_IS_FIRST, "token_refreshed"),
    ("ended token", _TOKENS.c.token_id, _TOKENS.c.is_revoked, "token_ended"),
)
#: Keys that rows have, and those among which each of them must be.
_LEADS: tuple[tuple[str, Select[Any], Select[Any]], ...] = (
    ("grant without a state", _GRANTS, select(_STATES.c.grant_id)),
    ("state without a grant", select(_STATES.c.grant_id), _GRANTS),
    ("token without its grant", select(_TOKENS.c.grant_id), _GRANTS),
    ("grant without its parent", select(_TOKENS.c.parent_grant_id).where(~_IS_ROOT), _GRANTS),
    ("grant without its root", select(_TOKENS.c.root_grant_id), _GRANTS.where(_IS_ROOT)),
    (
        "grant without the token that bounded it",
        select(_TOKENS.c.parent_token_id).where(~_IS_ROOT),
        select(_TOKENS.c.token_id),
    ),
    (
        "used refresh token without a successor",
        select(_TOKENS.c.token_id).where(_IS_USED),
        select(_TOKENS.c.previous_token_id),
    ),
    (
        "successor of a refresh token that was not used",
        select(_TOKENS.c.previous_token_id).where(~_IS_FIRST),
        select(_TOKENS.c.token_id).where(_IS_USED),
    ),
    (
        "token ended by a mark that is not there",
        select(_TOKENS.c.revocation_id).where(_TOKENS.c.is_revoked),
        select(_MARKS.c.revocation_id),
    ),
)


def find_halves(store: Store) -> list[str]:
    """What is not whole in a database, a sentence each; nothing is said of fills that are still under way."""
    with store.reading() as connection:
        found = [
            *_unpaired(connection),
            *_loose(connection),
            *_miscounted(connection),
            *_unnamed_marks(connection),
        ]
        report = verify(DatabaseTrail(connection))
    return [*found, *(f"audit chain {fault.chain}: {fault.message}" for fault in report.faults)]


def is_filled(store: Store) -> bool:
    """Whether no fill is under way, nor waits."""
    with store.reading() as connection:
        pending = select(_MARKS.c.revocation_id).where(_MARKS.c.closure == "pending").limit(1)
        return connection.execute(pending).first() is None


def _unpaired(connection: Connection) -> list[str]:
    found = []
    for what, key, which, event in _PAIRS:
        of_rows = select(key).where(which)
        about = AUDIT.c[key.name]
        told = select(about).where(AUDIT.c.event_type == event, AUDIT.c.status == "granted")
        found += _tell(connection, of_rows.except_(told), f"{what} without its audit row")
        found += _tell(connection, told.except_(of_rows), f"{what} of which there is only an audit row")
        found += _tell(connection, _repeated(told, about), f"{what} with two audit rows")
    return found


def _loose(connection: Connection) -> list[str]:
    found = []
    for what, keys, among in _LEADS:
        found += _tell(connection, keys.except_(among), what)
    previous = _TOKENS.c.previous_token_id
    successors = select(previous).where(previous.is_not(None))
    return found + _tell(connection, _repeated(successors, previous), "refresh token with two successors")


def _miscounted(connection: Connection) -> list[str]:
    """Closed marks whose counts are not those of the rows that they ended, and chains that do not end at their heads."""
    ended = (
        select(
            _TOKENS.c.revocation_id,
            func.count().label("tokens"),
            func.sum(case((_IS_FIRST, 1), else_=0)).label("grants"),
        )
        .where(_TOKENS.c.is_revoked)
        .group_by(_TOKENS.c.revocation_id)
        .subquery()
    )
    marks = (
        select(_MARKS.c.revocation_id)
        .outerjoin_from(_MARKS, ended, _MARKS.c.revocation_id == ended.c.revocation_id)
        .where(_MARKS.c.closure == "closed")
        .where(
            or_(
                _MARKS.c.affected_tokens != func.coalesce(ended.c.tokens, 0),
                _MARKS.c.affected_grants != func.coalesce(ended.c.grants, 0),
            )
        )
    )
    rows = (
        select(AUDIT.c.chain, func.count().label("length"), func.max(AUDIT.c.log_id).label("last"))
        .group_by(AUDIT.c.chain)
        .subquery()
    )
    chains = (
        select(CHAINS.c.chain)
        .join_from(CHAINS, rows, CHAINS.c.chain == rows.c.chain)
        .where(or_(CHAINS.c.length != rows.c.length, CHAINS.c.log_id != rows.c.last))
    )
    return [
        *_tell(connection, marks, "mark whose counts are not those of its rows"),
        *_tell(connection, chains, "audit chain whose head is not its last row"),
    ]


def _unnamed_marks(connection: Connection) -> list[str]:
    """Each mark is named by the audit row of the decision that made it, and no row names one that is not there."""
    marks = set(connection.execute(select(_MARKS.c.revocation_id)).scalars())
    decisions = select(AUDIT.c.details).where(
        AUDIT.c.event_type.in_(("token_revoked", "agent_disabled", "token_refreshed")),
        or_(AUDIT.c.details.contains("revocation_id"), AUDIT.c.details.contains("marks")),
    )
    named: set[int] = set()
    for text in connection.execute(decisions).scalars():
        details = orjson.loads(text)
        named |= {*(details.get("marks") or ()), details.get("revocation_id")} - {None}
    return [
        *(f"mark that no audit row names: {mark}" for mark in sorted(marks - named)),
        *(f"mark of which there is only an audit row: {mark}" for mark in sorted(named - marks)),
    ]


def _repeated(keys: Select[Any], key: Column[Any]) -> Select[Any]:
    return keys.group_by(key).having(func.count() > 1)


def _tell(connection: Connection, query: Any, what: str) -> list[str]:
    return [f"{what}: {row[0]}" for row in connection.execute(query)]
