"""The database: what a batch needs is loaded in a few statements, what it decided is written in one transaction.

SQLite in WAL mode with one writer, or PostgreSQL with many; what differs between them is in
:mod:`agentsim.server.databases`. All statements are SQLAlchemy Core; a batch costs a handful of them whatever its
size. Consuming a refresh or registration token is a conditional UPDATE whose row count is checked, so that
two writers can never both consume it.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from random import SystemRandom
from threading import Lock
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, RootTransaction, Table, select
from sqlalchemy.exc import DBAPIError

from agentsim.server.audit import Head, Trail
from agentsim.server.batch import Batch, Loaded, Row
from agentsim.server.databases import ConflictError, open_database
from agentsim.server.history import GrantState
from agentsim.server.ledger import Budget
from agentsim.server.lineage import unpack
from agentsim.server.needs import Needs
from agentsim.server.statements import (
    AGENTS,
    ASSERTIONS,
    AUDIT,
    BUDGETS,
    CHAINS,
    CHANGE_AGENT,
    CODES,
    CONFIRM,
    CONSUME,
    LAST_EXPIRY,
    MARKS,
    NEWEST_CODE,
    NEWEST_LOGS,
    NEWEST_TASKS,
    NEWEST_TOKEN,
    REDEEM,
    SPEND,
    STATES,
    TOKENS,
    statements_of,
    table,
)

__all__ = ["ConflictError", "Store", "rows_of", "table"]

#: SQLite's limit on bound values is 32,766; smaller lists also plan better.
_CHUNK = 5_000
#: The longest pause, in seconds, before a batch that lost a race for the first time is decided anew.
_PAUSE = 0.002


class Store:
    """One database.

    Parameters
    ----------
    database : SQLite file; or a URL, ``sqlite:///…`` or ``postgresql://…``; None keeps everything in memory.
    synchronous : ``FULL``: what was answered survives a power cut; ``NORMAL``: survives a crash of the process
        (PostgreSQL: may lose the last moments, whole transactions at a time). ``NONE``: for a database that is thrown away
        (SQLite): nothing survives, and nobody else can read while it is written.

    Raises
    ------
    ValueError
        If the URL is none, or names a kind of database that is not served.
    """

    def __init__(self, database: Path | str | None = None, *, synchronous: str = "FULL") -> None:
        self._database = open_database(database, synchronous)
        self._database.create_tables()
        self.engine = self._database.engine
        self._statements = statements_of(type(self._database))
        self._connection = self.engine.connect()
        self._lock = Lock()

    def close(self) -> None:
        """Give the connections back and close the database."""
        self._connection.close()
        self._database.close()

    @property
    def shared(self) -> bool:
        """Whether several writers may be at work at the same time."""
        return self._database.shared

    @contextmanager
    def transaction(self, *, hurried: bool = False) -> Iterator[Connection]:
        """One transaction, one at a time: committed at the end, rolled back on any error.

        Parameters
        ----------
        hurried : whether a power cut may undo it, unless something was committed afterwards that is not hurried. It
            does not wait for the disk.

        A connection that was lost is made anew: before the transaction where that shows in time, else for the next.

        Raises
        ------
        ConflictError
            If another writer's work stands against this one's: nothing was done, and doing it again may succeed.
        """
        with self._lock:
            try:
                with self._begin(hurried):
                    yield self._connection
            except Exception as error:
                if self._database.is_conflict(error) and not isinstance(error, ConflictError):
                    raise ConflictError(f"another writer was faster: {error}") from error
                raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads, for views of their own: what was committed when it began, from any thread.

        It does not wait for writers, nor they for it; only a database in memory, which is one connection, is read
        between its transactions.
        """
        if self._database.single:
            with self.transaction() as connection:
                yield connection
            return
        with self.engine.connect().execution_options(reading=True) as connection, connection.begin():
            yield connection

    @property
    def place(self) -> ColumnElement[int]:
        """Where a mark stands in the order of commits, as a column of ``revocations``."""
        return self._database.place

    def among(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition that a column is one of the bound ``keys``."""
        return self._database.among(column)

    def ping(self) -> None:
        """Ask the database for nothing: an error says that it cannot be reached."""
        with self.reading() as connection:
            connection.execute(select(1))

    def claim_writer(self) -> int:
        """A writer number that no other process holds, until the store is closed. SQLite has one writer: 0."""
        return self._database.claim_writer()

    def pass_barrier(self, connection: Connection, *, exclusive: bool) -> None:
        """Wait until no transaction holds the barrier (in the other way), and hold it until this one ends.

        Every batch holds it, in the shared way, from before it reads the marks until its commit. Who holds it
        exclusively therefore knows that each batch under way will read every mark that is committed by now, and
        that no token with a larger id is about to be committed.
        """
        self._database.pass_barrier(connection, exclusive=exclusive)

    def try_fill(self, connection: Connection) -> bool:
        """Become the one who fills until this transaction ends; False where another writer is."""
        return self._database.try_fill(connection)

    def try_watch(self) -> bool:
        """Become the one who watches until the store is closed; False where another process is."""
        return self._database.try_watch()

    def pause(self, attempt: int) -> None:
        """Wait before what was in conflict is tried again: longer each time, and by chance, so that not all meet."""
        if self.shared:
            time.sleep(SystemRandom().uniform(0, _PAUSE * 2**attempt))

    def _begin(self, hurried: bool) -> RootTransaction:
        self._connection.execution_options(hurried=hurried)
        try:
            return self._connection.begin()
        except DBAPIError as error:
            # Lost since the last transaction: nothing of this one has been asked, so it may begin again.
            if not error.connection_invalidated:
                raise
            return self._connection.begin()

    def head(self, chain: int) -> Head:
        """The end of an audit chain."""
        with self.transaction() as connection:
            row = connection.execute(select(CHAINS).where(CHAINS.c.chain == chain)).one_or_none()
        return Head(chain) if row is None else Head(chain, row.log_id, row.row_hash, row.length)

    def marks_after(
        self, connection: Connection, place: int, most: int | None = None
    ) -> tuple[list[Row], int]:
        """Marks that were committed after a place, and the new place; ``most`` of them at most.

        Places are in the order of commits; ids are not, since another writer's mark may come later and have the
        smaller id. SQLite numbers rows within its only write transaction. PostgreSQL draws a row's place from
        a sequence, and whoever inserts marks takes a lock first and holds it until its commit: so the
        next place is drawn only after the one before it can be seen (a transaction's locks are released after
        it has become visible), and who sees a place sees every smaller one that will ever be.
        """
        query = self._statements.marks_after
        # A statement that is made anew costs as much as a small batch.
        rows = rows_of(connection, query if most is None else query.limit(most), after=place)
        return rows, rows[-1]["place"] if rows else place

    def last_place(self, connection: Connection) -> int:
        """The place of the mark that was committed last."""
        return connection.execute(self._statements.last_place).scalar_one() or 0

    def next_pending(self, connection: Connection) -> Row | None:
        """The oldest mark whose rows are still to be filled in, with its place."""
        rows = rows_of(connection, self._statements.next_pending)
        return rows[0] if rows else None

    def newest_given(self, connection: Connection) -> int:
        """The largest id of a token, or of a code that may become one, of whichever writer."""
        return max(connection.execute(newest).scalar_one() or 0 for newest in (NEWEST_TOKEN, NEWEST_CODE))

    def last_expiry(self) -> int:
        """When the last access token that was ever issued expires. It reads them all, beside the writer."""
        with self.reading() as connection:
            return connection.execute(LAST_EXPIRY).scalar_one() or 0

    def load(self, connection: Connection, needs: Needs) -> Loaded:
        """Load what a batch needs; keys without a row are left out."""
        loaded = Loaded()
        for row in self._by_key(connection, TOKENS, needs.tokens):
            loaded.tokens[row["token_id"]] = row
        # A refresh needs the first row of its grant, and those above it for the task chain.
        above = {grant for row in loaded.tokens.values() for grant, _, _ in unpack(row["lineage"])}
        for row in self._by_key(connection, TOKENS, above - loaded.tokens.keys()):
            loaded.tokens[row["token_id"]] = row
        needs.grants.update(row["grant_id"] for row in loaded.tokens.values())
        if needs.with_lineage:
            needs.clients.update(
                client for row in loaded.tokens.values() for _, client, _ in unpack(row["lineage"])
            )
        for row in self._by_key(connection, AGENTS, needs.clients):
            loaded.agents[row["client_id"]] = row
        for row in self._by_key(connection, STATES, needs.grants):
            loaded.grants[row["grant_id"]] = GrantState.from_json(row["state"])
        loaded.stored = set(loaded.grants)
        loaded.assertions.update(
            row["assertion_key"] for row in self._by_key(connection, ASSERTIONS, needs.assertions)
        )
        # After the states: those of a grant lock what is decided on its budget, too.
        needs.budgets.update(row["grant_id"] for row in loaded.tokens.values() if row["budget"] is not None)
        self._load_budgets(connection, needs.budgets, loaded.ledger.budgets)
        for row in self._by_key(connection, CODES, needs.codes):
            loaded.codes[row["code_id"]] = row
        for client, owner in needs.task_history_of:
            newest = connection.execute(NEWEST_TASKS, {"client": client, "owner": owner})
            loaded.tasks[client, owner] = [(row.grant_id, row.task_id) for row in newest]
        for grant in needs.logs_of:
            loaded.logs[grant] = rows_of(connection, NEWEST_LOGS, grant=grant)
        return loaded

    def budgets(self, connection: Connection, grants: set[int]) -> list[Budget]:
        """The budgets of grants; those without one are left out."""
        return [Budget(**row) for row in self._by_key(connection, BUDGETS, grants)]

    def _load_budgets(self, connection: Connection, wanted: set[int], found: dict[int, Budget]) -> None:
        """Budgets, and those of the roots whose pools are shared."""
        found |= {budget.grant_id: budget for budget in self.budgets(connection, wanted)}
        pools = {budget.root_grant_id for budget in found.values() if budget.model == "shared-pool"}
        found |= {budget.grant_id: budget for budget in self.budgets(connection, pools - found.keys())}

    def write(self, connection: Connection, batch: Batch) -> None:
        """Write what a batch decided.

        Raises
        ------
        ConflictError
            If another writer has consumed a token, or added to the audit chain, since the batch was loaded.
        """
        # First, because it notices another writer of this chain before its ids could collide with ours.
        self.write_trail(connection, batch.trail)
        self._insert(connection, AGENTS, batch.inserts["agents"])
        self._insert(connection, TOKENS, batch.inserts["issued_tokens"])
        # In the order of keys here and below, so that two batches never wait for each other.
        used = sorted(batch.inserts["used_assertions"], key=itemgetter("assertion_key"))
        self._insert(connection, ASSERTIONS, used)
        _conditionally(connection, CONFIRM, _at(batch.confirmed))
        if batch.changed_agents:
            changed = [batch.loaded.agents[client] for client in sorted(batch.changed_agents)]
            connection.execute(CHANGE_AGENT, [_agent_values(row) for row in changed])
        _conditionally(connection, CONSUME, _at(batch.consumed))
        if batch.changed_grants:
            states = {grant: batch.loaded.grants[grant].to_json() for grant in sorted(batch.changed_grants)}
            self._database.put_states(connection, states, batch.loaded.stored)
        self._insert(connection, CODES, batch.inserts["authorization_codes"])
        redeemed = [{"id": code, "at": at, "grant": grant} for code, at, grant in sorted(batch.redeemed)]
        _conditionally(connection, REDEEM, redeemed)
        ledger = batch.loaded.ledger
        self._insert(connection, BUDGETS, ledger.inserts())
        _conditionally(connection, SPEND, ledger.updates())
        # Last, so that the lock on marks is held for no longer than a commit takes.
        if marks := batch.inserts["revocations"]:
            self._database.lock_marks(connection)
            self._insert(connection, MARKS, marks)

    def end_tokens(self, connection: Connection, mark: Row, tokens: list[int]) -> None:
        """Let tokens' rows say that a mark has ended them."""
        values = {"at": mark["revoked_at"], "why": mark["reason"], "mark": mark["revocation_id"]}
        connection.execute(self._statements.end_tokens, {"keys": tokens} | values)

    def put_tasks(self, connection: Connection, revocation_id: int, tasks: Iterable[str]) -> None:
        """Write down the first tasks that a mark has ended."""
        row = {"revocation_id": revocation_id, "tasks": orjson.dumps(list(tasks)).decode()}
        connection.execute(self._statements.put_tasks, row)

    def put_checkpoints(self, connection: Connection, rows: list[Row]) -> None:
        """Write down signed heads, unless another worker has meanwhile signed the same ones."""
        for row in rows:
            connection.execute(self._statements.put_checkpoint, row)

    def write_trail(self, connection: Connection, trail: Trail) -> None:
        """Write audit rows and move their chain's head.

        Raises
        ------
        ConflictError
            If another writer has added rows to the chain: it must not fork.
        """
        head = trail.head
        if not trail.rows:
            return
        moved = connection.execute(
            self._statements.put_head,
            {
                "chain": head.chain,
                "log_id": head.log_id,
                "row_hash": head.row_hash,
                "length": head.length,
                "before": head.length - len(trail.rows),
            },
        )
        if moved.rowcount != 1:
            raise ConflictError("the audit chain has grown")
        self._database.insert_bare(connection, AUDIT, trail.rows)

    def _insert(self, connection: Connection, target: Table, rows: list[Row]) -> None:
        if rows:
            self._database.insert(connection, target, rows)

    def _by_key(self, connection: Connection, source: Table, values: set[Any]) -> Iterator[Row]:
        ordered = sorted(values)
        for start in range(0, len(ordered), _CHUNK):
            query = self._statements.by_key[source]
            yield from rows_of(connection, query, keys=ordered[start : start + _CHUNK])


def rows_of(connection: Connection, query: Any, **values: Any) -> list[Row]:
    """The rows of a query as dictionaries."""
    result = connection.execute(query, values)
    # Twice as fast as the result's own mappings.
    names = tuple(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _agent_values(row: Row) -> Row:
    return {"id": row["client_id"]} | {
        f"new_{name}": value for name, value in row.items() if name != "client_id"
    }


def _at(changes: list[tuple[int, int]]) -> list[Row]:
    return [{"id": key, "at": at} for key, at in sorted(changes)]


def _conditionally(connection: Connection, statement: Any, changes: list[Row]) -> None:
    if changes:
        done = connection.execute(statement, changes)
        if done.rowcount != len(changes):
            raise ConflictError("consumed by another writer")
