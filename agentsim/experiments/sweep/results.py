"""What a sweep found: one tidy table of all cells, and points compared over their replications."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import sem, t

from agentsim.experiments.sweep.cells import Cell, Sweep, written
from agentsim.experiments.sweep.folder import Record, Status, SweepFolder
from agentsim.risk.exports import harmless_cell
from agentsim.settings.durations import UNITS, parse_duration, parse_rate

_CONFIDENCE = 0.95


def results(folder: Path | str) -> pd.DataFrame:
    """All cells of a sweep, finished or not.

    Parameters
    ----------
    folder : where the sweep is kept.

    Returns
    -------
    One row for each cell: ``cell``, ``status`` (``complete``, ``failed`` or ``missing``), what is varied by its key
    (durations also as seconds under ``<key>_s``, rates per second under ``<key>_per_s``), ``replication``, ``seed`` (text,
    since it has 128 bits), ``digest`` of its tables, ``error``, and all of :func:`~agentsim.experiments.sweep.figures_of`.

    Raises
    ------
    SweepError
        If there is no sweep.
    """
    place = SweepFolder(folder)
    sweep = place.sweep()
    records = [place.record(cell) for cell in sweep.cells]
    told = pd.DataFrame(
        [_told(cell, place.status(cell), record) for cell, record in zip(sweep.cells, records, strict=True)]
    )
    values = _values([cell.values for cell in sweep.cells])
    frame = pd.concat([told[["cell", "status"]], values, told.drop(columns=["cell", "status"])], axis=1)
    return pd.concat([frame, _figures(records)], axis=1).convert_dtypes()


def write_results(folder: SweepFolder) -> None:
    """Keep the results as ``results.parquet`` and ``results.csv``."""
    frame = results(folder.path)
    folder.replace("results.parquet", lambda file: frame.to_parquet(file, index=False))
    # Names and values are those of whoever wrote the sweep.
    cells = frame.rename(columns=harmless_cell).map(harmless_cell)
    folder.replace("results.csv", lambda file: cells.to_csv(file, index=False))


def compare(frame: pd.DataFrame, sweep: Sweep, figures: Sequence[str]) -> pd.DataFrame:
    """Each point over its replications.

    Parameters
    ----------
    frame : the results.
    figures : columns of it.

    Returns
    -------
    One row for each point: what is swept, ``runs`` (complete ones), and for each figure its mean under its own name with
    ``<figure>_low`` and ``<figure>_high``, the 95 % interval of the mean (Student's t; NaN below two runs).
    """
    by = [key for key in sweep.swept if key in frame]
    rows = []
    for _, group in frame.groupby(by, sort=False, dropna=False) if by else [((), frame)]:
        complete = group[group["status"] == "complete"]
        row = {key: group[key].iloc[0] for key in by} | {"runs": len(complete)}
        for name in figures:
            known = complete[name] if name in complete else pd.Series(dtype=float)
            mean, low, high = _interval(known.to_numpy(dtype=float))
            row |= {name: mean, f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def _told(cell: Cell, status: Status, record: Record | None) -> dict[str, Any]:
    failure = record.failure if record else None
    return {
        "cell": cell.cell,
        "status": status,
        "replication": cell.replication,
        "seed": str(cell.seed),
        "digest": record.digest if record and not failure else None,
        "error": f"{failure.type}: {failure.message}" if failure else None,
    }


def _values(cells: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """What is varied, a column for each key, with numbers beside what is written with a unit."""
    columns: dict[str, Any] = {}
    for key in cells[0]:
        shown = [written(values[key]) for values in cells]
        columns[key] = shown if _of_one_kind(shown) else [None if one is None else str(one) for one in shown]
        for suffix, read in (("_s", _seconds), ("_per_s", parse_rate)):
            numbers = _all_read(shown, read)
            if numbers is not None:
                columns[f"{key}{suffix}"] = numbers
    return pd.DataFrame(columns, index=range(len(cells)))


def _of_one_kind(values: Iterable[Any]) -> bool:
    kinds = {type(value) for value in values if value is not None}
    return len(kinds) <= 1 or kinds == {int, float}


def _seconds(text: Any) -> float:
    return parse_duration(text) / UNITS["s"]


def _all_read(values: Iterable[Any], read: Any) -> list[float] | None:
    try:
        return [read(value) for value in values]
    except ValueError:
        return None


def _figures(records: Sequence[Record | None]) -> pd.DataFrame:
    """Figures by cell; of what a complete cell does not name it has counted none."""
    complete = [record is not None and record.failure is None for record in records]
    frame = pd.DataFrame([record.figures if record else {} for record in records], index=range(len(records)))
    counts = [name for name in frame if _head(name) != "latencies"]
    frame.loc[complete, counts] = frame.loc[complete, counts].fillna(0)
    # Parts of one figure stand together, whichever cell named them first.
    heads = list(dict.fromkeys(map(_head, frame)))
    return frame[sorted(frame, key=lambda name: heads.index(_head(name)))]


def _head(name: object) -> str:
    return str(name).partition(".")[0]


def _interval(values: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float, float]:
    if not len(values):
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if len(values) < 2:
        return mean, np.nan, np.nan
    half = float(t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1) * sem(values))
    return mean, mean - half, mean + half
