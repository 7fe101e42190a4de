"""After a cascade: what the database says of each grant below the mark, and whether the audit chain holds together."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, distinct, func, select

from agentsim.server import Store
from agentsim.server.audit import Head, row_digest
from agentsim.server.schema import AuditChain, AuditRow, IssuedToken, RevocationMark
from agentsim.server.store import table

_TOKENS, _AUDIT, _MARKS, _CHAINS = map(table, (IssuedToken, AuditRow, RevocationMark, AuditChain))
#: Audit rows that are read at a time.
_CHUNK = 10_000


@dataclass(frozen=True, kw_only=True)
class Aftermath:
    """What was found.

    Attributes
    ----------
    grants : in the tree.
    marked : rows of theirs that say which mark ended them.
    told, told_once : audit rows of that, and grants that have one.
    counted : grants that the mark itself counts, once it is closed; 0 before.
    links, broken : rows of the audit chain since the mark, and those that do not link to the one before.
    """

    grants: int
    marked: int
    told: int
    told_once: int
    counted: int
    links: int
    broken: int

    @property
    def complete(self) -> bool:
        """Whether each grant's row is marked, has exactly one audit row, and the chain is whole."""
        found = {self.marked, self.told, self.told_once, self.counted}
        return found == {self.grants} and self.links >= self.told and not self.broken


def look_at(store: Store, revocation_id: int, root: int, before: Head) -> Aftermath:
    """Count what a mark on a root has left.

    Parameters
    ----------
    root : the root grant.
    before : the end of the audit chain before the mark.
    """
    in_tree = select(func.count()).where(
        _TOKENS.c.root_grant_id == root, _TOKENS.c.token_id == _TOKENS.c.grant_id
    )
    told = select(func.count(), func.count(distinct(_AUDIT.c.grant_id))).where(
        _AUDIT.c.log_id > before.log_id,
        _AUDIT.c.event_type == "token_ended",
        _AUDIT.c.root_grant_id == root,
        _AUDIT.c.token_id == _AUDIT.c.grant_id,
    )
    counted = select(_MARKS.c.affected_grants).where(
        _MARKS.c.revocation_id == revocation_id, _MARKS.c.closure == "closed"
    )
    with store.reading() as connection:
        rows, told_once = connection.execute(told).one()
        links, broken = _follow(connection, before)
        return Aftermath(
            grants=connection.execute(in_tree).scalar_one(),
            marked=connection.execute(
                in_tree.where(_TOKENS.c.is_revoked, _TOKENS.c.revocation_id == revocation_id)
            ).scalar_one(),
            told=rows,
            told_once=told_once,
            counted=connection.execute(counted).scalar_one_or_none() or 0,
            links=links,
            broken=broken,
        )


def _follow(connection: Connection, head: Head) -> tuple[int, int]:
    """How many rows follow the head of a chain, and how many of these, or the chain's end, do not link."""
    query = select(_AUDIT).where(_AUDIT.c.chain == head.chain, _AUDIT.c.log_id > head.log_id)
    links = broken = 0
    previous = head.row_hash
    result = connection.execution_options(yield_per=_CHUNK).execute(query.order_by(_AUDIT.c.log_id))
    names = tuple(result.keys())
    for values in result:
        row = dict(zip(names, values, strict=True))
        broken += row["row_hash"] != row_digest(previous, row)
        previous = row["row_hash"]
        links += 1
    end = connection.execute(select(_CHAINS.c.row_hash).where(_CHAINS.c.chain == head.chain)).scalar_one()
    return links, broken + (end != previous)
