"""What a run costs: per window of simulated time, how many operations, where the wall time went, and who waited how long."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress
from pathlib import Path

import psutil
import pyarrow as pa

from agentsim.server import Server
from agentsim.simulation.latencies import Latencies
from agentsim.tables import SCHEMAS, make_table


class WindowLog:
    """Collects the ``windows`` table of one tenant.

    Each window has one row per operation (``count``, ``refused``, wall time of its decisions, latencies) and one per stage
    that a batch shares: ``load``, ``write``, ``fill`` and ``drive`` (everything outside the server); their ``count`` is the
    number of batches. The wall times of a window's rows add up to the wall time of the window.
    """

    def __init__(self, tenant: int, server: Server, database: Path) -> None:
        self._tenant = tenant
        self._server = server
        self._database = database
        self._process = psutil.Process()
        self._rows: list[tuple[int | str | None, ...]] = []
        self._latencies = Latencies()
        self._began = time.perf_counter_ns()
        self._written = self._bytes_written()
        self._spent: Counter[str] = Counter(server.spent)
        self._answered: Counter[tuple[str, int]] = Counter()
        self._refused: Counter[str] = Counter()
        self._batches = 0

    def note_batch(self, operations: Sequence[str], refused: Iterable[bool], waited: Iterable[int]) -> None:
        """Count one batch.

        Parameters
        ----------
        operations, refused, waited : of each operation its name, whether it was refused, and for how many microseconds it
            waited for its answer.
        """
        self._answered.update(zip(operations, waited, strict=True))
        self._refused.update(compress(operations, refused))
        self._batches += 1

    def close_window(self, number: int, start: int) -> None:
        """Turn what was counted since the last call into rows; windows without operations leave none."""
        now, written = time.perf_counter_ns(), self._bytes_written()
        spent = self._server.spent - self._spent
        if self._answered:
            spent["drive"] = now - self._began - spent.total()
            counts: Counter[str] = Counter()
            for (operation, _), count in self._answered.items():
                counts[operation] += count
            stages = sorted(spent.keys() | counts.keys())
            self._latencies.add(len(self._rows), stages, self._answered)
            rss, size = self._process.memory_info().rss, self._size()
            grown = None if written is None or self._written is None else written - self._written
            for stage in stages:
                count, wall = counts[stage] or self._batches, spent[stage] // 1000
                done = (count, self._refused[stage], wall)
                self._rows.append((self._tenant, number, start, stage, *done, rss, size, grown))
            self._began, self._written, self._spent = now, written, Counter(self._server.spent)
            self._answered.clear()
            self._refused.clear()
            self._batches = 0

    def table(self) -> pa.Table:
        """The rows so far."""
        columns = dict(zip(SCHEMAS["windows"].names, zip(*self._rows, strict=True), strict=False))
        return make_table("windows", len(self._rows), columns | self._latencies.columns(len(self._rows)))

    def _size(self) -> int:
        """Bytes of the database and its write-ahead log."""
        files = (self._database, self._database.with_name(self._database.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def _bytes_written(self) -> int | None:
        """Bytes that this process has ever handed to the system to write; None where the system does not count."""
        try:
            counted = self._process.io_counters()
        except (AttributeError, NotImplementedError, psutil.AccessDenied):
            return None
        return int(getattr(counted, "write_chars", counted.write_bytes))
