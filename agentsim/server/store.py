"""The database: what a batch needs is loaded in a few statements, what it decided is written in one transaction.

SQLite in WAL mode, one writer. All statements are SQLAlchemy Core; a batch costs a handful of them whatever its
size. Consuming a refresh or registration token is a conditional UPDATE whose row count is checked, so that
two writers can never both consume it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Integer,
    Table,
    bindparam,
    create_engine,
    event,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.pool import StaticPool

from agentsim.server.audit import Head
from agentsim.server.batch import MOST_HISTORY, Batch, Loaded, Row
from agentsim.server.history import GrantState
from agentsim.server.lineage import unpack
from agentsim.server.needs import Needs
from agentsim.server.schema import (
    Agent,
    AuditChain,
    AuditRow,
    Base,
    GrantStateRow,
    IssuedToken,
    RevocationMark,
    UsedAssertion,
)

#: SQLite's limit on bound values is 32,766; smaller lists also plan better.
_CHUNK = 5_000


class ConflictError(RuntimeError):
    """Another writer consumed what this batch was about to consume: load and decide again."""


def table(model: type[Base]) -> Table:
    """A model's table, for SQLAlchemy Core."""
    found = model.__table__
    assert isinstance(found, Table)
    return found


_AGENTS, _TOKENS, _AUDIT = table(Agent), table(IssuedToken), table(AuditRow)
_MARKS, _STATES, _CHAINS = table(RevocationMark), table(GrantStateRow), table(AuditChain)
_ASSERTIONS = table(UsedAssertion)
_PLACE = literal_column("revocations.rowid", Integer)

# Statements are made once: making and hashing one costs as much as a small batch's rows.
_MARKS_AFTER = select(_MARKS, _PLACE.label("place")).where(_PLACE > bindparam("after")).order_by(_PLACE)
_NEWEST_TOKEN = select(func.max(_TOKENS.c.token_id))
_BY_KEY = {
    source: select(source).where(key.in_(bindparam("keys", expanding=True)))
    for source, key in (
        (_AGENTS, _AGENTS.c.client_id),
        (_TOKENS, _TOKENS.c.token_id),
        (_STATES, _STATES.c.grant_id),
        (_ASSERTIONS, _ASSERTIONS.c.assertion_key),
    )
}
_NEWEST_TASKS = (
    select(_TOKENS.c.grant_id, _TOKENS.c.task_id)
    .where(_TOKENS.c.client_id == bindparam("client"), _TOKENS.c.token_id == _TOKENS.c.grant_id)
    .order_by(_TOKENS.c.token_id.desc())
    .limit(MOST_HISTORY + 1)
)
_NEWEST_LOGS = (
    select(_AUDIT)
    .where(_AUDIT.c.grant_id == bindparam("grant"))
    .order_by(_AUDIT.c.log_id.desc())
    .limit(MOST_HISTORY)
)
_CONFIRM = (
    update(_AGENTS)
    .where(_AGENTS.c.client_id == bindparam("id"), _AGENTS.c.registration_token.is_not(None))
    .values(is_active=True, registration_token=None, updated_at=bindparam("at"))
)
_CHANGE_AGENT = (
    update(_AGENTS)
    .where(_AGENTS.c.client_id == bindparam("id"))
    .values(
        {column.name: bindparam(f"new_{column.name}") for column in _AGENTS.columns if not column.primary_key}
    )
)
_CONSUME = (
    update(_TOKENS)
    .where(_TOKENS.c.token_id == bindparam("id"), _TOKENS.c.refresh_consumed_at.is_(None))
    .values(refresh_consumed_at=bindparam("at"))
)


def _upsert(target: Table, key: str, where: Any = None) -> Any:
    insert = upsert(target)
    changed = {column.name: insert.excluded[column.name] for column in target.columns if column.name != key}
    return insert.on_conflict_do_update([key], set_=changed, where=where)


# Bulk writes go to the driver as they are: preparing a row's values costs as much as SQLite's insert of it.
_NAMED = sqlite.dialect(paramstyle="named")
_INSERT = {
    target: str(target.insert().compile(dialect=_NAMED))
    for target in (_AGENTS, _TOKENS, _MARKS, _ASSERTIONS, _AUDIT)
}
_PUT_STATE = str(_upsert(_STATES, "grant_id").compile(dialect=_NAMED))
_PUT_HEAD = _upsert(_CHAINS, "chain", where=_CHAINS.c.length == bindparam("before"))


class Store:
    """One database.

    Parameters
    ----------
    path : SQLite file; None keeps everything in memory.
    synchronous : ``FULL``: what was answered survives a power cut; ``NORMAL``: survives a crash of the process.
    """

    def __init__(self, path: Path | None = None, *, synchronous: str = "FULL") -> None:
        # A database in memory lives in its one connection: every thread must use that one.
        options: dict[str, Any] = (
            {} if path else {"poolclass": StaticPool, "connect_args": {"check_same_thread": False}}
        )
        self.engine = create_engine(
            URL.create("sqlite", database=str(path) if path else None),
            **options,
        )

        @event.listens_for(self.engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:
            # The driver's own transaction handling is off: transactions begin where we say.
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute(f"PRAGMA synchronous={synchronous}")
            cursor.execute("PRAGMA cache_size=-262144")
            cursor.execute("PRAGMA busy_timeout=30000")
            # Checkpoints every 40 MB of log rather than 4: each one holds the writer up.
            cursor.execute("PRAGMA wal_autocheckpoint=10000")

        @event.listens_for(self.engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

        Base.metadata.create_all(self.engine)
        self._connection = self.engine.connect()

    def close(self) -> None:
        """Give the connection back and close the database."""
        self._connection.close()
        self.engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction: committed at the end, rolled back on any error."""
        with self._connection.begin():
            yield self._connection

    def head(self, chain: int) -> Head:
        """The end of an audit chain."""
        with self.transaction() as connection:
            row = connection.execute(select(_CHAINS).where(_CHAINS.c.chain == chain)).one_or_none()
        return Head(chain) if row is None else Head(chain, row.log_id, row.row_hash, row.length)

    def marks_after(self, connection: Connection, place: int) -> tuple[list[Row], int]:
        """Marks that were committed after a place, and the new place.

        SQLite numbers rows as they are committed. Ids do not tell that order: another writer's mark may come later
        and have the smaller id.
        """
        rows = rows_of(connection, _MARKS_AFTER, after=place)
        return rows, rows[-1]["place"] if rows else place

    def newest_token(self, connection: Connection) -> int:
        """The largest token_id, of whichever writer."""
        return connection.execute(_NEWEST_TOKEN).scalar_one() or 0

    def load(self, connection: Connection, needs: Needs) -> Loaded:
        """Load what a batch needs; keys without a row are left out."""
        loaded = Loaded()
        for row in _by_key(connection, _TOKENS, needs.tokens):
            loaded.tokens[row["token_id"]] = row
        # A refresh needs the first row of its grant, and those above it for the task chain.
        above = {grant for row in loaded.tokens.values() for grant, _, _ in unpack(row["lineage"])}
        for row in _by_key(connection, _TOKENS, above - loaded.tokens.keys()):
            loaded.tokens[row["token_id"]] = row
        needs.grants.update(row["grant_id"] for row in loaded.tokens.values())
        for row in _by_key(connection, _AGENTS, needs.clients):
            loaded.agents[row["client_id"]] = row
        for row in _by_key(connection, _STATES, needs.grants):
            loaded.grants[row["grant_id"]] = GrantState.from_json(row["state"])
        loaded.assertions.update(
            row["assertion_key"] for row in _by_key(connection, _ASSERTIONS, needs.assertions)
        )
        for client in needs.task_history_of:
            newest = connection.execute(_NEWEST_TASKS, {"client": client})
            loaded.tasks[client] = [(row.grant_id, row.task_id) for row in newest]
        for grant in needs.logs_of:
            loaded.logs[grant] = rows_of(connection, _NEWEST_LOGS, grant=grant)
        return loaded

    def write(self, connection: Connection, batch: Batch) -> None:
        """Write what a batch decided.

        Raises
        ------
        ConflictError
            If another writer has consumed a token, or added to the audit chain, since the batch was loaded.
        """
        # First, because it notices another writer of this chain before its ids could collide with ours.
        self.write_trail(connection, batch.trail.rows, batch.trail.head)
        for target, rows in (
            (_AGENTS, batch.inserts["agents"]),
            (_TOKENS, batch.inserts["issued_tokens"]),
            (_MARKS, batch.inserts["revocations"]),
            (_ASSERTIONS, batch.inserts["used_assertions"]),
        ):
            if rows:
                connection.exec_driver_sql(_INSERT[target], rows)
        _conditionally(connection, _CONFIRM, batch.confirmed)
        if batch.changed_agents:
            changed = [batch.loaded.agents[client] for client in sorted(batch.changed_agents)]
            connection.execute(_CHANGE_AGENT, [_agent_values(row) for row in changed])
        _conditionally(connection, _CONSUME, batch.consumed)
        if batch.changed_grants:
            states = [
                {"grant_id": grant, "state": batch.loaded.grants[grant].to_json()}
                for grant in sorted(batch.changed_grants)
            ]
            connection.exec_driver_sql(_PUT_STATE, states)

    def write_trail(self, connection: Connection, rows: list[Row], head: Head) -> None:
        """Write audit rows and move their chain's head.

        Raises
        ------
        ConflictError
            If another writer has added rows to the chain: it must not fork.
        """
        if not rows:
            return
        moved = connection.execute(
            _PUT_HEAD,
            {
                "chain": head.chain,
                "log_id": head.log_id,
                "row_hash": head.row_hash,
                "length": head.length,
                "before": head.length - len(rows),
            },
        )
        if moved.rowcount != 1:
            raise ConflictError("the audit chain has grown")
        connection.exec_driver_sql(_INSERT[_AUDIT], rows)


def rows_of(connection: Connection, query: Any, **values: Any) -> list[Row]:
    """The rows of a query as dictionaries."""
    result = connection.execute(query, values)
    # Twice as fast as the result's own mappings.
    names = tuple(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result]


def _agent_values(row: Row) -> Row:
    return {"id": row["client_id"]} | {
        f"new_{name}": value for name, value in row.items() if name != "client_id"
    }


def _by_key(connection: Connection, source: Table, values: set[Any]) -> Iterator[Row]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _CHUNK):
        yield from rows_of(connection, _BY_KEY[source], keys=ordered[start : start + _CHUNK])


def _conditionally(connection: Connection, statement: Any, changes: list[tuple[int, int]]) -> None:
    if changes:
        done = connection.execute(statement, [{"id": key, "at": at} for key, at in changes])
        if done.rowcount != len(changes):
            raise ConflictError("consumed by another writer")
