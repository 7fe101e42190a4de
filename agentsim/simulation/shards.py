"""Whole tenants dealt to worker processes; nothing crosses tenants, so how they are dealt changes no table."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from threading import Thread
from typing import Any, TypeVar

from agentsim.run import RunError

_Outcome = TypeVar("_Outcome")
#: Takes how much has been done since the last call.
Advance = Callable[[int], object]
#: Plays one tenant and says now and then how far it has come.
Work = Callable[[int, Advance], _Outcome]


class Stopped(Exception):
    """The run is being given up; a worker ends at its next window."""


def deal(
    work: Work[_Outcome], tenants: Sequence[int], jobs: int, advance: Advance
) -> Iterator[tuple[int, _Outcome]]:
    """Do the work of each tenant, in this process or in ``jobs`` others.

    Parameters
    ----------
    work : can be pickled where there is more than one job.
    tenants : in the order in which they are begun.
    advance : told of progress, in this process.

    Yields
    ------
    Each tenant and its outcome, as they come.

    Raises
    ------
    RunError
        If a worker process dies. What ``work`` raises ends the others at their next word, and is raised here.
    """
    if jobs <= 1 or len(tenants) <= 1:
        for tenant in tenants:
            yield tenant, work(tenant, advance)
        return
    context = multiprocessing.get_context("spawn")
    stop, progress = context.Event(), context.Queue()
    told = Thread(target=_listen, args=(progress, advance), daemon=True)
    told.start()
    workers = min(jobs, len(tenants))
    try:
        with ProcessPoolExecutor(workers, context, _begin_worker, (stop, progress)) as executor:
            futures = {executor.submit(_work_in_worker, work, tenant): tenant for tenant in tenants}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            except BrokenProcessPool as exc:
                raise RunError("a process of the run died (out of memory?); fewer --jobs need less") from exc
            except BaseException:
                stop.set()
                executor.shutdown(wait=True, cancel_futures=True)
                raise
    finally:
        progress.put(None)
        # A worker that was killed in the middle of a word leaves a queue that nobody can read any more.
        told.join(timeout=5)
        progress.cancel_join_thread()


#: What a worker process was given when it began.
_worker: dict[str, Any] = {}


def _begin_worker(stop: Event, progress: Any) -> None:
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.update(stop=stop, progress=progress)


def _work_in_worker(work: Work[_Outcome], tenant: int) -> _Outcome:
    def advance(done: int) -> None:
        if _worker["stop"].is_set():
            raise Stopped
        _worker["progress"].put(done)

    return work(tenant, advance)


def _listen(progress: Any, advance: Advance) -> None:
    while (done := progress.get()) is not None:
        advance(done)
