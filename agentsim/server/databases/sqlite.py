"""SQLite: one file, or memory, and one writer at a time.

Readers see the last commit and never wait (WAL); a writer begins with ``BEGIN IMMEDIATE``, so what it reads is
what its writes meet, and the order of commits is the order of row numbers. No further lock is needed.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    LargeBinary,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    create_engine,
    event,
    func,
    literal_column,
    select,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.pool import StaticPool

from agentsim.server.databases.base import Database
from agentsim.server.databases.checkpoints import Checkpointer
from agentsim.server.schema import Base, GrantStateRow

_POSITIONAL = sqlite.dialect(paramstyle="qmark")
#: Checkpoints every 40 MB of log rather than 4: each one holds the writer up.
_CHECKPOINT = 10_000
#: Kilobytes of pages that each connection keeps. The system keeps them, too: sixteen times as many made no batch faster, and a
#: server's memory grew for hours.
_CACHE_KB = 16_384
#: Bytes that the log's file keeps once all of it is in its place.
_LONGEST_LOG = 64 << 20


class SQLite(Database):
    """A database of this process, shared with none or, file by file, with a few that take turns."""

    shared = False
    place = literal_column("revocations.rowid", Integer)
    _begin = _begin_hurried = ("BEGIN IMMEDIATE",)
    _begin_reading = ("PRAGMA query_only=ON", "BEGIN")

    def __init__(self, url: URL, synchronous: str) -> None:
        self.single = url.database in (None, "", ":memory:")
        #: Where each commit waits for the disk, a fill's do not.
        self._checkpointer = (
            None if self.single or synchronous != "FULL" else Checkpointer(url.database or "")
        )
        super().__init__(url, synchronous)
        states = Base.metadata.tables[GrantStateRow.__tablename__]
        self._put_states = str(self.upsert(states, "grant_id").compile(dialect=_POSITIONAL))

    def _make_engine(self, url: URL, synchronous: str) -> Engine:
        # A database in memory lives in its one connection: every thread must use that one.
        alone: dict[str, Any] = {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        engine = create_engine(url, **(alone if self.single else {}))

        @event.listens_for(engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:
            connection.isolation_level = None
            cursor = connection.cursor()
            # Where nothing is to survive there is no log to be written first and copied later.
            kept = synchronous != "NONE"
            cursor.execute(f"PRAGMA journal_mode={'WAL' if kept else 'MEMORY'}")
            cursor.execute(f"PRAGMA synchronous={synchronous if kept else 'OFF'}")
            cursor.execute(f"PRAGMA cache_size=-{_CACHE_KB}")
            cursor.execute("PRAGMA busy_timeout=30000")
            cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT}")
            cursor.execute(f"PRAGMA journal_size_limit={_LONGEST_LOG}")

        @event.listens_for(engine, "checkin")
        def _let_write(connection: Any, _record: Any) -> None:
            if connection is not None:
                connection.execute("PRAGMA query_only=OFF")

        return engine

    def _how_to_begin(self, connection: Connection, options: Mapping[str, Any]) -> tuple[str, ...]:
        begin = super()._how_to_begin(connection, options)
        if self._checkpointer is None or options.get("reading"):
            return begin
        hurried = bool(options.get("hurried"))
        if hurried:
            self._checkpointer.ask()
        # Not within a transaction. What is not hurried writes all down that came before it, too.
        synchronous = "NORMAL" if hurried else "FULL"
        checkpoints = 0 if self._checkpointer.alive else _CHECKPOINT
        settings = {"synchronous": synchronous, "wal_autocheckpoint": checkpoints}
        stand = connection.info.setdefault("settings", {})
        changed = {name: value for name, value in settings.items() if stand.get(name) != value}
        stand |= changed
        return (*(f"PRAGMA {name}={value}" for name, value in changed.items()), *begin)

    def lock_tables(self, connection: Connection) -> None:
        pass

    def insert_bare(self, connection: Connection, target: Table, rows: list[tuple[Any, ...]]) -> None:
        # To the driver as they are: preparing a row's values costs as much as SQLite's insert of it. By position: the
        # driver looks each named value up, row by row.
        connection.exec_driver_sql(_insert(target), rows)

    @staticmethod
    def _insert_into(target: Table) -> Any:
        return sqlite_insert(target)

    def put_states(self, connection: Connection, states: dict[int, str], stored: set[int]) -> None:
        connection.exec_driver_sql(self._put_states, list(states.items()))

    @staticmethod
    def among(column: ColumnElement[Any]) -> ColumnElement[bool]:
        if isinstance(column.type, LargeBinary):
            return column.in_(bindparam("keys", expanding=True))
        # One text for lists of any length: nothing is compiled or planned anew.
        keys = func.json_each(bindparam("keys", type_=_JsonList())).table_valued("value")
        return column.in_(select(keys.c.value))

    def pass_barrier(self, connection: Connection, *, exclusive: bool) -> None:
        pass

    def lock_marks(self, connection: Connection) -> None:
        pass

    def try_fill(self, connection: Connection) -> bool:
        return True

    def try_watch(self) -> bool:
        return True

    def claim_writer(self) -> int:
        return 0

    def close(self) -> None:
        if self._checkpointer is not None:
            self._checkpointer.close()
        super().close()


class _JsonList(TypeDecorator[list[int]]):
    """A list of whole numbers, as one value."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: list[int] | None, _dialect: Any) -> str | None:
        return None if value is None else orjson.dumps(value).decode()


@lru_cache
def _insert(target: Table) -> str:
    """The statement that inserts a row."""
    return str(target.insert().compile(dialect=_POSITIONAL))
