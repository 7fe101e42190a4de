"""What is done about strange uses in a simulation: at the end of each window, so that no size of a batch changes a row."""

from __future__ import annotations

from time import perf_counter_ns

from agentsim.server.following import Follower
from agentsim.simulation.rounds import is_refusal
from agentsim.simulation.verifiers import Verifiers
from agentsim.simulation.windows import WindowLog


class Response:
    """Lets one tenant's server be watched; called with the end of each window."""

    def __init__(self, follower: Follower, log: WindowLog, verifiers: Verifiers) -> None:
        self._follower = follower
        self._log = log
        self._verifiers = verifiers

    def __call__(self, end: int) -> None:
        """Tell what was decided in a window, and carry out what is asked for, at its ``end`` (microseconds)."""
        began = perf_counter_ns()
        done = self._follower.step(end)
        if not done:
            return
        took = (perf_counter_ns() - began) // 1000
        operations = [type(operation).__name__ for operation, _ in done]
        self._log.note_batch(operations, [is_refusal(answer) for _, answer in done], [took] * len(done))
        self._verifiers.expect_marks()
