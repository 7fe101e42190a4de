"""The audit chain, worked out a second time from its definition.

Each row's hash is SHA-256 over the previous row's hash (32 zero bytes at first) and the row's other columns as
one compact JSON array, bytes as hex. A row is held against the hash that is stored in the row before it, so the
files of a chain are checked side by side. The texts of a whole batch are built column by column in Arrow, which
leaves the interpreter free; only the hashing itself goes row by row.
"""

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation
from agentsim.run import Run
from agentsim.tables import SCHEMAS

#: The hashed columns in order: all but the hash itself and the tenant, which a Run adds.
HASHED = tuple(name for name in SCHEMAS["audit"].names if name not in ("tenant", "row_hash"))
_GENESIS = bytes(32)
#: Rows whose texts are in memory at once, for each file that is being read: about 30 MB.
_BATCH = 16_384
_TEXT = pa.large_string()


@dataclass(frozen=True)
class _Part:
    """One file of a tenant's chain; ``above`` is the file before it, ``rows_above`` the rows of all before it."""

    tenant: int
    path: Path
    rows: int
    above: Path | None
    rows_above: int


@dataclass(frozen=True)
class _Link:
    """What a row is held against: the row before it."""

    row_hash: bytes = _GENESIS
    log_id: int = 0


def check_chain(evidence: Evidence) -> list[Violation]:
    """Recompute every tenant's chain; compare row by row, and its head and length with the manifest."""
    run, found = evidence.run, []
    tenants, parts = run.manifest.tenants, _parts(run)
    threads = ThreadPoolExecutor(os.cpu_count())
    try:
        checks = {
            tenant: [threads.submit(_check_part, part) for part in parts.get(tenant, [])]
            for tenant in sorted(tenants)
        }
        for tenant, of_tenant in checks.items():
            # Everything after the first broken link would be wrong as well.
            broken = next(filter(None, (one.result() for one in of_tenant)), None)
            found += [broken] if broken else _check_end(run, tenant, parts.get(tenant, []))
    finally:
        # Who interrupts does not wait for files that nobody has begun to read.
        threads.shutdown(cancel_futures=True)
    for tenant in sorted(set(parts) - set(tenants)):
        found.append(Violation("chain", tenant, "audit chain", "the manifest does not know this tenant"))
    return found


def canonical_rows(batch: pa.RecordBatch | pa.Table) -> pa.Array:
    """The hashed text of each audit row, as orjson would write its values: a JSON array without spaces."""
    texts = [_json_texts(batch.column(name)) for name in HASHED]
    comma, nothing = pa.scalar(",", _TEXT), pa.scalar("", _TEXT)
    inner = pc.binary_join_element_wise(*texts, comma, null_handling="replace", null_replacement="null")
    return pc.binary_join_element_wise(pa.scalar("[", _TEXT), inner, pa.scalar("]", _TEXT), nothing)


def _parts(run: Run) -> dict[int, list[_Part]]:
    """Each tenant's files in order; those without rows link nothing."""
    result: dict[int, list[_Part]] = {}
    for path in run.files("audit"):
        # The tenant is in the name: ``t0003-00000.parquet``.
        tenant = int(path.name[1:].partition("-")[0])
        parts = result.setdefault(tenant, [])
        if rows := pq.read_metadata(path).num_rows:
            above = parts[-1] if parts else None
            rows_above = above.rows_above + above.rows if above else 0
            parts.append(_Part(tenant, path, rows, above.path if above else None, rows_above))
    return result


def _check_part(part: _Part) -> Violation | None:
    """The first row of a file that is not linked to the row before it as it should be."""
    link, number = _last(part.above) if part.above else _Link(), part.rows_above
    for batch in _batches(part.path):
        for name in ("chain", "tenant"):
            others = [other for other in pc.unique(batch.column(name)).to_pylist() if other != part.tenant]
            if others:
                message = f"rows of another {name}: {others[0]}"
                return Violation("chain", part.tenant, "audit chain", message)
        hashes = batch.column("row_hash").fill_null(b"").to_pylist()
        ids = batch.column("log_id").fill_null(0).to_numpy()
        broken = _first_broken(batch, [link.row_hash, *hashes[:-1]], hashes)
        older = np.concatenate(([link.log_id], ids[:-1]))
        disordered = int(np.argmax(ids <= older)) if (ids <= older).any() else len(ids)
        if min(broken, disordered) < len(ids):
            row = min(broken, disordered)
            message = (
                _broken(number + row + 1) if row == broken else f"its id is not larger than {older[row]}"
            )
            return Violation("chain", part.tenant, f"audit row {ids[row]}", message)
        link, number = _Link(hashes[-1], int(ids[-1])), number + len(ids)
    return None


def _first_broken(batch: pa.RecordBatch, above: list[bytes], stored: list[bytes]) -> int:
    """The first row whose hash is not the stored one; as many as there are rows where all are."""
    texts = canonical_rows(batch).cast(pa.large_binary()).to_pylist()
    made = [hashlib.sha256(head + text).digest() for head, text in zip(above, texts, strict=True)]
    if made == stored:
        return len(made)
    return next(row for row, (one, other) in enumerate(zip(made, stored, strict=True)) if one != other)


def _check_end(run: Run, tenant: int, parts: list[_Part]) -> list[Violation]:
    """Whether an unbroken chain is as long, and ends, as the manifest says."""
    entry, found = run.manifest.tenants[tenant], []
    length = sum(part.rows for part in parts)
    if length != entry.audit_rows:
        message = f"{length} rows; the manifest has {entry.audit_rows}"
        found.append(Violation("chain", tenant, "audit chain", message))
    head = _last(parts[-1].path).row_hash if parts else _GENESIS
    if head.hex() != entry.audit_head:
        found.append(Violation("chain", tenant, "audit chain", "its last hash is not the manifest's"))
    return found


def _last(path: Path) -> _Link:
    """What the first row of the next file is held against."""
    with pq.ParquetFile(path) as file:
        rows = file.read(columns=["log_id", "row_hash"], use_threads=False)
    row = rows.slice(rows.num_rows - 1).to_pylist()[0]
    return _Link(row["row_hash"] or b"", row["log_id"] or 0)


def _broken(number: int) -> str:
    return f"row {number} of its chain does not follow from the row before it: one of the two was changed, or a row is missing"


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(_BATCH, columns=["tenant", *HASHED, "row_hash"], use_threads=False)


def _json_texts(column: pa.Array) -> pa.Array:
    """Each value as JSON text; null is null."""
    if column.null_count == len(column):
        return pa.nulls(len(column), _TEXT)
    if pa.types.is_dictionary(column.type):
        return pc.take(_json_texts(column.dictionary), column.indices)
    if pa.types.is_integer(column.type):
        return column.cast(_TEXT)
    return _quoted(_hexadecimal(column) if pa.types.is_binary(column.type) else column.cast(_TEXT))


def _quoted(texts: pa.Array) -> pa.Array:
    """JSON strings. Most texts need backslashes and quotes escaped at most; the others are left to orjson."""
    # Whether a batch has anything to escape is seen from its bytes as a whole, at a tenth of what looking costs.
    data = np.frombuffer(texts.buffers()[2] or b"", dtype=np.uint8)
    simple, quote = texts, pa.scalar('"', _TEXT)
    for special in ("\\", '"'):
        if (data == ord(special)).any():
            simple = pc.replace_substring(simple, special, "\\" + special)
    quoted = pc.binary_join_element_wise(quote, simple, quote, pa.scalar("", _TEXT))
    if not (data < ord(" ")).any():
        return quoted
    rewritten = [None if text is None else orjson.dumps(text).decode() for text in texts.to_pylist()]
    return pa.array(rewritten, _TEXT)


def _hexadecimal(column: pa.Array) -> pa.Array:
    return pa.array([None if value is None else value.hex() for value in column.to_pylist()], _TEXT)
