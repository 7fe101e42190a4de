"""Reach: in which trees a mark's key occurs, and which of their tokens it ended."""

from typing import Any

from sqlalchemy import Select, select, text

from agentsim.server.batch import Row
from agentsim.server.lineage import unpack
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


def is_below(mark: Row, row: Any) -> bool:
    """Whether a mark ended this token and no fill has dealt with it."""
    if row["is_revoked"]:
        return False
    kind, key = mark["kind"], mark["key"]
    if kind == "grant_only":
        return bool(row["grant_id"] == key)
    if kind == "principal":
        return bool(row["principal"] == mark["subject"] and row["root_grant_id"] < mark["revocation_id"])
    before = mark["revocation_id"] if kind == "client" else None
    position = _POSITION[kind]
    return any(
        triple[position] == key and (before is None or triple[0] < before)
        for triple in unpack(row["lineage"])
    )
