"""What a run costs: per window of simulated time, how many operations, where the wall time went, and who waited how long."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import pyarrow as pa

from agentsim.server import Server
from agentsim.tables import SCHEMAS, make_table

#: Latencies are kept to the next of these factors: what is told of a whole Run is at most so much too high.
_STEP = 1.02
_QUANTILES = {"p50_us": 0.5, "p95_us": 0.95, "p99_us": 0.99}


class WindowLog:
    """Collects the ``windows`` table of one tenant.

    Each window has one row per operation (``count``, ``refused``, wall time of its decisions) and one per stage that
    a batch shares: ``load``, ``write``, ``fill`` and ``drive`` (everything outside the server); their ``count`` is the
    number of batches. The wall times of a window's rows add up to the wall time of the window.

    Rows of operations tell latencies, too: percentiles and, because those of windows cannot be put together to those of a
    Run, how many there were of which length (:func:`agentsim.lineage.latencies`).
    """

    def __init__(self, tenant: int, server: Server, database: Path) -> None:
        self._tenant = tenant
        self._server = server
        self._database = database
        self._process = psutil.Process()
        self._columns: dict[str, list[Any]] = {name: [] for name in SCHEMAS["windows"].names}
        self._began = time.perf_counter_ns()
        self._written = self._bytes_written()
        self._spent: Counter[str] = Counter(server.spent)
        self._latencies: Counter[tuple[str, int]] = Counter()
        self._refused: Counter[str] = Counter()
        self._batches = 0

    def note_batch(
        self, operations: Sequence[str], refused: Iterable[bool], latencies: Iterable[int]
    ) -> None:
        """Count one batch.

        Parameters
        ----------
        operations, refused, latencies : of each operation its name, whether it was refused, and how many microseconds it waited
            for its answer.
        """
        self._latencies.update(zip(operations, latencies, strict=True))
        self._refused.update(compress(operations, refused))
        self._batches += 1

    def close_window(self, number: int, start: int) -> None:
        """Turn what was counted since the last call into rows; windows without operations leave none."""
        if not self._latencies:
            return
        now, written = time.perf_counter_ns(), self._bytes_written()
        spent = self._server.spent - self._spent
        spent["drive"] = now - self._began - spent.total()
        waited: dict[str, dict[int, int]] = {}
        for (operation, latency), count in self._latencies.items():
            waited.setdefault(operation, {})[latency] = count
        shared = {
            "tenant": self._tenant,
            "window": number,
            "start": start,
            "rss_bytes": self._process.memory_info().rss,
            "database_bytes": self._size(),
            "written_bytes": None if written is None else written - (self._written or 0),
        }
        for stage in sorted(spent.keys() | waited.keys()):
            told = _told(waited[stage]) if stage in waited else {"count": self._batches}
            row = {
                **shared,
                "operation": stage,
                "refused": self._refused[stage],
                "wall_us": spent[stage] // 1000,
            }
            row |= told
            for name, values in self._columns.items():
                values.append(row.get(name))
        self._began, self._written, self._spent = now, written, Counter(self._server.spent)
        self._latencies.clear()
        self._refused.clear()
        self._batches = 0

    def table(self) -> pa.Table:
        """The rows so far."""
        return make_table("windows", len(self._columns["window"]), self._columns)

    def _size(self) -> int:
        """Bytes of the database and its write-ahead log."""
        files = (self._database, self._database.with_name(self._database.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _bytes_written(self) -> int | None:
        """Bytes that this process has handed to the system to write, ever; None where the system does not count."""
        try:
            counted = self._process.io_counters()
        except (AttributeError, NotImplementedError, psutil.AccessDenied):
            return None
        return int(getattr(counted, "write_chars", counted.write_bytes))


def _told(waited: Mapping[int, int]) -> dict[str, Any]:
    """What the row of an operation says of its latencies: how many there were of each, in microseconds."""
    values = np.array(sorted(waited))
    counts = np.array([waited[value] for value in values.tolist()])
    reached = np.cumsum(counts)
    places = np.searchsorted(reached, np.array(list(_QUANTILES.values())) * reached[-1])
    steps, step = np.unique(_step_of(values), return_inverse=True)
    return {
        "count": int(reached[-1]),
        **dict(zip(_QUANTILES, values[places].tolist(), strict=True)),
        "max_us": int(values[-1]),
        "latencies_us": steps.tolist(),
        "latency_counts": np.bincount(step, counts).astype(np.int64).tolist(),
    }


def _step_of(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Round latencies up to whole powers of the step, as whole microseconds, at least one."""
    least = np.maximum(values, 1)
    steps = _STEP ** np.ceil(np.log(least) / np.log(_STEP))
    # Powers come out a little too small now and then.
    rounded: npt.NDArray[np.int64] = np.maximum(np.floor(steps).astype(np.int64), least)
    return rounded
