"""A Run opened for reading: its tables as Arrow, as pandas, and by SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agentsim.fragments import one_line
from agentsim.run.files import sha256
from agentsim.run.manifest import RunError, read_manifest
from agentsim.tables import SCHEMAS

#: How DuckDB says that it knows no such table.
_UNKNOWN_TABLE = re.compile(r"Table with name (.+?) does not exist")


class Run:
    """A Run opened for reading.

    Parameters
    ----------
    path : directory that holds ``manifest.json``.

    Raises
    ------
    RunError
        If there is no manifest, it cannot be read, is not what was written, or it was written by a newer format.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.manifest = read_manifest(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.manifest.kind}, {self.manifest.status})"

    def _repr_html_(self) -> str:
        # Only notebooks ask, and the display needs this class.
        from agentsim.run.display import run_html

        return run_html(self)

    @property
    def name(self) -> str:
        return self.manifest.name

    def files(self, table: str) -> list[Path]:
        """The finished files of one table, in order."""
        return [self.path / name for name in sorted(self.manifest.files) if name.startswith(f"{table}/")]

    def read(self, table: str, columns: list[str] | None = None) -> pa.Table:
        """One table as Arrow, rows in the order of tenant and part.

        Raises
        ------
        RunError
            If a file of the table is missing or cannot be read.
        """
        schema = SCHEMAS[table]
        if columns is not None:
            schema = pa.schema([schema.field(name) for name in columns])
        try:
            parts = [
                pq.read_table(file, columns=columns, schema=SCHEMAS[table]) for file in self.files(table)
            ]
        except (OSError, pa.ArrowException) as exc:
            raise RunError(f"{self.path}: table {table} cannot be read: {exc}") from exc
        return pa.concat_tables(parts) if parts else schema.empty_table()

    def frame(self, table: str, columns: list[str] | None = None) -> pd.DataFrame:
        """One table as a pandas DataFrame; nullable integers stay integers (``Int64``)."""
        result: pd.DataFrame = self.read(table, columns).to_pandas(types_mapper=_nullable_integers)
        return result

    @cached_property
    def _database(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect()
        for table, schema in SCHEMAS.items():
            files = [str(file) for file in self.files(table)]
            if files:
                with self._readable(f"table {table}"):
                    relation = connection.read_parquet(files)
                    self._require_types(table)
            else:
                relation = connection.from_arrow(schema.empty_table())
            relation.create_view(table)
        return connection

    def sql(self, query: str) -> pd.DataFrame:
        """Answer a DuckDB query over the tables, each a view under its own name.

        Raises
        ------
        RunError
            If a table's file is missing or damaged, or the query names a table that no Run has; other faults of the query
            stay DuckDB's errors, which name the columns that are meant.

        Examples
        --------
        >>> run.sql("SELECT event_type, status, count(*) AS times FROM audit GROUP BY ALL ORDER BY times DESC")
        """
        database = self._database
        with self._readable("a table"):
            result: pd.DataFrame = database.cursor().sql(query).df()
        return result

    def arrow(self, query: str) -> pa.Table:
        """As :meth:`sql`, as an Arrow table: for columns of text or lists with millions of rows."""
        database = self._database
        with self._readable("a table"):
            return database.cursor().sql(query).to_arrow_table()

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        try:
            yield
        except (duckdb.IOException, duckdb.InvalidInputException) as exc:
            raise RunError(f"{self.path}: {what} cannot be read: {str(exc).splitlines()[0]}") from exc
        except duckdb.CatalogException as exc:
            unknown = _UNKNOWN_TABLE.search(str(exc))
            if unknown is None:
                raise
            raise RunError(f"a Run has no table {unknown[1]!r}; it has {', '.join(SCHEMAS)}") from exc
        except duckdb.BinderException as exc:
            missing = self._missing_column()
            if missing is None:
                raise
            raise RunError(missing) from exc
        except (OSError, pa.ArrowException) as exc:
            raise RunError(f"{self.path}: {what} cannot be read: {str(exc).splitlines()[0]}") from exc

    def _require_types(self, table: str) -> None:
        """DuckDB takes columns as they are, and what asks about them then fails in all sorts of ways."""
        for file in self.files(table):
            held = pq.read_schema(file)
            for field in SCHEMAS[table]:
                place = held.get_field_index(field.name)
                if place >= 0 and _plain(held.field(place).type) != _plain(field.type):
                    found = str(held.field(place).type)[:80]
                    raise RunError(f"{file}: not a Run's table: {field.name} is {found}, not {field.type}")

    def _missing_column(self) -> str | None:
        """What is told of the first column that is not there; earlier versions wrote fewer."""
        for table, schema in SCHEMAS.items():
            for file in self.files(table):
                names = set(pq.read_schema(file).names)
                if missing := [name for name in schema.names if name not in names]:
                    return f"{file}: not a Run's table, or an earlier version's: no column {missing[0]}"
        return None

    def damaged_files(self) -> list[str]:
        """Names of listed files that are missing or whose SHA-256 differs from the manifest's."""
        found = []
        for name, entry in self.manifest.files.items():
            file = self.path / name
            if not file.is_file() or sha256(file) != entry.sha256:
                found.append(name)
        return found

    def require_whole(self) -> None:
        """Go on only where every file is what was written.

        Raises
        ------
        RunError
            Naming files that are not, and the command that makes them again.
        """
        damaged = self.damaged_files()
        if damaged:
            more = f" and {len(damaged) - 1:,} more" if len(damaged) > 1 else ""
            raise RunError(f"{self.path}: {damaged[0]}{more}: {self.remedy()}")

    def remedy(self) -> str:
        """What is told of a file that is damaged, and what to do."""
        return f"missing, or not what was written; make it again: {one_line(self.manifest.reproduce)}"


def _plain(arrow: pa.DataType) -> pa.DataType:
    """A type without how it is packed."""
    if pa.types.is_dictionary(arrow):
        return _plain(arrow.value_type)
    if pa.types.is_integer(arrow):
        return pa.int64()
    return pa.string() if pa.types.is_large_string(arrow) else arrow


def _nullable_integers(arrow: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    return {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}.get(arrow)
