"""Worker processes on this machine, one to a lane, so that the death of one breaks no other's pool."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from multiprocessing.synchronize import Event
from threading import Thread
from types import TracebackType
from typing import Any, TypeVar

from agentsim.simulation.shards import Advance, Stopped, Work

_Outcome = TypeVar("_Outcome")


class Processes:
    """A crew of spawned processes.

    Left by an exception, it lets its workers end at their next word, and waits for that.

    Parameters
    ----------
    lanes : how many processes.
    advance : told of the workers' progress, in a thread of this process.
    """

    def __init__(self, lanes: int, advance: Advance) -> None:
        self.lanes = lanes
        self._advance = advance
        self._context = multiprocessing.get_context("spawn")
        self._stop, self._progress = self._context.Event(), self._context.Queue()
        self._listener = Thread(target=self._listen, daemon=True)
        self._executors = [self._new_executor() for _ in range(lanes)]

    def __enter__(self) -> Processes:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stop.set()
        for executor in self._executors:
            executor.shutdown(wait=True, cancel_futures=True)
        self._progress.put(None)
        # A worker that was killed in the middle of a word leaves a queue that nobody can read any more.
        self._listener.join(timeout=5)
        self._progress.cancel_join_thread()

    def submit(self, lane: int, work: Work[_Outcome], tenant: int) -> Future[_Outcome]:
        """Begin with a tenant in a lane that is free."""
        return self._executors[lane].submit(_work_in_worker, work, tenant)

    def died(self, error: BaseException) -> bool:
        """Whether a worker process was killed."""
        return isinstance(error, BrokenProcessPool)

    def renew(self, lane: int) -> None:
        """Put another process in the place of one that died."""
        self._executors[lane].shutdown(wait=False)
        self._executors[lane] = self._new_executor()

    def _new_executor(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, self._context, _begin_worker, (self._stop, self._progress))

    def _listen(self) -> None:
        while (done := self._progress.get()) is not None:
            self._advance(done)


#: What a worker process was given when it began.
_worker: dict[str, Any] = {}


def _begin_worker(stop: Event, progress: Any) -> None:
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    _worker.update(stop=stop, progress=progress)


def _end_with_parent() -> None:
    """Leave at once when the parent is gone: a run that goes on later writes the same files."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _work_in_worker(work: Callable[[int, Advance], _Outcome], tenant: int) -> _Outcome:
    def advance(done: int) -> None:
        if _worker["stop"].is_set():
            raise Stopped
        _worker["progress"].put(done)

    return work(tenant, advance)
