"""Group commit: operations of concurrent requests become one batch, on a writer thread of their own.

Nobody waits for company: while the writer works on one batch, the next one gathers by itself. So a lone request is
answered at once, and under load a commit is shared by all that came in during the one before.
"""

import asyncio
import logging
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from agentsim.server.answers import Answer
from agentsim.server.core import Server
from agentsim.server.errors import OAuthError, TemporarilyUnavailable
from agentsim.server.http.metrics import BATCHES, OPERATIONS, WAITING
from agentsim.server.operations import Operation
from agentsim.server.store import ConflictError

#: Operations that share a transaction at most, and those that may wait before further ones are turned away.
MOST_TOGETHER = 1_000
MOST_WAITING = 20_000
#: Tokens that one step of a fill looks at: requests wait for it.
_FILL_STEP = 500
#: How long the writer looks out for requests between two steps of a fill, in seconds.
_FILL_PAUSE = 0.001

_log = logging.getLogger("agentsim.serve")
_Result = Answer | OAuthError
_Work = tuple[Sequence[Operation], "asyncio.Future[list[_Result]]"]
_Value = TypeVar("_Value")


class Gatherer:
    """Hands the operations of many requests to one server, in batches; answers find their way back.

    It is born with the event loop that asks, and lives until :meth:`stop`, which answers everything that had been
    asked before.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._waiting = 0
        self._thread = Thread(target=self._run, name="writer")
        self._thread.start()

    async def ask(self, operations: Sequence[Operation]) -> list[_Result]:
        """Execute operations, in order, and return an answer or an error for each.

        Raises
        ------
        TemporarilyUnavailable
            If too much is waiting, or the database cannot be reached: nothing has been done.
        """
        if self._waiting + len(operations) > MOST_WAITING:
            raise TemporarilyUnavailable("too_busy", "too many requests are waiting")
        self._waiting += len(operations)
        future: asyncio.Future[list[_Result]] = self._loop.create_future()
        self._queue.put((operations, future))
        try:
            return await future
        finally:
            self._waiting -= len(operations)

    async def ask_one(self, operation: Operation, answer: type[_Value]) -> _Value:
        """Execute one operation and return its answer.

        Raises
        ------
        OAuthError
            If it is refused.
        """
        (result,) = await self.ask([operation])
        if isinstance(result, OAuthError):
            raise result
        assert isinstance(result, answer)
        return result

    async def stop(self) -> None:
        """Answer what waits, then end the writer thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            works = self._next_works()
            if works and works[-1] is None:
                going = False
            batch = [work for work in works if work is not None]
            if batch:
                self._execute(batch)
            elif going:
                self._fill()

    def _next_works(self) -> list[_Work | None]:
        """What waits, up to a batch's size; nothing where rows below marks can be filled in meanwhile."""
        try:
            works = [self._queue.get(timeout=_FILL_PAUSE if self._server.pending() else None)]
        except Empty:
            return []
        count = 0
        while works[-1] is not None and count < MOST_TOGETHER:
            count += len(works[-1][0])
            try:
                works.append(self._queue.get_nowait())
            except Empty:
                break
        return works

    def _execute(self, works: list[_Work]) -> None:
        operations = [operation for work, _ in works for operation in work]
        WAITING.set(self._waiting)
        BATCHES.observe(len(operations))
        outcome: list[_Result] | OAuthError
        try:
            outcome = self._server.execute(operations)
        except (SQLAlchemyError, ConflictError) as exc:
            _log.error("the batch was not stored: %s", str(exc).partition("\n")[0])
            outcome = TemporarilyUnavailable("database_away", "the database cannot be reached at present")
        except Exception as exc:
            # Whatever it is, the writer must live on, and those who wait must be told.
            _log.exception("a batch failed")
            self._tell([(future, exc) for _, future in works])
            return
        if isinstance(outcome, OAuthError):
            self._tell([(future, outcome) for _, future in works])
            return
        _count(operations, outcome)
        answered: list[tuple[asyncio.Future[list[_Result]], Any]] = []
        start = 0
        for work, future in works:
            answered.append((future, outcome[start : start + len(work)]))
            start += len(work)
        self._tell(answered)
        if self._server.pending():
            self._fill()

    def _fill(self) -> None:
        try:
            self._server.fill(_FILL_STEP)
        except (SQLAlchemyError, ConflictError) as exc:
            _log.error("a fill was put off: %s", str(exc).partition("\n")[0])

    def _tell(self, answered: list[tuple["asyncio.Future[list[_Result]]", Any]]) -> None:
        self._loop.call_soon_threadsafe(_deliver, answered)


def _deliver(answered: list[tuple["asyncio.Future[list[_Result]]", Any]]) -> None:
    for future, outcome in answered:
        # A client that has gone away has cancelled its future; what it asked for has been done all the same.
        if future.done():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _count(operations: Sequence[Operation], results: Sequence[_Result]) -> None:
    for operation, result in zip(operations, results, strict=True):
        decision = "refused" if isinstance(result, OAuthError) else "granted"
        OPERATIONS[type(operation), decision].inc()
