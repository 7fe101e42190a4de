"""Databases that the driver alone writes to: the floor under what the server stores."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Table, create_engine, make_url, select
from sqlalchemy.dialects import sqlite

from agentsim.experiments.bench.floor import BareSigner
from agentsim.server import Store
from agentsim.server.schema import Agent, AuditRow, IssuedToken
from agentsim.server.store import table as table_of

#: Rows by table, each with every column in the table's order.
Rows = Mapping[Table, Sequence[tuple[Any, ...]]]
#: What a grant or a verification adds rows to, and what must be there before.
_WRITTEN = (table_of(IssuedToken), table_of(AuditRow))
_AGENTS = table_of(Agent)
#: How the server sets SQLite; its connection is asked.
_SETTINGS = ("journal_mode", "synchronous", "cache_size", "wal_autocheckpoint", "journal_size_limit")


class Bare(ABC):
    """A database with the server's tables, indexes and settings, and nothing between the driver and us."""

    @abstractmethod
    def insert(self, rows: Rows) -> None:
        """Insert rows in one transaction."""

    @abstractmethod
    def close(self) -> None:
        """Close its connection."""


class BareSQLite(Bare):
    """An SQLite file, written to by ``executemany``.

    Parameters
    ----------
    synchronous : as of :class:`agentsim.server.Store`.
    """

    def __init__(self, path: Path, synchronous: str = "FULL") -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        with closing(Store(path, synchronous=synchronous)) as store, store.engine.connect() as connection:
            for name in _SETTINGS:
                value = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                self._database.execute(f"PRAGMA {name}={value}")

    def insert(self, rows: Rows) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        for table, some in rows.items():
            self._database.executemany(_insert(table), some)
        self._database.execute("COMMIT")

    def close(self) -> None:
        self._database.close()


class BarePostgreSQL(Bare):
    """A schema in a PostgreSQL, written to by COPY."""

    def __init__(self, url: str) -> None:
        Store(url).close()
        target = make_url(url).set(drivername="postgresql+psycopg")
        words, names = create_engine(target).dialect.create_connect_args(target)
        self._connection = psycopg.connect(*words, **names)

    def insert(self, rows: Rows) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            for table, some in rows.items():
                with cursor.copy(_copy(table)) as copy:
                    for row in some:
                        copy.write_row(row)

    def close(self) -> None:
        self._connection.close()


class Floor:
    """Does again what a server has done, without anything in between.

    Parameters
    ----------
    beside : an empty database.
    store : what the server writes to, and whose rows are repeated from now on.
    """

    def __init__(self, beside: Bare, store: Store) -> None:
        self._signer = BareSigner()
        self._beside = beside
        self._store = store
        self._last = dict.fromkeys(_WRITTEN, 0)
        self.new_rows()
        # PostgreSQL lets no token in whose agent is not there.
        self._beside.insert({_AGENTS: self._rows(_AGENTS, 0)})

    def new_rows(self) -> Rows:
        """What the server has written since the last call."""
        found = {target: self._rows(target, last) for target, last in self._last.items()}
        self._last |= {target: rows[-1][0] for target, rows in found.items() if rows}
        return found

    def grant(self, rows: Rows) -> list[str]:
        """Sign as many tokens as there are token rows, and insert all rows."""
        tokens = [self._signer.sign() for _ in rows[_WRITTEN[0]]]
        self._beside.insert(rows)
        return tokens

    def verify(self, tokens: Sequence[str], rows: Rows) -> None:
        """Check tokens that :meth:`grant` has signed, and insert all rows."""
        for token in tokens:
            self._signer.check(token)
        self._beside.insert(rows)

    def _rows(self, target: Table, last: int) -> list[tuple[Any, ...]]:
        (key,) = target.primary_key
        with self._store.transaction() as connection:
            return [tuple(row) for row in connection.execute(select(target).where(key > last).order_by(key))]


@lru_cache
def _insert(table: Table) -> str:
    return str(table.insert().compile(dialect=sqlite.dialect(paramstyle="qmark")))


@lru_cache
def _copy(table: Table) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, table.columns.keys()))
    return sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), names)
