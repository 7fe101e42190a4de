"""Traces of others: Parquet tables and OTLP lines give rows or one error in words, and nothing is half written."""

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agentsim.simulation import TraceError, trace_format
from agentsim.simulation.otlp import reading
from agentsim.simulation.trace_format import COLUMNS, SCHEMA
from agentsim.simulation.traces import read_traces

ROW = {
    "run_id": "r1",
    "agent": "a",
    "suite": "s",
    "task_id": "t",
    "parent_task_id": None,
    "tool": "read",
    "args_digest": "44136fa355b3",
    "label_detail": "none",
    "step": 0.0,
    "t": 0.5,
    "n_args": 1.0,
    "arg_chars": 2.0,
    "result_chars": 3.0,
    "label": 0.0,
    "error": False,
    "attack_attempted": False,
    "utility": True,
}
SPAN = {
    "traceId": f"{1:032x}",
    "spanId": f"{1:016x}",
    "parentSpanId": "",
    "name": "execute_tool read",
    "kind": 1,
    "startTimeUnixNano": "1790000000000000000",
    "endTimeUnixNano": "1790000000001000000",
    "attributes": [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}},
        {"key": "gen_ai.tool.name", "value": {"stringValue": "read"}},
        {"key": "gen_ai.agent.name", "value": {"stringValue": "agent"}},
        {
            "key": "gen_ai.tool.call.arguments",
            "value": {"kvlistValue": {"values": [{"key": "path", "value": {"arrayValue": {"values": []}}}]}},
        },
    ],
    "status": {"code": 2},
    "events": [{"name": "exception", "timeUnixNano": "1790000000000500000", "attributes": []}],
    "links": [],
}
REQUEST = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeSpans": [{"scope": {"name": "by hand"}, "spans": [SPAN], "schemaUrl": "https://x.example"}],
        }
    ]
}
Spoil = Callable[[Any], st.SearchStrategy[Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces")


def read(file: Path) -> bool:
    """Whether the traces were read; else they were refused in words."""
    try:
        made = read_traces(file)
    except TraceError as exc:
        told = str(exc)
    else:
        assert len(made.grants) >= 1
        return True
    assert told.startswith(str(file))
    assert all(len(line) < 3_000 for line in told.splitlines())
    return False


def test_the_sound_ones_are_read(folder: Path) -> None:
    pq.write_table(pa.Table.from_pylist([ROW], schema=SCHEMA), folder / "sound.parquet")
    (folder / "sound.jsonl").write_text(json.dumps(REQUEST))
    assert read(folder / "sound.parquet")
    assert read(folder / "sound.jsonl")


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_one_spoilt_place_of_a_span_is_a_fault_or_fine(
    folder: Path, spoilt_once: Spoil, data: st.DataObject
) -> None:
    file = folder / "spans.jsonl"
    lines = [data.draw(spoilt_once(REQUEST)) for _ in range(data.draw(st.integers(1, 2)))]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8", errors="surrogatepass")
    read(file)


@settings(deadline=None)
@given(
    held=st.binary(max_size=300),
    begin=st.sampled_from([b"", b"{", b"[", b"PAR1", b"\x1f\x8b", b"\xef\xbb\xbf{"]),
)
@example(held=b'{"resourceSpans":' + b"[" * 5_000, begin=b"")
@example(held=b'{"resourceSpans": ' + b"9" * 5_000 + b"}", begin=b"")
@example(held=gzip.compress(b'{"resourceSpans":[]}')[:-6], begin=b"")
@example(held=b"\x1f\x8b\x08\x00" + bytes(20), begin=b"")
@example(held=b"PAR1" + b"\xff" * 40 + b"PAR1", begin=b"")
@example(held=b"\n{}\n{\n}\n", begin=b"")
def test_any_bytes_are_traces_or_not(folder: Path, held: bytes, begin: bytes) -> None:
    file = folder / "any"
    file.write_bytes(begin + held)
    read(file)


texts = (
    st.none()
    | st.text(max_size=8)
    | st.sampled_from(["", "\u202e", "a b", "x" * 3_000, "<script>", "../..", "r1"])
)
numbers = st.none() | st.floats() | st.integers(-2, 3).map(float) | st.sampled_from([2.0**53, 1e308, -0.0])
flags = st.none() | st.booleans()


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A few rows, some of whose values are another's."""
    made = []
    for step in range(draw(st.integers(0, 3))):
        row = ROW | {"step": float(step)}
        for name in draw(st.sets(st.sampled_from(COLUMNS), max_size=3)):
            kind = SCHEMA.field(name).type
            row[name] = draw(
                texts if pa.types.is_string(kind) else flags if pa.types.is_boolean(kind) else numbers
            )
        made.append(row)
    return made


@settings(deadline=None, max_examples=80)
@given(rows=rows())
def test_any_values_of_the_right_types_are_traces_or_not(folder: Path, rows: list[dict[str, Any]]) -> None:
    file = folder / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), file)
    read(file)


TYPES = (
    pa.null(),
    pa.int8(),
    pa.uint64(),
    pa.float16(),
    pa.float64(),
    pa.decimal128(38, 4),
    pa.bool_(),
    pa.string(),
    pa.large_string(),
    pa.binary(),
    pa.dictionary(pa.int32(), pa.string()),
    pa.dictionary(pa.int8(), pa.float64()),
    pa.timestamp("ns", "UTC"),
    pa.date32(),
    pa.duration("s"),
    pa.list_(pa.string()),
    pa.struct([("a", pa.int8())]),
    pa.map_(pa.string(), pa.string()),
)


@settings(deadline=None, max_examples=80)
@given(
    types=st.dictionaries(st.sampled_from(COLUMNS), st.sampled_from(TYPES), max_size=3), values=st.booleans()
)
def test_columns_of_any_type_are_traces_or_not(
    folder: Path, types: dict[str, pa.DataType], values: bool
) -> None:
    file = folder / "types.parquet"
    columns = {name: pa.array([ROW[name]], SCHEMA.field(name).type) for name in COLUMNS}
    for name, kind in types.items():
        column = pa.nulls(1, kind)
        if values:
            with suppress(pa.ArrowException, NotImplementedError):
                column = pa.array([ROW[name]]).cast(kind)
        columns[name] = column
    try:
        pq.write_table(pa.table(columns), file)
    except pa.ArrowException:
        return
    read(file)


@settings(deadline=None)
@given(place=st.integers(0, 1 << 16), byte=st.integers(0, 255))
def test_a_damaged_table_is_read_or_not(folder: Path, place: int, byte: int) -> None:
    file = folder / "damaged.parquet"
    pq.write_table(pa.Table.from_pylist([ROW], schema=SCHEMA), file)
    held = bytearray(file.read_bytes())
    held[place % len(held)] = byte
    file.write_bytes(held)
    read(file)


def test_tables_that_pack_too_well_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "bomb.parquet"
    frame = pd.DataFrame([ROW | {"step": float(step), "tool": "x" * 1_000} for step in range(100)])
    pq.write_table(pa.Table.from_pandas(frame, SCHEMA, preserve_index=False), file)
    assert file.stat().st_size < 50_000
    monkeypatch.setattr(trace_format, "MOST_TEXT", 100_000)
    with pytest.raises(TraceError, match="its texts are"):
        read_traces(file)
    monkeypatch.setattr(trace_format, "MOST_ROWS", 99)
    with pytest.raises(TraceError, match="has 100 rows; at most 99"):
        read_traces(file)


def test_lines_and_files_that_unpack_to_too_much_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "bomb.json.gz"
    line = json.dumps(REQUEST).encode()
    monkeypatch.setattr(reading, "LONGEST_LINE", len(line) + 1)
    monkeypatch.setattr(reading, "LONGEST_FILE", 20 * len(line))
    file.write_bytes(gzip.compress(b"\n".join([line] * 10)))
    assert read(file)
    file.write_bytes(gzip.compress(b"\n".join([line] * 30)))
    with pytest.raises(TraceError, match="split it"):
        read_traces(file)
    file.write_bytes(gzip.compress(b"\n".join([line, line + b" " * 9])))
    with pytest.raises(TraceError, match="a line is longer"):
        read_traces(file)
    monkeypatch.setattr(reading, "LONGEST_OBJECT", 100)
    file.write_bytes(gzip.compress(json.dumps(REQUEST, indent=1).encode()))
    with pytest.raises(TraceError, match="an object goes over"):
        read_traces(file)
