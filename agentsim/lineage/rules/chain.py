"""The audit chain, worked out a second time from its definition.

Each row's hash is SHA-256 over the previous row's hash (32 zero bytes at first) and the row's other columns as
one compact JSON array, bytes as hex. The texts of a whole batch are built column by column in Arrow, because
the hashing itself can only go row by row.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

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
_BATCH = 65_536
_TEXT = pa.large_string()
_NULL = pa.scalar("null", _TEXT)


def check_chain(evidence: Evidence) -> list[Violation]:
    """Recompute every tenant's chain; compare row by row, and its head and length with the manifest."""
    found = []
    tenants = evidence.run.manifest.tenants
    for tenant in sorted(tenants):
        found += _check_tenant(evidence.run, tenant)
    for tenant in sorted({_tenant(path) for path in evidence.run.files("audit")} - set(tenants)):
        found.append(Violation("chain", tenant, "audit chain", "the manifest does not know this tenant"))
    return found


def canonical_rows(batch: pa.RecordBatch | pa.Table) -> pa.Array:
    """The hashed text of each audit row, as orjson would write its values: a JSON array without spaces."""
    pieces: list[pa.Array | pa.Scalar] = []
    for number, name in enumerate(HASHED):
        pieces += [pa.scalar("[" if number == 0 else ",", _TEXT), _json_texts(batch.column(name))]
    return pc.binary_join_element_wise(*pieces, pa.scalar("]", _TEXT), pa.scalar("", _TEXT))


def _check_tenant(run: Run, tenant: int) -> list[Violation]:
    """Stop at a tenant's first broken link: everything after it would be wrong as well."""
    entry = run.manifest.tenants[tenant]
    head, length, last_id = _GENESIS, 0, 0
    for batch in _batches(run, tenant):
        ids = batch.column("log_id").to_pylist()
        for name in ("chain", "tenant"):
            others = [other for other in pc.unique(batch.column(name)).to_pylist() if other != tenant]
            if others:
                return [Violation("chain", tenant, "audit chain", f"rows of another {name}: {others[0]}")]
        texts = canonical_rows(batch).cast(pa.large_binary()).to_pylist()
        for log_id, text, stored in zip(ids, texts, batch.column("row_hash").to_pylist(), strict=True):
            head = hashlib.sha256(head + text).digest()
            length += 1
            if head != stored:
                return [Violation("chain", tenant, f"audit row {log_id}", _broken(length))]
            if log_id <= last_id:
                return [
                    Violation("chain", tenant, f"audit row {log_id}", f"its id is not larger than {last_id}")
                ]
            last_id = log_id
    found = []
    if length != entry.audit_rows:
        found.append(
            Violation("chain", tenant, "audit chain", f"{length} rows; the manifest has {entry.audit_rows}")
        )
    if head.hex() != entry.audit_head:
        found.append(Violation("chain", tenant, "audit chain", "its last hash is not the manifest's"))
    return found


def _broken(number: int) -> str:
    return f"row {number} of its chain does not follow from the row before it: one of the two was changed, or a row is missing"


def _batches(run: Run, tenant: int) -> Iterator[pa.RecordBatch]:
    columns = ["tenant", *HASHED, "row_hash"]
    for path in run.files("audit"):
        if _tenant(path) == tenant:
            with pq.ParquetFile(path) as file:
                yield from file.iter_batches(_BATCH, columns=columns)


def _tenant(path: Path) -> int:
    """The tenant in a file's name: ``t0003-00000.parquet``."""
    return int(path.name[1:].partition("-")[0])


def _json_texts(column: pa.Array) -> pa.Array:
    """Each value as JSON text."""
    if pa.types.is_dictionary(column.type):
        return pc.take(_json_texts(column.dictionary), column.indices).fill_null(_NULL)
    if pa.types.is_integer(column.type):
        return column.cast(_TEXT).fill_null(_NULL)
    texts = _hexadecimal(column) if pa.types.is_binary(column.type) else column.cast(_TEXT)
    return _quoted(texts).fill_null(_NULL)


def _quoted(texts: pa.Array) -> pa.Array:
    """JSON strings. Most texts need backslashes and quotes escaped at most; the others are left to orjson."""
    simple = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    quote = pa.scalar('"', _TEXT)
    quoted = pc.binary_join_element_wise(quote, simple, quote, pa.scalar("", _TEXT))
    odd = pc.match_substring_regex(texts, "[\\x00-\\x1f]")
    if not pc.any(odd).as_py():
        return quoted
    rewritten = [
        orjson.dumps(text).decode() if is_odd else None
        for text, is_odd in zip(texts.to_pylist(), odd.to_pylist(), strict=True)
    ]
    return pc.coalesce(pa.array(rewritten, _TEXT), quoted)


def _hexadecimal(column: pa.Array) -> pa.Array:
    return pa.array([None if value is None else value.hex() for value in column.to_pylist()], _TEXT)
