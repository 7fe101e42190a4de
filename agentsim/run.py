"""A Run on disk: one directory with a manifest and Parquet tables.

    RUN/manifest.json
    RUN/<table>/t<tenant>-<part>.parquet      tables and columns: agentsim.tables

Files are written under a temporary name and then renamed, so a Run never holds half a file. The manifest
lists every finished file with its SHA-256; what it does not list does not belong to the Run.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agentsim.errors import UserError
from agentsim.tables import DETERMINISTIC, FORMAT, SCHEMAS

#: Begins the names of folders that a run works in and removes; one that was killed leaves them to the next.
WORK = ".work-"
_LIBRARIES = ("numpy", "pandas", "pyarrow", "pyjwt", "scikit-learn", "sqlalchemy")


class RunError(UserError):
    """A directory is not a Run that this version can read; the message says why and what to do."""


class FileEntry(BaseModel):
    """One finished table file."""

    model_config = ConfigDict(extra="forbid")
    sha256: str
    rows: int
    bytes: int


class TenantEntry(BaseModel):
    """One finished tenant: its audit chain's head and length, and what it counted."""

    model_config = ConfigDict(extra="forbid")
    audit_head: str
    audit_rows: int
    counts: dict[str, int] = Field(default_factory=dict)


class ForkEntry(BaseModel):
    """Where a Run goes on differently from another: which one, when, and what was set."""

    model_config = ConfigDict(extra="forbid")
    #: Directory and :meth:`Manifest.digest` of the other Run.
    run: str
    digest: str
    #: Microseconds since the simulated beginning.
    at: int
    #: Keys of the scenario with what they have from then on.
    settings: dict[str, Any]
    #: The server policy that was in force until then.
    policy: dict[str, Any]


class Manifest(BaseModel):
    """What a Run says of itself."""

    model_config = ConfigDict(extra="forbid")
    format: int = FORMAT
    #: ``simulation`` or ``replay``.
    kind: str
    name: str
    #: ``running`` until every tenant is finished, then ``complete``.
    status: str = "running"
    seed: int | None = None
    #: The resolved scenario of a simulation; source, size and SHA-256 of the traces of a replay.
    source: dict[str, Any]
    #: The server policy that was in force, in a fork from its moment on.
    policy: dict[str, Any]
    #: None for a Run that is no fork.
    fork: ForkEntry | None = None
    #: The command that makes the same Run again.
    reproduce: str
    created_at: str
    #: First and last simulated microsecond.
    start: int = 0
    end: int = 0
    versions: dict[str, str] = Field(default_factory=dict)
    commit: str | None = None
    wall_seconds: float = 0.0
    tenants: dict[int, TenantEntry] = Field(default_factory=dict)
    files: dict[str, FileEntry] = Field(default_factory=dict)

    def digests(self) -> dict[str, str]:
        """One SHA-256 per deterministic table, over its files' names and digests in order."""
        result = {}
        for table in DETERMINISTIC:
            total = hashlib.sha256()
            for name in sorted(self.files):
                if name.startswith(f"{table}/"):
                    total.update(f"{name} {self.files[name].sha256}\n".encode())
            result[table] = total.hexdigest()
        return result

    def digest(self) -> str:
        """One SHA-256 over those of all deterministic tables."""
        return hashlib.sha256(json.dumps(self.digests(), sort_keys=True).encode()).hexdigest()

    def most(self, rule: str) -> int | None:
        """The highest value that a rule of the policy has had in this Run; None where it is not known."""
        policies = [self.policy, *([self.fork.policy] if self.fork else [])]
        values = [int(policy[rule]) for policy in policies if policy.get(rule) is not None]
        return max(values, default=None)


class Run:
    """A Run opened for reading.

    Parameters
    ----------
    path : directory that holds ``manifest.json``.

    Raises
    ------
    RunError
        If there is no manifest, it cannot be read, or it was written by a newer format.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.manifest = _read_manifest(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.manifest.kind}, {self.manifest.status})"

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
        except (OSError, pa.ArrowInvalid) as exc:
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
                with _readable(f"{self.path}: table {table}"):
                    relation = connection.read_parquet(files)
            else:
                relation = connection.from_arrow(schema.empty_table())
            relation.create_view(table)
        return connection

    def sql(self, query: str) -> pd.DataFrame:
        """Answer a DuckDB query over the tables, each a view under its own name.

        Raises
        ------
        RunError
            If a table's file is missing or damaged; faults of the query itself stay DuckDB's errors.
        """
        database = self._database
        with _readable(f"{self.path}: a table"):
            result: pd.DataFrame = database.cursor().sql(query).df()
        return result

    def damaged_files(self) -> list[str]:
        """Names of listed files that are missing or whose SHA-256 differs from the manifest's."""
        found = []
        for name, entry in self.manifest.files.items():
            file = self.path / name
            if not file.is_file() or _sha256(file) != entry.sha256:
                found.append(name)
        return found


class PartWriter:
    """Writes parts of tables into a Run's directory and keeps account of them; a worker process may have its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: The finished files by name, as a manifest lists them.
        self.files: dict[str, FileEntry] = {}
        self._parts: dict[tuple[str, int], int] = {}

    def write(self, table: str, tenant: int, rows: pa.Table) -> None:
        """Write one part of a table; ``rows`` has the table's columns, the tenant's included."""
        part = self._parts.get((table, tenant), 0)
        self._parts[table, tenant] = part + 1
        name = f"{table}/t{tenant:04d}-{part:05d}.parquet"
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        with _replacing(target) as temporary:
            pq.write_table(rows.cast(SCHEMAS[table]), temporary, compression="zstd")
            entry = FileEntry(sha256=_sha256(temporary), rows=rows.num_rows, bytes=temporary.stat().st_size)
        self.files[name] = entry


class RunWriter(PartWriter):
    """Writes one Run: parts per table and tenant, then the manifest.

    A directory that already holds a Run is replaced, any other non-empty directory is refused.

    Raises
    ------
    RunError
        If the directory is not empty and is no Run, or cannot be made.
    """

    def __init__(self, path: Path | str, manifest: Manifest) -> None:
        super().__init__(Path(path))
        self.manifest = manifest.model_copy(
            update={"versions": _versions(), "commit": _commit(), "status": "running"}
        )
        _prepare(self.path)
        self._save_manifest()

    def finish_tenant(
        self, tenant: int, entry: TenantEntry, files: Mapping[str, FileEntry] | None = None
    ) -> None:
        """Note a tenant as finished, with the files that another process wrote for it, and save the manifest."""
        self.files.update(files or {})
        self.manifest.tenants[tenant] = entry
        self._save_manifest()

    def finish(self, *, start: int, end: int, wall_seconds: float) -> Run:
        """Mark the Run as complete and open it."""
        self.manifest.start, self.manifest.end = start, end
        self.manifest.wall_seconds = wall_seconds
        self.manifest.status = "complete"
        self._save_manifest()
        return Run(self.path)

    def _save_manifest(self) -> None:
        # In an order of their own: tenants may have been finished in any.
        self.manifest.files = dict(sorted(self.files.items()))
        self.manifest.tenants = dict(sorted(self.manifest.tenants.items()))
        save_manifest(self)


def save_manifest(run: Run | RunWriter) -> None:
    """Write a Run's manifest, for example after a table file was replaced on purpose."""
    with _replacing(run.path / "manifest.json") as temporary:
        temporary.write_text(run.manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")


@contextmanager
def _replacing(target: Path) -> Iterator[Path]:
    temporary = target.with_name(f".{target.name}.tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as exc:
        raise RunError(f"{what} cannot be read: {str(exc).splitlines()[0]}") from exc


def _prepare(path: Path) -> None:
    try:
        if path.exists() and any(path.iterdir()):
            if not (path / "manifest.json").is_file():
                raise RunError(f"{path}: not empty and no Run; choose another directory")
            for name in ("manifest.json", *SCHEMAS, *(left.name for left in path.glob(f"{WORK}*"))):
                _remove(path / name)
        path.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise RunError(f"{path}: cannot be written: {exc.strerror}") from exc


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_manifest(path: Path) -> Manifest:
    file = path / "manifest.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path}: no Run here (no manifest.json); make one with 'agentsim simulate'") from None
    except (OSError, ValueError) as exc:
        raise RunError(f"{file}: cannot be read: {exc}") from exc
    written = data.get("format") if isinstance(data, dict) else None
    if isinstance(written, int) and written > FORMAT:
        raise RunError(
            f"{path}: written in format {written}, this version reads up to {FORMAT}; update agentsim"
        )
    try:
        return Manifest.model_validate(data)
    except ValidationError as exc:
        raise RunError(f"{file}: not a Run's manifest: {exc.errors()[0]['msg']}") from exc


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _versions() -> dict[str, str]:
    names: Iterable[str] = ("agentsim", *_LIBRARIES)
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _commit() -> str | None:
    """The source's commit with ``+dirty`` where it was changed; None outside a checkout."""

    def git(*words: str) -> str:
        here = Path(__file__).parent
        done = subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        # Installed below somebody else's checkout, that one's commit would say nothing of us.
        if not (Path(git("rev-parse", "--show-toplevel")) / "agentsim" / "run.py").is_file():
            return None
        return git("rev-parse", "HEAD") + ("+dirty" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _nullable_integers(arrow: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    return {pa.int64(): pd.Int64Dtype(), pa.int32(): pd.Int32Dtype()}.get(arrow)
