"""How long answers took: percentiles of each row of ``windows``, and what those of a whole Run can be made of.

Percentiles of windows cannot be put together to those of a Run. So each row also has how many latencies there were of
which length, on a scale of steps of 2 %: the sums of such pairs over any rows tell any percentile, at most 2 % too high.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

Longs = npt.NDArray[np.int64]
#: Ratio of two neighbouring steps.
_STEP = 1.02
_QUANTILES = {"p50_us": 0.5, "p95_us": 0.95, "p99_us": 0.99, "max_us": 1.0}


class Latencies:
    """Collects latencies by row. They are counted together at the end, for all rows at once."""

    def __init__(self) -> None:
        # Machine integers: a run in real time has about one latency per operation.
        self._row, self._latency, self._count = array("q"), array("q"), array("q")

    def add(self, first: int, operations: Sequence[str], answered: Mapping[tuple[str, int], int]) -> None:
        """Take in what rows ``first``, ``first + 1``, ... have to tell of these operations.

        Parameters
        ----------
        answered : how many there were of each operation and latency, in whole microseconds.
        """
        row = {operation: first + number for number, operation in enumerate(operations)}
        self._row.extend(row[operation] for operation, _ in answered)
        self._latency.extend(latency for _, latency in answered)
        self._count.extend(answered.values())

    def columns(self, rows: int) -> dict[str, list[Any]]:
        """The columns of ``windows`` that are about latencies; None in rows that have none."""
        row, latency, count = (
            np.array(column, np.int64) for column in (self._row, self._latency, self._count)
        )
        order = np.lexsort((latency, row))
        row, latency, count = row[order], latency[order], count[order]
        told = np.unique(row)
        columns = {
            name: latency[places].tolist()
            for name, places in zip(
                _QUANTILES, _quantiles(row, told, count, list(_QUANTILES.values())), strict=True
            )
        }
        columns |= _steps(row, told, latency, count)
        return {name: _spread(rows, told, values) for name, values in columns.items()}


def _quantiles(row: Longs, told: Longs, count: Longs, wanted: list[float]) -> list[Longs]:
    """Where the smallest latency is that so many of its row do not exceed; ``row`` ascends, latencies in it, too."""
    reached = np.cumsum(count)
    last = np.searchsorted(row, told, side="right") - 1
    before = np.concatenate([[0], reached[last]])[:-1]
    total = reached[last] - before
    # Rounding must not lead past the last of the row.
    return [np.minimum(np.searchsorted(reached, before + quantile * total), last) for quantile in wanted]


def _steps(row: Longs, told: Longs, latency: Longs, count: Longs) -> dict[str, list[Any]]:
    """The pairs of each row: latencies rounded up to their step, and how many there are of each."""
    step = step_of(latency)
    begins = np.flatnonzero((np.diff(row, prepend=-1) != 0) | (np.diff(step, prepend=-1) != 0))
    steps, sums = step[begins].tolist(), np.add.reduceat(count, begins).tolist() if len(begins) else []
    edges = [*np.searchsorted(row[begins], told).tolist(), len(begins)]
    return {
        "latencies_us": [steps[first:last] for first, last in pairwise(edges)],
        "latency_counts": [sums[first:last] for first, last in pairwise(edges)],
    }


def step_of(latency: Longs) -> Longs:
    """Round latencies up to the next step of the scale: a power of the ratio as whole microseconds, at least one."""
    least = np.maximum(latency, 1)
    power = _STEP ** np.ceil(np.log(least) / np.log(_STEP))
    # Logarithms come out a little too small now and then.
    step: Longs = np.maximum(np.floor(power).astype(np.int64), least)
    return step


def _spread(rows: int, told: Longs, values: list[Any]) -> list[Any]:
    """A column of ``rows`` rows with the values in those that tell something."""
    column: list[Any] = [None] * rows
    for row, value in zip(told.tolist(), values, strict=True):
        column[row] = value
    return column
