"""What a soak counted, put together: figures of the ``reliability`` report."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from agentsim.experiments.soak import Drift, Soak, drift

#: By part, as tallies name it: what one trial of it is called.
TRIALS = {"load": "operation", "kills": "kill", "faults": "fault", "bad inputs": "bad input"}
#: Of the requests, at most, for waits to be judged: more would move a p99.
_MOST_DROPPED = 0.01
#: Columns of the seconds that are no kind of request.
_OTHERS = ("second", "errors", "dropped", "p50_ms", "p99_ms", "rss_mb")


class Facts:
    """The figures of the report, each worked out when it is first asked for."""

    def __init__(self, soak: Soak) -> None:
        self.soak = soak
        self.seconds = soak.load
        every = soak.manifest.tallies
        self.operations = sum(each.operations for each in every)
        self.lost = sum(each.lost for each in every)
        self.let_in = sum(each.let_in for each in every)
        self.unasked = sum(each.unasked for each in every)

    def tried(self, part: str) -> int:
        """How often something of a part was tried."""
        return sum(each.tried for each in self.soak.manifest.tallies if each.part == part)

    @property
    def kinds(self) -> list[str]:
        """The kinds of requests under load."""
        return [str(name) for name in self.seconds if name not in _OTHERS]

    @cached_property
    def memory(self) -> Drift | None:
        """How the server's memory moved."""
        return self._drift("rss_mb")

    @cached_property
    def waits(self) -> Drift | None:
        """How p99 moved; None, too, where dropped requests cut it off."""
        return None if self.overloaded else self._drift("p99_ms")

    @property
    def overloaded(self) -> bool:
        """Whether so many requests were dropped that waits say nothing of the rest."""
        return self.soak.dropped > _MOST_DROPPED

    @property
    def grows(self) -> list[str]:
        """What grew while there was load."""
        found = {"memory": self.memory, "p99": self.waits}
        return [name for name, each in found.items() if each is not None and each.verdict == "grows"]

    @cached_property
    def over_time(self) -> pd.DataFrame:
        """A row for each stretch of equal length, at most forty: means of counts and memory, medians of waits."""
        frame = self.seconds
        stretch = np.arange(len(frame)) * min(40, len(frame)) // max(1, len(frame))
        middle = frame.groupby(stretch)[["p50_ms", "p99_ms"]].median()
        return pd.concat(
            [frame.groupby(stretch)[["second", "errors", "rss_mb", *self.kinds]].mean(), middle], axis=1
        )

    def _drift(self, column: str) -> Drift | None:
        return drift(self.seconds[column]) if len(self.seconds) else None
