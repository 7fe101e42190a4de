"""What the server asks of a database beside plain SQL: bulk inserts, locks, and which errors are a race lost."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import URL, ColumnElement, Connection, Engine, Table, create_mock_engine, event, inspect

from agentsim.server.schema import Base


class ConflictError(RuntimeError):
    """Another writer consumed what this batch was about to consume: load and decide again."""


class Database(ABC):
    """One database and how to reach it.

    Transactions begin where we say: the driver's own handling of them is off, and the ``begin`` event of the
    engine says how. Execution options ask for others: ``reading`` for one that only reads, ``hurried`` for one that a
    power cut may undo (whole, and only while nothing else has been committed after it).
    """

    #: Whether several writers may be at work at the same time.
    shared: bool
    #: Whether all there is is one connection, so that readers wait for the writer.
    single: bool = False
    #: Where a mark stands in the order of commits: a column of ``revocations``.
    place: ColumnElement[int]
    #: How transactions begin: one that may write, one that only reads.
    _begin: tuple[str, ...]
    _begin_reading: tuple[str, ...]
    _begin_hurried: tuple[str, ...]

    def __init__(self, url: URL, synchronous: str) -> None:
        self.engine = self._make_engine(url, synchronous)

        @event.listens_for(self.engine, "begin")
        def _begin(connection: Connection) -> None:
            for statement in self._how_to_begin(connection, connection.get_execution_options()):
                connection.exec_driver_sql(statement)

    def _how_to_begin(self, _connection: Connection, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The statements that begin a transaction with these execution options."""
        if options.get("reading"):
            return self._begin_reading
        return self._begin_hurried if options.get("hurried") else self._begin

    @abstractmethod
    def _make_engine(self, url: URL, synchronous: str) -> Engine: ...

    def create_tables(self) -> None:
        """Create what tables there are not yet."""
        with self.engine.connect() as connection, connection.begin():
            self.lock_tables(connection)
            if inspect(connection).get_table_names():
                Base.metadata.create_all(connection)
                return
            # Of each tenant, and of each story of the tests: what the models come to is made up once for all of them.
            for definition in _definitions(self.engine.dialect.name, self.engine.dialect.driver):
                connection.exec_driver_sql(definition)

    @abstractmethod
    def lock_tables(self, connection: Connection) -> None:
        """Let no other process create or change tables until the end of the transaction."""

    def insert(self, connection: Connection, target: Table, rows: list[dict[str, Any]]) -> None:
        """Insert many rows, all with every column."""
        self.insert_bare(connection, target, list(map(_values_of(target), rows)))

    @abstractmethod
    def insert_bare(self, connection: Connection, target: Table, rows: list[tuple[Any, ...]]) -> None:
        """Insert many rows, as tuples in the order of the table's columns."""

    @classmethod
    def upsert(cls, target: Table, key: str, where: Any = None) -> Any:
        """A statement that inserts a row or, where its key is there and the condition holds, updates it."""
        insert = cls._insert_into(target)
        changed = {
            column.name: insert.excluded[column.name] for column in target.columns if column.name != key
        }
        return insert.on_conflict_do_update(index_elements=[key], set_=changed, where=where)

    @classmethod
    def insert_new(cls, target: Table) -> Any:
        """A statement that inserts a row unless its key is there."""
        return cls._insert_into(target).on_conflict_do_nothing()

    @staticmethod
    @abstractmethod
    def _insert_into(target: Table) -> Any:
        """The dialect's own INSERT."""

    @abstractmethod
    def put_states(self, connection: Connection, states: dict[int, str], stored: set[int]) -> None:
        """Write grant states by grant, in the order of keys; ``stored`` are those that the database has."""

    @staticmethod
    @abstractmethod
    def among(column: ColumnElement[Any]) -> ColumnElement[bool]:
        """The condition that a column is one of the bound ``keys``."""

    @abstractmethod
    def pass_barrier(self, connection: Connection, *, exclusive: bool) -> None:
        """Wait for the barrier, and hold it to the end of the transaction."""

    @abstractmethod
    def lock_marks(self, connection: Connection) -> None:
        """Let no other writer insert marks until the end of the transaction."""

    @abstractmethod
    def try_fill(self, connection: Connection) -> bool:
        """Become the one who fills until the end of the transaction, unless another writer is."""

    @abstractmethod
    def try_watch(self) -> bool:
        """Become the one who watches until the database is closed, unless another process is."""

    @abstractmethod
    def claim_writer(self) -> int:
        """The lowest writer number that no other process holds; held until the database is closed."""

    def is_conflict(self, error: Exception) -> bool:
        """Whether an error says that another writer was faster, so that deciding anew may succeed."""
        return isinstance(error, ConflictError)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@lru_cache
def _definitions(kind: str, driver: str) -> tuple[str, ...]:
    """The statements that make all tables and their indexes in an empty database."""
    told: list[str] = []

    def tell(definition: Any, *_: Any) -> None:
        told.append(str(definition.compile(dialect=mock.dialect)))

    mock = create_mock_engine(f"{kind}+{driver}://", tell)
    Base.metadata.create_all(mock, checkfirst=False)
    return tuple(told)


@lru_cache
def _values_of(target: Table) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """What takes a row's values in the order of the table's columns."""
    return itemgetter(*target.columns.keys())
