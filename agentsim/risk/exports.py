"""Alerts for other programs: Parquet, CSV for spreadsheets, and OCSF for what collects findings."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from agentsim.errors import UserError
from agentsim.risk.ocsf import finding
from agentsim.run.files import replacing

#: An alert: an entity (a grant, a tree or an agent) whose score reached the threshold. ``raised_at`` in microseconds,
#: ``reasons`` most important first, ``suppressed_by`` who says that it need not be looked at, and why.
ALERT = pa.schema(
    [
        ("alert_id", pa.string()),
        ("kind", pa.string()),
        ("tenant", pa.int32()),
        ("entity", pa.int64()),
        ("grant_id", pa.int64()),
        ("root_grant_id", pa.int64()),
        ("client_id", pa.int64()),
        ("role", pa.string()),
        ("task_id", pa.string()),
        ("raised_at", pa.int64()),
        ("score", pa.float64()),
        ("threshold", pa.float64()),
        ("detector", pa.string()),
        ("action", pa.string()),
        ("reasons", pa.list_(pa.string())),
        ("suppressed_by", pa.string()),
    ]
)
#: Where a cell begins with one of these, spreadsheets take it for a formula (OWASP, CSV Injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class ExportError(UserError):
    """Alerts cannot be written there; the message says why."""


def export(alerts: pd.DataFrame, path: Path) -> None:
    """Write alerts, in the form that the file's ending says: ``.parquet``, ``.csv`` or ``.jsonl``.

    The file is written under another name first and then takes the place of the one that is there.

    Parameters
    ----------
    alerts : one row for each, with the columns of ``ALERT``; ``suppressed_by`` may be missing.
    path : ``.csv`` joins the reasons by ``; `` and puts ``'`` before what a spreadsheet would run; ``.jsonl`` holds an
        OCSF Detection Finding a line (:func:`agentsim.risk.ocsf.finding`).

    Raises
    ------
    ExportError
        If the ending is another one, or the folder is not there.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise ExportError(
            f"{path}: alerts are written as {', '.join(_WRITERS)}; the file's ending says which"
        )
    if not path.parent.is_dir():
        raise ExportError(f"{path}: no such folder: {path.parent}")
    table = alert_table(alerts)
    with replacing(path) as temporary:
        write(table, temporary)


def alert_table(alerts: pd.DataFrame) -> pa.Table:
    """Alerts with the columns and types of ``ALERT``.

    Raises
    ------
    TypeError
        If ids are held as floats, which have fewer digits.
    """
    for name in ("entity", "grant_id", "root_grant_id", "client_id"):
        if pd.api.types.is_float_dtype(alerts[name].dtype) and alerts[name].notna().any():
            raise TypeError(f"{name} must hold whole numbers (Int64 where some are missing)")
    columns = {
        name: _plain(alerts[name]) for name in ALERT.names if name in alerts or name != "suppressed_by"
    }
    return pa.table(
        [pa.array(columns.get(field.name, [None] * len(alerts)), type=field.type) for field in ALERT],
        schema=ALERT,
    )


def _plain(column: pd.Series) -> list[Any]:
    """The values of a column, with None for all that pandas takes for missing."""
    return [None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in column]


def _parquet(table: pa.Table, path: Path) -> None:
    pq.write_table(table, path, compression="zstd")


def _csv(table: pa.Table, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows([_cell(value) for value in row.values()] for row in table.to_pylist())


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return "; ".join(map(harmless_cell, value))
    return harmless_cell(value)


def harmless_cell(value: Any) -> Any:
    """A value of which a spreadsheet makes no formula; what is no text stays as it is."""
    return _harmless(value) if isinstance(value, str) else value


def _harmless(text: str) -> str:
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def _ocsf(table: pa.Table, path: Path) -> None:
    with path.open("wb") as stream:
        stream.writelines(_lines(table))


def _lines(table: pa.Table) -> Iterator[bytes]:
    for batch in table.to_batches(max_chunksize=10_000):
        for alert in batch.to_pylist():
            yield orjson.dumps(finding(alert)) + b"\n"


_WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {".parquet": _parquet, ".csv": _csv, ".jsonl": _ocsf}
