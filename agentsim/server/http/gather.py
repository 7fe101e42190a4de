"""Group commit: operations of concurrent requests become one batch, on a writer thread of their own.

A batch is handed over as soon as the event loop has gone round once without a further request: those that are at the
door already come along, and nobody waits for others. What comes while the writer is at work gathers for the next
batch. Event loop and writer thus take turns rather than fight for the interpreter, which costs half a batch's time.
"""

import asyncio
import logging
from collections.abc import Sequence
from itertools import islice
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from agentsim.server.answers import Answer, Verification
from agentsim.server.core import Server
from agentsim.server.errors import OAuthError, TemporarilyUnavailable, TooManyRequests, database_away
from agentsim.server.http.lanes import Lanes, Work, goes_first
from agentsim.server.http.metrics import BATCHES, OPERATIONS, WAITING, count_limited
from agentsim.server.http.pace import Pace
from agentsim.server.operations import Operation
from agentsim.server.store import ConflictError

#: How long the writer looks out for requests between two steps of a fill, in seconds.
_FILL_PAUSE = 0.0002
#: How long it waits at most while budgets are open, in seconds: clocks may be set.
_LONGEST_REST = 1.0
#: A clean-up has all the time in the world: its steps are smaller than a fill's, and it rests between two, in seconds.
_CLEANING = (0.5, 0.001, 0.01, 0.1)
_CLEAN_PAUSE = 0.005

_log = logging.getLogger("agentsim.serve")
_Result = Answer | OAuthError
_Value = TypeVar("_Value")


class Gatherer:
    """Hands the operations of many requests to one server, in batches; answers find their way back.

    It is born with the event loop that asks, and lives until :meth:`stop`, which answers everything that had been
    asked before.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[list[Work] | None] = SimpleQueue()
        self._lanes = Lanes()
        self._writing = self._watching = self._filling = False
        self._seen = 0
        self._pace, self._cleaning_pace = Pace(), Pace(*_CLEANING)
        #: How long trees are kept, while there is something to clean up.
        self._keep_us: int | None = None
        self._thread = Thread(target=self._run, name="writer")
        self._thread.start()

    async def ask(self, operations: Sequence[Operation], *, first: bool = False) -> list[_Result]:
        """Execute operations, in order, and return an answer or an error for each.

        Parameters
        ----------
        operations : of one request.
        first : whether people wait for them, where the operations themselves do not tell.

        Raises
        ------
        TemporarilyUnavailable
            If too much is waiting, or the database cannot be reached: nothing has been done.
        """
        first = first or goes_first(self._server.acquaintances, operations)
        if not self._lanes.has_room(len(operations), first=first):
            raise TemporarilyUnavailable("too_busy", "too many requests are waiting")
        work = Work(operations, self._loop.create_future(), first)
        self._lanes.put(work)
        self._watch()
        try:
            return await work.future
        finally:
            self._lanes.answered(work)

    async def ask_one(self, operation: Operation, answer: type[_Value], *, first: bool = False) -> _Value:
        """Execute one operation and return its answer.

        Raises
        ------
        OAuthError
            If it is refused.
        """
        (result,) = await self.ask([operation], first=first)
        if isinstance(result, OAuthError):
            raise result
        assert isinstance(result, answer)
        return result

    def clean(self, keep_us: int) -> None:
        """Remove what is long over, a step now and then, until nothing is left of it; trees are kept for so long."""
        self._keep_us = keep_us
        # The writer may have nothing else to wake up for.
        self._queue.put([])

    @property
    def cleaning(self) -> bool:
        """Whether a clean-up is under way."""
        return self._keep_us is not None

    async def stop(self) -> None:
        """Answer what waits, then end the writer thread."""
        while self._lanes.waiting:
            await asyncio.sleep(0.001)
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _watch(self) -> None:
        """Look once a round whether further requests have come."""
        if not self._watching and not self._writing and self._lanes:
            self._watching, self._seen = True, 0
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        # For people once round is enough: where agents are at the door, each round has some of those to do.
        if len(self._lanes) > self._seen and not self._lanes.has_people:
            self._seen = len(self._lanes)
            self._loop.call_soon(self._look)
            return
        self._watching, self._writing = False, True
        self._queue.put(self._lanes.next_batch())

    def _run(self) -> None:
        while True:
            try:
                works = self._queue.get(timeout=self._patience())
            except Empty:
                self._work_beside()
                continue
            if works is None:
                return
            if not works:
                continue
            self._execute(works)
            pending = self._server.pending()
            self._filling = pending or self._keep_us is not None
            pace = self._pace if pending else self._cleaning_pace
            if self._filling and pace.is_due(waiting=bool(self._lanes)):
                self._work_beside()

    def _patience(self) -> float | None:
        """How long to look out for requests, in seconds, before there is something to fill in."""
        if self._server.pending():
            return _FILL_PAUSE
        if self._keep_us is not None:
            return _CLEAN_PAUSE
        rest = self._server.rest()
        return None if rest is None else min(max(rest, _FILL_PAUSE), _LONGEST_REST)

    def _execute(self, works: list[Work]) -> None:
        operations = [operation for work in works for operation in work.operations]
        WAITING.set(self._lanes.waiting)
        BATCHES.observe(len(operations))
        began = perf_counter()
        try:
            results = self._server.execute(operations)
        except (SQLAlchemyError, ConflictError) as exc:
            _log.error("the batch was not stored: %s", str(exc).partition("\n")[0])
            self._tell([(work.future, database_away()) for work in works])
            return
        except Exception as exc:
            # Whatever it is, the writer must live on, and those who wait must be told.
            _log.exception("a batch failed")
            self._tell([(work.future, exc) for work in works])
            return
        for pace in (self._pace, self._cleaning_pace):
            pace.note_batch(perf_counter() - began, filling=self._filling)
        _count(operations, results)
        answers = iter(results)
        self._tell([(work.future, list(islice(answers, len(work.operations)))) for work in works])

    def _work_beside(self) -> None:
        """A step of what nobody waits for: the fill first, since nothing is removed while one is under way."""
        if self._server.pending():
            self._fill()
        elif self._keep_us is not None:
            self._clean(self._keep_us)

    def _clean(self, keep_us: int) -> None:
        began = perf_counter()
        try:
            more = self._server.clean(keep_us, self._cleaning_pace.tokens).more
            self._cleaning_pace.note_step(perf_counter() - began)
        except (SQLAlchemyError, ConflictError) as exc:
            _log.error("a clean-up was put off: %s", str(exc).partition("\n")[0])
            more = False
        if not more:
            self._keep_us = None

    def _fill(self) -> None:
        began = perf_counter()
        try:
            self._server.fill(self._pace.tokens)
            self._pace.note_step(perf_counter() - began)
        except (SQLAlchemyError, ConflictError) as exc:
            _log.error("a fill was put off: %s", str(exc).partition("\n")[0])

    def _tell(self, answered: list[tuple["asyncio.Future[list[_Result]]", Any]]) -> None:
        self._loop.call_soon_threadsafe(self._deliver, answered)

    def _deliver(self, answered: list[tuple["asyncio.Future[list[_Result]]", Any]]) -> None:
        for future, outcome in answered:
            # A client that has gone away has cancelled its future; what it asked for has been done all the same.
            if future.done():
                continue
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)
        self._writing = False
        self._watch()


def _count(operations: Sequence[Operation], results: Sequence[_Result]) -> None:
    for operation, result in zip(operations, results, strict=True):
        decision = "refused" if isinstance(result, OAuthError) else "granted"
        OPERATIONS[type(operation), decision].inc()
        error = result.error if isinstance(result, Verification) else result
        if isinstance(error, TooManyRequests):
            count_limited(error)
