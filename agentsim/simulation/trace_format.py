"""The long format of agent traces: its columns, and everything that can be wrong with a file of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agentsim.errors import UserError
from agentsim.inputs import MEGABYTE
from agentsim.server.scopes import MOST_MEMBERS

_TEXTS = ("run_id", "agent", "suite", "task_id", "parent_task_id", "tool", "args_digest", "label_detail")
_SIZES = ("n_args", "arg_chars", "result_chars")
_NUMBERS = ("step", "t", *_SIZES, "label")
_FLAGS = ("error", "attack_attempted", "utility")
#: All columns that a trace table must have; it may have others.
COLUMNS = (*_TEXTS, *_NUMBERS, *_FLAGS)
#: Their types as this package writes them; others of the same kind may be read.
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXTS),
        *((name, pa.float64()) for name in _NUMBERS),
        *((name, pa.bool_()) for name in _FLAGS),
    ]
)
#: The tool in the row of a run, or a task, in which none was called.
NO_CALL = "<no_tool_call>"
_NEVER_NULL = ("run_id", "agent", "suite", "task_id", "tool", "step", "error")
_NEVER_EMPTY = ("run_id", "agent", "suite", "task_id", "tool")
#: Rows of a file, and bytes of all its texts: a column that says the same again and again packs ten-thousandfold.
MOST_ROWS = 20_000_000
MOST_TEXT = 4 * 1024 * MEGABYTE
#: A year in seconds: no run of an agent is longer, and its microseconds fit an integer many times over.
LONGEST_RUN = 366 * 86_400


class TraceError(UserError):
    """A trace file cannot be used; ``faults`` lists everything that is wrong with it."""

    def __init__(self, path: Path | str, faults: Iterable[str]) -> None:
        self.path = path
        self.faults = tuple(faults)
        single = len(self.faults) == 1
        lines = (
            [f"{path}: {self.faults[0]}"] if single else [f"{path}: cannot be used as traces", *self.faults]
        )
        super().__init__("\n  ".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions travel between processes by their arguments, which here are not the message.
        return type(self), (self.path, self.faults)


def read_rows(path: Path) -> pd.DataFrame:
    """Read a trace table and check it.

    Returns
    -------
    One row per tool call, sorted by ``run_id`` and ``step``: texts as ``object`` with None, sizes as ``Int64``,
    ``t`` as float, ``label`` as int8 with -1 (unknown) for null, flags as nullable ``boolean``.

    Raises
    ------
    TraceError
        If the file is missing or is not Parquet, or with all that is wrong with its columns, or else with all that
        is wrong with its values.
    """
    try:
        schema = pq.read_schema(path)
        rows = pq.read_metadata(path).num_rows
        if rows > MOST_ROWS:
            raise TraceError(path, [f"has {rows:,} rows; at most {MOST_ROWS:,} are read"])
        wanted = [name for name in COLUMNS if name in schema.names]
        # Texts stay in their dictionaries until it is known how much they are written out.
        table = pq.read_table(path, columns=wanted, read_dictionary=[*_TEXTS])
        # Places in a dictionary are followed without looking: a damaged file leads out of it.
        table.validate(full=True)
    except FileNotFoundError:
        raise TraceError(path, ["no such file"]) from None
    except (OSError, pa.ArrowException) as exc:
        raise TraceError(path, [f"cannot be read as Parquet: {_one_line(exc)}"]) from exc
    return check_rows(path, table)


def check_rows(path: Path, table: pa.Table) -> pd.DataFrame:
    """Check a table of traces that came from a file; returns what :func:`read_rows` does.

    Raises
    ------
    TraceError
        With all that is wrong with its columns, or else with all that is wrong with its values.
    """
    faults = list(_column_faults(table))
    if faults:
        raise TraceError(path, faults)
    rows = _to_pandas(table.select(list(COLUMNS)))
    faults = list(_value_faults(rows))
    if faults:
        raise TraceError(path, faults)
    for name in _SIZES:
        rows[name] = rows[name].astype("Int64")
    rows["label"] = rows["label"].fillna(-1).astype("int8")
    rows["step"] = rows["step"].astype("int64")
    return rows.sort_values(["run_id", "step"], kind="stable", ignore_index=True)


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    rows = pd.DataFrame(index=range(table.num_rows))
    for name in COLUMNS:
        column = table[name]
        if name in _FLAGS:
            rows[name] = column.cast(pa.bool_()).to_pandas().astype("boolean")
        elif name in _NUMBERS:
            rows[name] = column.cast(pa.float64()).to_pandas().astype("float64")
        else:
            rows[name] = np.array(column.cast(pa.string()).to_pylist(), dtype=object)
    return rows


def _column_faults(table: pa.Table) -> Iterable[str]:
    checks: list[tuple[tuple[str, ...], Callable[[pa.DataType], bool], str]] = [
        (_TEXTS, _is_text, "text"),
        (_NUMBERS, _is_number, "numbers"),
        (_FLAGS, pa.types.is_boolean, "true or false"),
    ]
    for names, fits, words in checks:
        for name in names:
            if name not in table.column_names:
                yield f"column {name} is missing"
                continue
            kind = table.schema.field(name).type
            # A column of nothing but nulls may have been written without a type.
            if not fits(kind) and not pa.types.is_null(kind):
                yield f"column {name} must hold {words}, but holds {kind}"
            elif name in _NEVER_NULL and table[name].null_count:
                yield f"column {name} has {table[name].null_count} empty values"
    if table.num_rows == 0:
        yield "there are no rows"
    if (size := sum(_text_size(table[name]) for name in _TEXTS if name in table.column_names)) > MOST_TEXT:
        yield f"its texts are {size // MEGABYTE:,} MiB; at most {MOST_TEXT // MEGABYTE:,} are read"


def _value_faults(rows: pd.DataFrame) -> Iterable[str]:
    for name in _NEVER_EMPTY:
        if (rows[name] == "").any():
            yield f"column {name} has {(rows[name] == '').sum()} empty values"
    for name in _TEXTS:
        odd = sorted({text for text in rows[name].dropna().unique() if not text.isprintable()})
        if odd:
            yield f"column {name} has texts with control characters, first {odd[0]!r}"
    for name in ("step", *_SIZES):
        bad = rows[name].notna() & ~((rows[name] >= 0) & (rows[name] % 1 == 0) & (rows[name] < 2**53))
        if bad.any():
            yield f"column {name} must hold whole numbers from 0 on, not {_first(rows[name], bad)}"
    bad = rows["t"].notna() & ~((rows["t"] >= 0) & (rows["t"] <= LONGEST_RUN))
    if bad.any():
        yield f"column t must hold seconds since the run began, from 0 to a year, not {_first(rows['t'], bad)}"
    bad = rows["label"].notna() & ~rows["label"].isin([-1, 0, 1])
    if bad.any():
        yield f"column label must hold 1, 0 or -1, not {_first(rows['label'], bad)}"
    twice = rows.duplicated(["run_id", "step"])
    if twice.any():
        run, step = rows.loc[twice, "run_id"].iloc[0], rows.loc[twice, "step"].iloc[0]
        yield f"{twice.sum()} rows repeat the step of another of their run, first step {step:g} of run {run}"
    tools = rows.groupby("suite", sort=True)["tool"].nunique()
    if (tools > MOST_MEMBERS).any():
        yield f"suite {tools.idxmax()} has {tools.max()} different tools; at most {MOST_MEMBERS} can be replayed"
    suites = rows.groupby("run_id", sort=True)["suite"].nunique()
    if (suites > 1).any():
        yield f"a run belongs to one suite, but run {suites.index[suites > 1][0]} to {suites[suites > 1].iloc[0]}"


def _first(values: pd.Series[Any], chosen: pd.Series[bool]) -> str:
    return f"{float(values[chosen].iloc[0]):g}"


def _text_size(column: pa.ChunkedArray) -> int:
    """Bytes of a column's texts, written out; 0 for what holds none."""
    size = 0
    for chunk in column.chunks:
        if not _is_text(chunk.type):
            continue
        lengths = pc.binary_length(chunk.dictionary if pa.types.is_dictionary(chunk.type) else chunk)
        if pa.types.is_dictionary(chunk.type):
            lengths = lengths.take(chunk.indices)
        size += pc.sum(lengths.cast(pa.int64())).as_py() or 0
    return size


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
