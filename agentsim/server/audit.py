"""The audit trail: one row per decision, each linked to the one before it by its hash."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import orjson

from agentsim.server.ids import IdGenerator
from agentsim.server.schema import AuditRow

#: What the first row of a chain links to.
GENESIS = bytes(32)
#: The hashed columns, in the order in which they are hashed.
COLUMNS = tuple(column.name for column in AuditRow.__table__.columns if column.name != "row_hash")
_values = itemgetter(*COLUMNS)
_PRESENTED, _GRANT = COLUMNS.index("access_token_hash"), COLUMNS.index("grant_id")
#: What a row tells of the token that it is about, by the same names as the token's own row does.
ABOUT = ("client_id", "token_id", "grant_id", "parent_grant_id", "root_grant_id", "task_id", "parent_task_id")


def row_digest(previous: bytes, row: Mapping[str, Any]) -> bytes:
    """SHA-256 over the previous row's hash and this row's other columns as a JSON array (bytes as hex)."""
    return link(previous, _values(row))


def link(previous: bytes, values: tuple[Any, ...]) -> bytes:
    """As :func:`row_digest`, of the values of :data:`COLUMNS` in their order."""
    if values[_PRESENTED] is not None:
        values = (*values[:_PRESENTED], values[_PRESENTED].hex(), *values[_PRESENTED + 1 :])
    return hashlib.sha256(previous + orjson.dumps(values)).digest()


@dataclass(slots=True, kw_only=True)
class Entry:
    """An audit row in the making: a decision fills in what it learns before it grants or refuses."""

    event_type: str
    timestamp: int
    source_ip: str | None = None
    client_id: int | None = None
    token_id: int | None = None
    access_token_hash: bytes | None = None
    grant_id: int | None = None
    parent_grant_id: int | None = None
    root_grant_id: int | None = None
    task_id: str | None = None
    parent_task_id: str | None = None
    #: ``granted`` or ``refused``.
    status: str = "granted"
    reason: str | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Head:
    """The end of a chain: where the next row links."""

    chain: int
    log_id: int = 0
    row_hash: bytes = GENESIS
    length: int = 0


class Trail:
    """Collects the rows of one transaction; the head moves with them and is stored with them."""

    def __init__(self, head: Head, ids: IdGenerator) -> None:
        self.head = Head(head.chain, head.log_id, head.row_hash, head.length)
        #: As tuples in the order of the table's columns: so they are hashed, and so the driver takes them.
        self.rows: list[tuple[Any, ...]] = []
        self._ids = ids

    def append(self, entry: Entry) -> int:
        """Add a row and return its ``log_id``."""
        head = self.head
        values = (
            self._ids.next(entry.timestamp),
            head.chain,
            entry.client_id,
            entry.token_id,
            entry.access_token_hash,
            entry.grant_id,
            entry.parent_grant_id,
            entry.root_grant_id,
            entry.task_id,
            entry.parent_task_id,
            entry.event_type,
            entry.timestamp,
            entry.status,
            entry.reason,
            entry.source_ip,
            orjson.dumps(entry.details).decode(),
        )
        head.row_hash = link(head.row_hash, values)
        head.log_id = values[0]
        head.length += 1
        self.rows.append((*values, head.row_hash))
        return head.log_id

    def of_grant(self, grant_id: int) -> list[dict[str, Any]]:
        """The rows that are about a grant, the newest first."""
        about = [row for row in reversed(self.rows) if row[_GRANT] == grant_id]
        return [dict(zip((*COLUMNS, "row_hash"), row, strict=True)) for row in about]

    def extend(self, entry: Entry, tokens: Iterable[Sequence[Any]]) -> None:
        """Add a row for each of these tokens, given as their values of :data:`ABOUT`; the rest is the same for all."""
        next_id, timestamp, chain, row_hash = (
            self._ids.next,
            entry.timestamp,
            self.head.chain,
            self.head.row_hash,
        )
        details = orjson.dumps(entry.details).decode()
        same = (entry.event_type, timestamp, entry.status, entry.reason, entry.source_ip, details)
        added = []
        for client, token, *others in tokens:
            # What append does, with less ado: a fill adds a million of these.
            values = (next_id(timestamp), chain, client, token, None, *others, *same)
            row_hash = hashlib.sha256(row_hash + orjson.dumps(values)).digest()
            added.append((*values, row_hash))
        if added:
            self.head = Head(chain, added[-1][0], row_hash, self.head.length + len(added))
            self.rows += added
