"""Where an audit trail is read from: a served database, or a Run. Rows stream through, a page at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Select, bindparam, func, select

from agentsim.run import Run, RunError
from agentsim.server import Store
from agentsim.server.audit import COLUMNS, Head, link
from agentsim.server.checkpoints import read
from agentsim.server.statements import AUDIT, CHAINS, CHECKPOINTS
from agentsim.tables import SCHEMAS

#: An audit row: its values of :data:`COLUMNS`, then its hash.
Row = tuple[Any, ...]
LOG_ID, CHAIN = COLUMNS.index("log_id"), COLUMNS.index("chain")
#: Rows in memory at once.
PAGE = 10_000


class Stored(NamedTuple):
    """A checkpoint as it is stored: only ``jws`` is signed."""

    length: int
    log_id: int
    row_hash: bytes
    jws: str


class Trail(Protocol):
    """An audit trail at one moment."""

    #: How many rows there are, about.
    total: int

    def heads(self) -> dict[int, Head | None]:
        """Every chain that is known of, with its head as it is stored."""

    def base(self, chain: int) -> Stored | None:
        """The newest checkpoint that says that the rows up to it have been removed on purpose."""

    def checkpoints(self, chain: int) -> Iterator[Stored]:
        """A chain's checkpoints in the order of length."""

    def rows(self) -> Iterator[list[Row]]:
        """The rows of all chains, page by page, those of each chain in the order in which they lie."""


def hashed(row: Row, above: bytes) -> bytes | None:
    """The hash of a row below the row with another; None for what cannot be hashed, and so was never written."""
    try:
        return link(above, row[:-1])
    except (AttributeError, TypeError):
        return None


def follows(row: Row, above: bytes) -> bool:
    """Whether a row is what was written below the row with this hash."""
    made = hashed(row, above)
    return made is not None and made == row[-1]


_CHECKPOINT = select(
    CHECKPOINTS.c.length, CHECKPOINTS.c.log_id, CHECKPOINTS.c.row_hash, CHECKPOINTS.c.jws
).where(CHECKPOINTS.c.chain == bindparam("of"))
_BASE = _CHECKPOINT.where(CHECKPOINTS.c.truncated).order_by(CHECKPOINTS.c.length.desc()).limit(1)
_NEXT_CHECKPOINTS = (
    _CHECKPOINT.where(CHECKPOINTS.c.length > bindparam("after"))
    .order_by(CHECKPOINTS.c.length)
    .limit(bindparam("most"))
)
_FIRST_ROWS = (
    select(*(AUDIT.c[name] for name in (*COLUMNS, "row_hash")))
    .order_by(AUDIT.c.log_id)
    .limit(bindparam("most"))
)
_NEXT_ROWS = _FIRST_ROWS.where(AUDIT.c.log_id > bindparam("after"))


class DatabaseTrail:
    """The trail of a served database, as one transaction sees it: see :func:`open_database_trail`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._heads = {
            row.chain: Head(row.chain, _number(row.log_id), row.row_hash, _number(row.length))
            for row in connection.execute(select(CHAINS))
        }
        self.total = int(connection.execute(select(func.count()).select_from(AUDIT)).scalar_one())

    def heads(self) -> dict[int, Head | None]:
        """The stored heads; of a chain that has none, but checkpoints, None."""
        signed = self._connection.execute(select(CHECKPOINTS.c.chain).distinct()).scalars()
        return {**dict.fromkeys(filter(is_number, signed), None), **self._heads}

    def base(self, chain: int) -> Stored | None:
        """As :class:`Trail` has it."""
        row = self._connection.execute(_BASE, {"of": chain}).one_or_none()
        return None if row is None else _stored(*row)

    def checkpoints(self, chain: int) -> Iterator[Stored]:
        """As :class:`Trail` has it."""
        after = -1
        while page := self._connection.execute(
            _NEXT_CHECKPOINTS, {"of": chain, "after": after, "most": 1_000}
        ).all():
            yield from (_stored(*row) for row in page)
            after = page[-1].length

    def rows(self) -> Iterator[list[Row]]:
        """As :class:`Trail` has it: by their ids."""
        page = self._page(_FIRST_ROWS)
        while page:
            yield page
            page = self._page(_NEXT_ROWS, after=page[-1][LOG_ID])

    def _page(self, query: Select[Any], **values: int) -> list[Row]:
        try:
            return self._fetched(query, values)
        except sqlite3.OperationalError:
            # A text that is none. Reading each with care takes long, so it is done where there is one.
            connection = self._connection.connection.driver_connection
            assert isinstance(connection, sqlite3.Connection)
            connection.text_factory = _text_or_bytes
            try:
                return self._fetched(query, values)
            finally:
                connection.text_factory = str

    def _fetched(self, query: Select[Any], values: dict[str, int]) -> list[Row]:
        # The driver's own tuples: rows of SQLAlchemy's cost as much again.
        with self._connection.execute(query, {**values, "most": PAGE}) as result:
            cursor = result.cursor
            return [] if cursor is None else list(cursor.fetchall())


@contextmanager
def open_database_trail(store: Store) -> Iterator[DatabaseTrail]:
    """The trail as it is when this is called, whatever is written meanwhile; nobody waits for its end."""
    with store.reading() as connection:
        yield DatabaseTrail(connection)


class RunTrail:
    """The trail of a Run: a chain for each of its tenants."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._tenants = run.manifest.tenants
        self.total = sum(entry.audit_rows for entry in self._tenants.values())

    def heads(self) -> dict[int, Head | None]:
        """The heads that the manifest has."""
        return {
            # Of what cannot be read, it is the signed one that tells what is missing.
            tenant: None
            if (row_hash := _hex(entry.audit_head)) is None
            else Head(tenant, _signed_log_id(entry.audit_checkpoint), row_hash, entry.audit_rows)
            for tenant, entry in self._tenants.items()
        }

    def base(self, chain: int) -> Stored | None:
        """None: nothing is removed from a Run."""
        return None

    def checkpoints(self, chain: int) -> Iterator[Stored]:
        """The head that was signed when the tenant ended."""
        entry = self._tenants.get(chain)
        if entry is None or entry.audit_checkpoint is None:
            return
        jws = entry.audit_checkpoint
        log_id = _signed_log_id(jws)
        yield Stored(entry.audit_rows, log_id, _hex(entry.audit_head) or b"", jws)

    def rows(self) -> Iterator[list[Row]]:
        """As :class:`Trail` has it: as they lie in the files."""
        for path in self._run.files("audit"):
            try:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(PAGE, columns=[*COLUMNS, "row_hash"]):
                        yield _rows_of(batch)
            except (OSError, pa.ArrowException, KeyError, UnicodeDecodeError) as exc:
                raise RunError(f"{path}: cannot be read: {str(exc).splitlines()[0]}") from None


_NAMES = (*COLUMNS, "row_hash")
_SCHEMA = pa.schema([SCHEMAS["audit"].field(name) for name in _NAMES])


def _rows_of(batch: pa.RecordBatch) -> list[Row]:
    """Rows as they were written; whatever else is called so, cannot be read."""
    table = pa.Table.from_arrays([batch.column(name) for name in _NAMES], names=_NAMES).cast(_SCHEMA)
    if table["log_id"].null_count or table["chain"].null_count:
        raise pa.ArrowInvalid("a row without its id, or of no chain")
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def is_number(value: object) -> bool:
    """Whether this is what SQLite should have kept in a column of numbers: it keeps whatever it is given."""
    return type(value) is int


def _number(value: int) -> int:
    """A number as it is stored; what is none is said by none."""
    return value if is_number(value) else -1


def _stored(length: int, log_id: int, row_hash: bytes, jws: str) -> Stored:
    return Stored(_number(length), _number(log_id), row_hash, jws if isinstance(jws, str) else "")


def _text_or_bytes(value: bytes) -> str | bytes:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value


def _hex(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None


def _signed_log_id(jws: str | None) -> int:
    """The row that a checkpoint names; 0 where it cannot be read."""
    try:
        return 0 if jws is None else read(jws)[0].log_id
    except ValueError:
        return 0
