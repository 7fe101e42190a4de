"""The floor of a play: signatures, and inserts of as many rows, with nothing decided in between."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import Boolean, Column, LargeBinary, Table, Text
from tqdm.auto import tqdm

from agentsim.experiments.bench.bare import Bare, BareSQLite
from agentsim.experiments.bench.floor import BareSigner
from agentsim.run import Run
from agentsim.server.schema import Agent, AuditRow, IssuedToken
from agentsim.server.store import table

#: Audit rows of one transaction: as many as a batch of the simulator has operations.
_BATCH = 1_000
#: Signatures that are measured; all cost the same.
_SIGNATURES = 10_000
_TABLES = {"agents": table(Agent), "tokens": table(IssuedToken), "audit": table(AuditRow)}


@dataclass(frozen=True, kw_only=True)
class SameWork:
    """Seconds that the same work takes at least: each token signed once and checked once, and all rows inserted."""

    sign_s: float
    check_s: float
    insert_s: float

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.sign_s + self.check_s + self.insert_s


def same_work(run: Run, *, progress: bool = False) -> SameWork:
    """Do the work of a Run again: signatures alone, and inserts by the driver alone.

    Its agents, tokens and audit rows go into SQLite files with the server's tables and indexes (synchronous NORMAL, as the
    simulator has it), a file per tenant.

    Parameters
    ----------
    progress : whether to draw a progress bar on standard error.
    """
    entries = run.manifest.tenants
    tokens = sum(entry.counts["tokens"] for entry in entries.values())
    signer, sample = BareSigner(), min(tokens, _SIGNATURES)
    began = perf_counter()
    signed = [signer.sign() for _ in range(sample)]
    sign = perf_counter() - began
    for token in signed:
        signer.check(token)
    check = perf_counter() - began - sign
    each = tokens / max(1, sample)
    insert = 0.0
    rows = sum(entry.audit_rows for entry in entries.values())
    with tqdm(total=rows, unit="row", disable=not progress, desc="floor", leave=False) as bar:
        for tenant in entries:
            with TemporaryDirectory(prefix="agentsim-bench-") as folder:
                path = Path(folder) / "floor.db"
                with closing(BareSQLite(path, synchronous="NORMAL")) as bare:
                    insert += insert_rows(run, tenant, bare, bar.update)
    return SameWork(sign_s=sign * each, check_s=check * each, insert_s=insert)


def insert_rows(run: Run, tenant: int, bare: Bare, advance: Callable[[int], object]) -> float:
    """Insert a tenant's rows in their order; hashes, which a Run does not hold, are replaced by random bytes.

    Parameters
    ----------
    bare : an empty database.
    advance : told how many audit rows each transaction had.

    Returns
    -------
    Seconds spent on inserting; reading the Run is not counted.
    """
    counts = run.manifest.tenants[tenant].counts
    rows = {name: _rows(run, name, tenant, target) for name, target in _TABLES.items()}
    batches = -(-counts["audit"] // _BATCH)
    spent = 0.0
    for number in range(batches):
        part = {
            target: list(islice(rows[name], _share(counts[name], number, batches)))
            for name, target in _TABLES.items()
        }
        began = perf_counter()
        bare.insert(part)
        spent += perf_counter() - began
        advance(len(part[_TABLES["audit"]]))
    return spent


def _share(total: int, number: int, batches: int) -> int:
    return total * (number + 1) // batches - total * number // batches


def _rows(run: Run, name: str, tenant: int, target: Table) -> Iterator[tuple[Any, ...]]:
    """The rows of one tenant as the server's table has them, in order."""
    beginning = f"{name}/t{tenant:04d}-"
    for file in sorted(each for each in run.manifest.files if each.startswith(beginning)):
        with pq.ParquetFile(run.path / file) as parquet:
            for batch in parquet.iter_batches():
                held = set(batch.schema.names)
                columns = [
                    batch.column(column.name).to_pylist()
                    if column.name in held
                    else _filler(column, batch.num_rows)
                    for column in target.columns
                ]
                yield from zip(*columns, strict=True)


def _filler(column: Column[Any], rows: int) -> list[Any]:
    """Values of a column that a Run does not hold, about as long as the server's."""
    if isinstance(column.type, LargeBinary):
        return [os.urandom(32) for _ in range(rows)]
    if column.nullable:
        return [None] * rows
    if isinstance(column.type, Text):
        return ["x" * 32] * rows
    return [False if isinstance(column.type, Boolean) else 0] * rows
