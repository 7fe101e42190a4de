"""Windows of simulated time, each handed to the server in rounds.

Within a window an operation goes into the first round in which nothing that it depends on is still waiting: an earlier
step of its own agent, or of the agent that it waits for (a child's first request needs its parent's token). Rounds
keep causal order and batches large. Between actors that do not wait for each other, order within a window is by
round and not by time: a shorter window is more exact, a longer one faster; how a round is cut into batches changes nothing but the wall time.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from time import perf_counter_ns
from typing import NamedTuple, Protocol

from agentsim.server import OAuthError, Operation, Server
from agentsim.server.answers import Answer
from agentsim.simulation.pace import AtOnce, Pace
from agentsim.simulation.windows import WindowLog


class Step(NamedTuple):
    """Something that somebody does at a moment. Steps sort by time, then by ``order``, which is unique."""

    time: int
    order: int
    #: Who: steps of one actor are taken one after the other.
    actor: int
    #: An actor whose earlier steps come first, too; -1 for none.
    after: int
    #: What the play makes of it, and what else it has to know.
    kind: int
    ref: int = -1


class Answered(NamedTuple):
    """An operation that the token server is not asked for: somebody else has answered it."""

    operation: Operation
    answer: Answer


class Play(Protocol):
    """Turns steps into operations, and answers into further steps."""

    def prepare(self, step: Step) -> Operation | Answered | None:
        """The operation of a step; None where the actor no longer has reason or means to take it."""

    def settle(self, step: Step, operation: Operation, answer: Answer | OAuthError) -> Iterable[Step]:
        """Take the answer in; steps that follow from it, none earlier than ``step``."""


class Stage:
    """Plays steps against one server.

    Parameters
    ----------
    window : microseconds of simulated time that go to the server together.
    batch_size : operations in one call at most.
    pace : when steps are taken; at once if left out.
    closing : called with the end of each window when all of its steps have been taken, before marks are filled in.
    """

    def __init__(
        self,
        server: Server,
        log: WindowLog,
        *,
        start: int,
        window: int,
        batch_size: int,
        pace: Pace | None = None,
        closing: Callable[[int], None] | None = None,
    ) -> None:
        self._closing = closing
        self._server = server
        self._log = log
        self._start = start
        self._window = window
        self._batch_size = batch_size
        self._pace = pace or AtOnce()
        self._waiting: defaultdict[int, list[Step]] = defaultdict(list)

    def perform(self, intended: Iterator[list[Step]], play: Play) -> Iterator[int]:
        """Play everything out, window by window.

        Parameters
        ----------
        intended : intended steps of window 0, 1, 2, ..., in order of time; it ends when nothing more is intended.

        Yields
        ------
        How many operations each window had, follow-ups included; those that were answered elsewhere are none.
        """
        number = 0
        exhausted = False
        while not exhausted or self._waiting:
            steps = next(intended, None)
            exhausted = steps is None
            due = sorted([*(steps or ()), *self._waiting.pop(number, ())])
            yield self._perform_window(number, due, play)
            number += 1

    def _perform_window(self, number: int, due: list[Step], play: Play) -> int:
        end = self._start + (number + 1) * self._window
        count = 0
        while due:
            arrived, later = self._pace.arrived(due)
            ready, waiting = _split(arrived)
            due = waiting + later
            asked: list[tuple[Step, Operation]] = []
            answered: list[tuple[Step, Operation, Answer | OAuthError]] = []
            for step in ready:
                prepared = play.prepare(step)
                if isinstance(prepared, Answered):
                    answered.append((step, *prepared))
                elif prepared is not None:
                    asked.append((step, prepared))
            count += len(asked)
            for step, operation, answer in chain(answered, self._execute(asked)):
                for following in play.settle(step, operation, answer):
                    if following.time < end:
                        insort(due, following)
                    else:
                        self._waiting[(following.time - self._start) // self._window].append(following)
        if self._closing is not None:
            self._closing(end)
        while self._server.pending(end):
            self._server.fill(at=end)
        self._log.close_window(number, end - self._window)
        return count

    def _execute(
        self, prepared: list[tuple[Step, Operation]]
    ) -> Iterator[tuple[Step, Operation, Answer | OAuthError]]:
        """Execute a round in batches; all answers of the round come before any follow-up."""
        for first in range(0, len(prepared), self._batch_size):
            batch = prepared[first : first + self._batch_size]
            steps, operations = [step for step, _ in batch], [operation for _, operation in batch]
            began = perf_counter_ns()
            answers = self._server.execute(operations, at=[step.time for step in steps])
            took = (perf_counter_ns() - began) // 1000
            self._log.note_batch(
                [type(operation).__name__ for operation in operations],
                map(is_refusal, answers),
                self._pace.latencies(steps, took),
            )
            yield from zip(steps, operations, answers, strict=True)


def is_refusal(answer: Answer | OAuthError) -> bool:
    """Whether an answer says no."""
    if isinstance(answer, OAuthError):
        return True
    return not getattr(answer, "is_valid", True) or not getattr(answer, "active", True)


def _split(due: list[Step]) -> tuple[list[Step], list[Step]]:
    """Steps of this round, and those that wait for one of them."""
    busy: set[int] = set()
    ready: list[Step] = []
    rest: list[Step] = []
    for step in due:
        if step.actor in busy or step.after in busy:
            rest.append(step)
            # What the other does later must not overtake the step that looks at it.
            if step.after >= 0:
                busy.add(step.after)
        else:
            ready.append(step)
        busy.add(step.actor)
    return ready, rest
