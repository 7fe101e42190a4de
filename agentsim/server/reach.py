"""Reach: in which trees a mark's key occurs, and which of their tokens it ended."""

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Select, select, text

from agentsim.server.audit import ABOUT
from agentsim.server.batch import Row
from agentsim.server.lineage import pack_key, unpack
from agentsim.server.schema import IssuedToken
from agentsim.server.store import table

_TOKENS = table(IssuedToken)
_COLUMNS = {
    "grant": _TOKENS.c.token_id,
    "grant_only": _TOKENS.c.token_id,
    "client": _TOKENS.c.client_id,
    "task": _TOKENS.c.task_key,
    "principal": _TOKENS.c.principal,
}
#: What a fill sees of a token: what its audit row tells, first, and what says whether a mark ended it.
SEEN = (*ABOUT, "budget", "is_revoked", "lineage", "principal")
Seen = Sequence[Any]
# By place: a name costs as much as half the reading of a row.
token_of, grant_of, task_of, budget_of, revoked_of, lineage_of, principal_of = (
    itemgetter(SEEN.index(name))
    for name in ("token_id", "grant_id", "task_id", "budget", "is_revoked", "lineage", "principal")
)
#: Where in a lineage triple a mark's key stands.
_POSITION = {"grant": 0, "grant_only": 0, "client": 1, "task": 2}


def roots_of(mark: Row) -> Select[Any]:
    """The trees in which a mark's key occurs."""
    kind = mark["kind"]
    value = mark["subject"] if kind == "principal" else mark["key"]
    query = select(_TOKENS.c.root_grant_id).where(_COLUMNS[kind] == value)
    if kind != "client":
        # An agent may work below another owner's grant; every other key is its owner's own.
        query = query.where(_TOKENS.c.owner == mark["owner"])
    if kind in ("client", "principal"):
        query = query.where(_TOKENS.c.root_grant_id < mark["revocation_id"])
    if kind == "principal":
        # In words, so that the index on roots serves.
        query = query.where(text("token_id = root_grant_id"))
    return query.distinct().order_by(_TOKENS.c.root_grant_id)


def below(mark: Row, root: int, rows: Sequence[Seen]) -> list[Seen]:
    """Those of a tree's tokens that a mark ended and no fill has dealt with.

    Parameters
    ----------
    root : the tree's root grant.
    rows : some of its tokens, as their values of :data:`SEEN`.
    """
    alive = [row for row in rows if not revoked_of(row)]
    kind, key, made = mark["kind"], mark["key"], mark["revocation_id"]
    if kind == "grant" and key == root:
        return alive
    if kind == "grant_only":
        return [row for row in alive if grant_of(row) == key]
    if kind == "principal":
        return [row for row in alive if principal_of(row) == mark["subject"] and root < made]
    packed = pack_key(key)
    place, before = _POSITION[kind], made if kind == "client" else None
    # Most that do not carry the key are told by their bytes alone.
    lineages = map(lineage_of, alive)
    return [
        row
        for row, lineage in zip(alive, lineages, strict=True)
        if packed in lineage and _carries(lineage, place, key, before)
    ]


def _carries(lineage: bytes, place: int, key: int, before: int | None) -> bool:
    return any(triple[place] == key and (before is None or triple[0] < before) for triple in unpack(lineage))
