"""What a run costs: per window of simulated time, how many operations, and where the wall time went."""

import time
from collections import Counter
from pathlib import Path

import psutil
import pyarrow as pa

from agentsim.server import Server
from agentsim.tables import SCHEMAS, make_table


class WindowLog:
    """Collects the ``windows`` table of one tenant.

    Each window has one row per operation (``count``, ``refused``, wall time of its decisions) and one per stage that
    a batch shares: ``load``, ``write``, ``fill`` and ``drive`` (everything outside the server); their ``count`` is the
    number of batches. The wall times of a window's rows add up to the wall time of the window.
    """

    def __init__(self, tenant: int, server: Server, database: Path) -> None:
        self._tenant = tenant
        self._server = server
        self._database = database
        self._process = psutil.Process()
        self._rows: list[tuple[int, int, int, str, int, int, int, int, int]] = []
        self._began = time.perf_counter_ns()
        self._spent: Counter[str] = Counter(server.spent)
        self._counts: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._batches = 0

    def note(self, operation: str, *, refused: bool) -> None:
        """Count one operation."""
        self._counts[operation] += 1
        self._refused[operation] += refused

    def note_batch(self) -> None:
        """Count one batch."""
        self._batches += 1

    def close_window(self, number: int, start: int) -> None:
        """Turn what was counted since the last call into rows; windows without operations leave none."""
        now = time.perf_counter_ns()
        spent = self._server.spent - self._spent
        if self._counts:
            spent["drive"] = now - self._began - spent.total()
            rss, size = self._process.memory_info().rss, self._size()
            for stage in sorted(spent.keys() | self._counts.keys()):
                count = self._counts[stage] or self._batches
                wall = spent[stage] // 1000
                row = (self._tenant, number, start, stage, count, self._refused[stage], wall, rss, size)
                self._rows.append(row)
            self._began, self._spent = now, Counter(self._server.spent)
            self._counts.clear()
            self._refused.clear()
            self._batches = 0

    def table(self) -> pa.Table:
        """The rows so far."""
        names = SCHEMAS["windows"].names
        columns = dict(zip(names, zip(*self._rows, strict=True), strict=True)) if self._rows else {}
        return make_table("windows", len(self._rows), columns)

    def _size(self) -> int:
        """Bytes of the database and its write-ahead log."""
        files = (self._database, self._database.with_name(self._database.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())
