"""How long the operations of a Run waited for their answers, over all its windows and tenants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from agentsim.run import Run

_COLUMNS = ["operation", "max_us", "latencies_us", "latency_counts"]


@dataclass(frozen=True, slots=True)
class Latency:
    """Latencies of one operation, in microseconds. Percentiles are at most 2 % too high; ``max`` is exact.

    By the simulated clock a latency is the wall time of the batch in which the operation was answered; by the wall's it is the
    time since the operation was meant to begin.
    """

    operations: int
    p50: int
    p95: int
    p99: int
    max: int


def latencies(run: Run) -> dict[str, Latency]:
    """Latencies by operation; empty for a Run that was made before they were kept.

    Raises
    ------
    RunError
        If the table cannot be read.
    """
    rows = run.read("windows", _COLUMNS)
    rows = rows.filter(pc.is_valid(rows["latencies_us"]))
    names = rows["operation"].cast("string").to_numpy(zero_copy_only=False)
    longest = rows["max_us"].to_numpy()
    lengths = pc.list_value_length(rows["latencies_us"]).to_numpy()
    values = pc.list_flatten(rows["latencies_us"]).to_numpy()
    counts = pc.list_flatten(rows["latency_counts"]).to_numpy()
    found = {}
    for name in sorted(set(names)):
        own = np.repeat(names == name, lengths)
        steps, place = np.unique(values[own], return_inverse=True)
        reached = np.cumsum(np.bincount(place, counts[own]))
        last = int(longest[names == name].max())
        at = np.searchsorted(reached, np.array([0.5, 0.95, 0.99]) * reached[-1])
        # The step above the longest is longer than anything was.
        p50, p95, p99 = np.minimum(steps[at], last).tolist()
        found[name] = Latency(int(reached[-1]), p50, p95, p99, last)
    return found
