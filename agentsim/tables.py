"""The tables of a Run: their columns and types, frozen as a format.

A Run holds what the token server's database held, without secrets and their hashes, and beside it the
``labels`` (ground truth, never read by features), the ``exposures`` (what resource servers let through after a
revocation) and the ``windows`` (what the run cost, wall time).
Times are microseconds, ids are 63-bit integers, scopes, tools and resources are canonical text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

#: Raised whenever a column changes its name, type or meaning.
FORMAT = 1

_int, _text, _flag, _bytes = pa.int64(), pa.string(), pa.bool_(), pa.binary()
#: Columns with few values, dictionary-encoded in memory as on disk.
_word = pa.dictionary(pa.int32(), pa.string())


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([("tenant", pa.int32()), *columns.items()])


SCHEMAS: dict[str, pa.Schema] = {
    "agents": _schema(
        client_id=_int,
        agent_name=_text,
        description=_word,
        registered_allowed_tools=_word,
        registered_allowed_res=_word,
        registered_scope=_word,
        max_scope_level=_word,
        is_active=_flag,
        created_at=_int,
        updated_at=_int,
        owner=_word,
        role=_word,
        actor_class=_word,
    ),
    "tokens": _schema(
        token_id=_int,
        client_id=_int,
        scope=_word,
        granted_tools=_word,
        granted_resources=_word,
        max_scope_level=_word,
        task_id=_text,
        parent_task_id=_text,
        parent_token_id=_int,
        task_description=_text,
        scope_inheritance_type=_word,
        issued_at=_int,
        expires_at=_int,
        is_revoked=_flag,
        revoked_at=_int,
        revocation_reason=_word,
        revocation_id=_int,
        grant_id=_int,
        parent_grant_id=_int,
        root_grant_id=_int,
        depth=_int,
        lineage=_bytes,
        task_key=_int,
        grant_expires_at=_int,
        budget=_int,
        previous_token_id=_int,
        refresh_consumed_at=_int,
        principal=_word,
        owner=_word,
        role=_word,
        actor_class=_word,
    ),
    "revocations": _schema(
        revocation_id=_int,
        kind=_word,
        key=_int,
        subject=_text,
        owner=_word,
        reason=_word,
        revoked_by=_word,
        revoked_at=_int,
        closure=_word,
        affected_grants=_int,
        affected_tokens=_int,
    ),
    "audit": _schema(
        log_id=_int,
        chain=_int,
        client_id=_int,
        token_id=_int,
        access_token_hash=_bytes,
        grant_id=_int,
        parent_grant_id=_int,
        root_grant_id=_int,
        task_id=_text,
        parent_task_id=_text,
        event_type=_word,
        timestamp=_int,
        status=_word,
        reason=_word,
        source_ip=_word,
        details=_text,
        row_hash=_bytes,
    ),
    # One row per attacker operation in a simulation (log_id set); one row per grant in a replay
    # (log_id null). label: 1 attack, 0 benign, -1 unknown or disputed.
    "labels": _schema(
        log_id=_int,
        grant_id=_int,
        root_grant_id=_int,
        label=pa.int8(),
        attack=_word,
        attack_id=pa.int32(),
        stealth=pa.float64(),
        detail=_word,
        attempted=_flag,
        utility=_flag,
    ),
    # One row per revocation and resource server that let calls through after the mark; none where nobody did.
    # ``first_us`` and ``last_us`` are times after the mark.
    "exposures": _schema(
        revocation_id=_int,
        resource=_word,
        verification=_word,
        honoured=_int,
        tokens=_int,
        first_us=_int,
        last_us=_int,
    ),
    # What the run cost, per window of simulated time and operation. The only table that holds wall time. Latencies are
    # those of the answers: by the simulated clock what the batch took, by the wall's the time since the step was meant to be taken.
    # ``latencies_us`` and ``latency_counts`` are the same in pairs, rounded up by 2 % at most: what percentiles of a Run are made of.
    "windows": _schema(
        window=pa.int32(),
        start=_int,
        operation=_word,
        count=_int,
        refused=_int,
        wall_us=_int,
        rss_bytes=_int,
        database_bytes=_int,
        # Handed to the system by the process; null where that does not count.
        written_bytes=_int,
        # Null where the row is no operation.
        p50_us=_int,
        p95_us=_int,
        p99_us=_int,
        max_us=_int,
        latencies_us=pa.list_(_int),
        latency_counts=pa.list_(_int),
    ),
}

#: Tables that the same scenario and seed reproduce to the byte.
DETERMINISTIC = ("agents", "tokens", "revocations", "audit", "labels", "exposures")


def make_table(name: str, rows: int, columns: Mapping[str, Sequence[Any]]) -> pa.Table:
    """A table of ``rows`` rows in its own schema, from Python values; columns that are not given are null."""
    arrays = []
    for field in SCHEMAS[name]:
        plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        values = columns.get(field.name)
        array = pa.nulls(rows, plain) if values is None else pa.array(values, plain, from_pandas=True)
        arrays.append(array.cast(field.type))
    return pa.Table.from_arrays(arrays, schema=SCHEMAS[name])
