"""What a soak writes down each second: requests by kind, errors, how long answers took, and the server's memory."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import pandas as pd
import psutil

_MEGABYTE = 1e6


class Seconds:
    """Second by second, from the moment at which it is made.

    Parameters
    ----------
    kinds : of requests; each has a column.
    """

    def __init__(self, kinds: Sequence[str]) -> None:
        self._kinds = kinds
        self._asked: list[Counter[str]] = []
        self._errors: Counter[int] = Counter()
        self._dropped: Counter[int] = Counter()
        self._waits: list[array[float]] = []
        self._memory: dict[int, float] = {}

    def add(self, second: int, kind: str, wait_ms: float, *, error: bool) -> None:
        """One request was answered, or was not."""
        self._reach(second)
        self._asked[second][kind] += 1
        self._waits[second].append(wait_ms)
        self._errors[second] += error

    def drop(self, second: int) -> None:
        """One request was never sent: its connection was not free in time."""
        self._reach(second)
        self._dropped[second] += 1

    def remember(self, second: int, octets: int) -> None:
        """The memory that the server had."""
        self._memory[second] = octets / _MEGABYTE

    def frame(self) -> pd.DataFrame:
        """A row a second: ``second``, a column for each kind, ``errors``, ``dropped``, ``p50_ms``, ``p99_ms``, ``rss_mb``."""
        count = len(self._asked)
        waits = [np.asarray(wait) if wait else np.array([np.nan]) for wait in self._waits]
        return pd.DataFrame(
            {
                "second": np.arange(count),
                **{
                    kind: np.array([asked[kind] for asked in self._asked], dtype=np.int64)
                    for kind in self._kinds
                },
                "errors": np.array([self._errors[second] for second in range(count)], dtype=np.int64),
                "dropped": np.array([self._dropped[second] for second in range(count)], dtype=np.int64),
                "p50_ms": np.array([np.percentile(wait, 50) for wait in waits], dtype=float),
                "p99_ms": np.array([np.percentile(wait, 99) for wait in waits], dtype=float),
                "rss_mb": np.array([self._memory.get(second, np.nan) for second in range(count)]),
            }
        )

    def _reach(self, second: int) -> None:
        while len(self._asked) <= second:
            self._asked.append(Counter())
            self._waits.append(array("d"))


def memory_of(process: psutil.Process) -> int:
    """Resident bytes of a process and all below it, as far as they are there."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            total += each.memory_info().rss
    return total
