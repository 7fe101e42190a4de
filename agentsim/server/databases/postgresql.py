"""PostgreSQL: many writers at once, kept in order by a few advisory locks.

READ COMMITTED is what the server needs. Each batch takes the barrier first and reads the marks next, and only at
this level does that second statement see all that was committed while it waited for the barrier; REPEATABLE READ
and SERIALIZABLE would fix what is seen before the lock is had, and so overlook a mark. What a batch decides on is
guarded one by one: grant states are locked as they are loaded, tokens are consumed by a conditional update, an
audit chain grows only from the head that was seen. A lost race is an error here and a new decision in the server.

Who waits for whom, in this order, so that nobody waits in a circle: the barrier; grant states, in the order of
keys; rows to confirm and to consume, in the order of keys; new states, in the order of keys; the lock on marks,
after which a transaction only commits.
"""

import hashlib
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import (
    ARRAY,
    URL,
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Table,
    any_,
    bindparam,
    create_engine,
    event,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.exc import DBAPIError

from agentsim.server.databases.base import Database
from agentsim.server.ids import WRITERS
from agentsim.server.schema import Base, RevocationMark

#: The advisory locks, each a number within the space of its schema.
_BARRIER, _MARKS, _FILL, _TABLES, _WATCH = 1, 2, 3, 4, 5
#: Writer numbers follow from here.
_FIRST_WRITER = 1_000
#: SQLSTATE of what another writer's work can cause: serialization failure, deadlock, unique violation.
_CONFLICTS = ("40001", "40P01", "23505")


@event.listens_for(Base.metadata.tables[RevocationMark.__tablename__], "after_create")
def _add_place(_target: Table, connection: Connection, **_others: Any) -> None:
    # Beside the model, not in it: SQLite numbers its rows itself. An identity has no cache, so its numbers rise as
    # they are drawn, from whichever connection.
    if connection.dialect.name == "postgresql":
        connection.execute(
            text("ALTER TABLE revocations ADD COLUMN place BIGINT GENERATED ALWAYS AS IDENTITY UNIQUE")
        )


class PostgreSQL(Database):
    """A database that several workers, on one machine or more, write to at the same time."""

    shared = True
    place = literal_column("revocations.place", BigInteger)
    _begin = ("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",)
    _begin_hurried = (*_begin, "SET LOCAL synchronous_commit = off")
    # What one view tells comes from several statements: they must agree.
    _begin_reading = ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",)

    def __init__(self, url: URL, synchronous: str) -> None:
        super().__init__(url.set(drivername="postgresql+psycopg"), synchronous)
        self._claims: list[Connection] = []
        self._watching: Connection | None = None
        with self.engine.connect() as connection, connection.begin():
            schema = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
        # The first half of the keys of our locks: of each schema its own, so that two never wait for each other.
        name = hashlib.sha256(f"agentsim {schema}".encode()).digest()
        self._space = int.from_bytes(name[:4], "big", signed=True)

    def _make_engine(self, url: URL, synchronous: str) -> Engine:
        engine = create_engine(url, connect_args={"autocommit": True})
        if synchronous != "FULL":

            @event.listens_for(engine, "connect")
            def _configure(connection: Any, _record: Any) -> None:
                connection.execute("SET synchronous_commit = off")

        return engine

    def lock_tables(self, connection: Connection) -> None:
        connection.exec_driver_sql(_LOCK, (self._space, _TABLES))

    def insert_bare(self, connection: Connection, target: Table, rows: list[tuple[Any, ...]]) -> None:
        # COPY: as fast as any other for one row, three to twenty times as fast for a thousand.
        try:
            with _cursor(connection) as cursor, cursor.copy(_copy(target)) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as exc:
            # As whatever else fails in the database: the driver was asked past SQLAlchemy.
            raise DBAPIError(f"COPY {target.name}", None, exc) from exc

    @staticmethod
    def _insert_into(target: Table) -> Any:
        return postgresql_insert(target)

    def put_states(self, connection: Connection, states: dict[int, str], stored: set[int]) -> None:
        changed = [grant for grant in states if grant in stored]
        if changed:
            connection.exec_driver_sql(_CHANGE_STATES, (changed, [states[grant] for grant in changed]))
        new = [grant for grant in states if grant not in stored]
        if new:
            # Plain: a state that another writer has added meanwhile must not be written over.
            connection.exec_driver_sql(_ADD_STATES, (new, [states[grant] for grant in new]))

    @staticmethod
    def among(column: ColumnElement[Any]) -> ColumnElement[bool]:
        return column == any_(bindparam("keys", type_=ARRAY(column.type)))

    def pass_barrier(self, connection: Connection, *, exclusive: bool) -> None:
        connection.exec_driver_sql(_LOCK if exclusive else _LOCK_SHARED, (self._space, _BARRIER))

    def lock_marks(self, connection: Connection) -> None:
        connection.exec_driver_sql(_LOCK, (self._space, _MARKS))

    def try_fill(self, connection: Connection) -> bool:
        return bool(connection.exec_driver_sql(_TRY_LOCK, (self._space, _FILL)).scalar_one())

    def try_watch(self) -> bool:
        # The lock lives as long as its connection. Should that be lost, two may watch for a while: what both do is done once.
        if self._watching is None:
            connection = self.engine.connect()
            with connection.begin():
                found = connection.exec_driver_sql(_TRY_LOCK_SESSION, (self._space, _WATCH)).scalar_one()
            if not found:
                connection.close()
                return False
            self._watching = connection
            self._claims.append(connection)
        return True

    def claim_writer(self) -> int:
        # The lock lives as long as its connection. Should that be lost and the number be claimed anew, the two
        # of one number still cannot fork their audit chain: they would only hinder each other.
        connection = self.engine.connect()
        self._claims.append(connection)
        with connection.begin():
            for number in range(WRITERS):
                key = (self._space, _FIRST_WRITER + number)
                if connection.exec_driver_sql(_TRY_LOCK_SESSION, key).scalar_one():
                    return number
        raise RuntimeError(f"all {WRITERS} writer numbers are taken")

    def is_conflict(self, error: Exception) -> bool:
        cause = getattr(error, "orig", error)
        state = cause.sqlstate if isinstance(cause, psycopg.Error) else None
        return state in _CONFLICTS or super().is_conflict(error)

    def close(self) -> None:
        for connection in self._claims:
            connection.close()
        super().close()


_LOCK = "SELECT pg_advisory_xact_lock(%s::int, %s::int)"
_LOCK_SHARED = "SELECT pg_advisory_xact_lock_shared(%s::int, %s::int)"
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(%s::int, %s::int)"
_TRY_LOCK_SESSION = "SELECT pg_try_advisory_lock(%s::int, %s::int)"
_CHANGE_STATES = (
    "UPDATE grant_states SET state = new.state "
    "FROM unnest(%s::bigint[], %s::text[]) AS new (grant_id, state) WHERE grant_states.grant_id = new.grant_id"
)
_ADD_STATES = "INSERT INTO grant_states (grant_id, state) SELECT * FROM unnest(%s::bigint[], %s::text[])"


def _cursor(connection: Connection) -> "psycopg.Cursor[Any]":
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    return driver.cursor()


def _copy(target: Table) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, target.columns.keys()))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(target.name), names)
