"""When a step is taken: at once, or at its moment on a real clock."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agentsim.simulation.rounds import Step


class Pace(Protocol):
    """Decides which steps are taken now, and how long their answers took."""

    def arrived(self, due: list[Step]) -> tuple[list[Step], list[Step]]:
        """Of steps in order of time, the first ones, which may be taken now (one at least), and the rest."""

    def latencies(self, steps: Sequence[Step], took: int) -> list[int]:
        """Microseconds that each step of a batch waited for its answer; the batch, just answered, ``took`` so many."""


class AtOnce:
    """Simulated time: nothing waits for its moment, and what an answer took is what its batch took."""

    def arrived(self, due: list[Step]) -> tuple[list[Step], list[Step]]:
        return due, []

    def latencies(self, steps: Sequence[Step], took: int) -> list[int]:
        return [took] * len(steps)


class InRealTime:
    """Real time: each step is taken when its moment has come, and all whose moment has come together.

    A latency is counted from the moment at which the step was meant to be taken, not from the one at which the server
    was free for it: a server that falls behind shows it (no coordinated omission). What follows from an answer is
    meant for when it would be if answers took no time.

    Parameters
    ----------
    start : the simulated moment that is now, microseconds.
    speed : simulated seconds in one of real time.
    now, sleep : the real clock, in nanoseconds, and how to wait on it, in seconds.
    """

    def __init__(
        self,
        start: int,
        speed: float,
        now: Callable[[], int] = time.perf_counter_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._start = start
        self._speed = speed
        self._now = now
        self._sleep = sleep
        self._began = now()

    def arrived(self, due: list[Step]) -> tuple[list[Step], list[Step]]:
        while (missing := due[0].time - self._moment()) > 0:
            self._sleep(missing / self._speed / 1e6)
        count = bisect_right(due, self._moment(), key=lambda step: step.time)
        return due[:count], due[count:]

    def latencies(self, steps: Sequence[Step], took: int) -> list[int]:
        moment = self._moment()
        return [round((moment - step.time) / self._speed) for step in steps]

    def _moment(self) -> float:
        """The simulated moment that is now."""
        return self._start + (self._now() - self._began) / 1e3 * self._speed
