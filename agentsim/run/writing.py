"""A Run being written: parts of tables, tenant by tenant, and the manifest that lists them.

Files are written under a temporary name and then renamed, so a Run never holds half a file. What was interrupted goes on
where the same command is given again: by whole tenants.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Container, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from agentsim.run.files import replacing, sha256
from agentsim.run.manifest import (
    NAME,
    Failure,
    FileEntry,
    Manifest,
    RunError,
    TenantEntry,
    write_manifest,
)
from agentsim.run.provenance import code, commit, versions
from agentsim.run.reading import Run
from agentsim.tables import SCHEMAS

#: Begins the names of folders that a run works in and removes; one that was killed leaves them to the next.
WORK = ".work-"


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
        with replacing(target) as temporary:
            pq.write_table(rows.cast(SCHEMAS[table]), temporary, compression="zstd")
            entry = FileEntry(sha256=sha256(temporary), rows=rows.num_rows, bytes=temporary.stat().st_size)
        self.files[name] = entry


class RunWriter(PartWriter):
    """Writes one Run: parts per table and tenant, then the manifest. Used as a context: one writer at a time.

    Where the directory holds a Run of the same input and code, its finished and undamaged tenants are kept; any other
    Run is replaced, any other non-empty directory refused.

    Parameters
    ----------
    fresh : keep nothing.

    Raises
    ------
    RunError
        If the directory is not empty and is no Run, cannot be made, or is being written by somebody else.
    """

    def __init__(self, path: Path | str, manifest: Manifest, *, fresh: bool = False) -> None:
        super().__init__(Path(path))
        self.manifest = manifest.model_copy(
            update={"versions": versions(), "commit": commit(), "code": code(), "status": "running"}
        )
        self._lock = _lock(self.path)
        try:
            if not fresh:
                self._take_over()
            # Before anything goes: a Run never lists what is not there, and what is finished stays listed.
            self._save_manifest()
            _clear(self.path, besides=self.files)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write."""
        os.close(self._lock)

    def finish_tenant(
        self, tenant: int, entry: TenantEntry, files: Mapping[str, FileEntry] | None = None
    ) -> None:
        """Note a tenant as finished, with the files that another process wrote for it, and save the manifest."""
        self.files.update(files or {})
        self.manifest.tenants[tenant] = entry
        self._save_manifest()

    def fail_tenant(self, tenant: int, failure: Failure) -> None:
        """Note that a tenant has failed, and save the manifest."""
        self.manifest.failed[tenant] = failure
        self._save_manifest()

    def finish(self, *, start: int, wall_seconds: float) -> Run:
        """Mark the Run as complete, or as failed, and open it."""
        self.manifest.start = start
        self.manifest.end = max((entry.end for entry in self.manifest.tenants.values()), default=start)
        self.manifest.wall_seconds += wall_seconds
        self.manifest.status = "failed" if self.manifest.failed else "complete"
        self._save_manifest()
        return Run(self.path)

    def _take_over(self) -> None:
        """Keep what an earlier sitting has finished."""
        try:
            earlier = Run(self.path)
        except RunError:
            return
        if not self.manifest.continues(earlier.manifest):
            return
        damaged = {_tenant_of(name) for name in earlier.damaged_files()}
        kept = {tenant: entry for tenant, entry in earlier.manifest.tenants.items() if tenant not in damaged}
        self.files = {
            name: entry for name, entry in earlier.manifest.files.items() if _tenant_of(name) in kept
        }
        self.manifest.tenants, self.manifest.reused = kept, len(kept)
        self.manifest.wall_seconds = earlier.manifest.wall_seconds
        self.manifest.created_at = earlier.manifest.created_at

    def _save_manifest(self) -> None:
        # In an order of their own: tenants may have been finished in any.
        self.manifest.files = dict(sorted(self.files.items()))
        self.manifest.tenants = dict(sorted(self.manifest.tenants.items()))
        save_manifest(self)


def save_manifest(run: Run | RunWriter) -> None:
    """Write a Run's manifest, for example after a table file was replaced on purpose."""
    with replacing(run.path / NAME) as temporary:
        write_manifest(temporary, run.manifest)


def _lock(path: Path) -> int:
    """Make the directory and keep everybody else from writing to it; the lock ends with this process at the latest."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()) and not (path / NAME).is_file():
            raise RunError(f"{path}: not empty and no Run; choose another directory")
        directory = os.open(path, os.O_RDONLY)
    except OSError as exc:
        raise RunError(f"{path}: cannot be written: {exc.strerror}") from exc
    try:
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(directory)
        raise RunError(
            f"{path}: another command is writing this Run; wait for it, or choose another directory"
        ) from None
    return directory


def _clear(path: Path, besides: Container[str]) -> None:
    """Remove what an earlier Run has left besides these files."""
    try:
        for left in path.glob(f"{WORK}*"):
            shutil.rmtree(left)
        for table in SCHEMAS:
            for file in (path / table).glob("*"):
                if f"{table}/{file.name}" not in besides:
                    file.unlink()
    except OSError as exc:
        raise RunError(f"{path}: cannot be written: {exc.strerror}") from exc


def _tenant_of(name: str) -> int:
    """The tenant whose file this is: ``audit/t0007-00000.parquet``."""
    return int(name.partition("/t")[2].partition("-")[0])
