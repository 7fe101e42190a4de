"""Whole tenants dealt to workers; nothing crosses tenants, so how they are dealt changes no table."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Protocol, TypeVar

from agentsim.run import Failure

_Outcome = TypeVar("_Outcome")
#: Takes how much has been done since the last call.
Advance = Callable[[int], object]
#: Plays one tenant and says now and then how far it has come.
Work = Callable[[int, Advance], _Outcome]
#: How often a tenant is begun whose worker dies.
ATTEMPTS = 3


class Stopped(Exception):
    """The run is being given up; a worker ends at its next word."""


@dataclass(frozen=True, slots=True)
class Crashed:
    """The outcome of a tenant whose workers were killed, or ran out of memory, each time."""

    reason: str

    @property
    def failure(self) -> Failure:
        """As a manifest tells it."""
        return Failure(stage="worker", type="WorkerDied", message=self.reason)


class Crew(Protocol):
    """Workers in lanes. Each lane does one thing at a time, and one that dies takes no other with it."""

    lanes: int

    def submit(self, lane: int, work: Work[_Outcome], tenant: int) -> Future[_Outcome]:
        """Begin with a tenant in a lane that is free."""

    def died(self, error: BaseException) -> bool:
        """Whether what a future raised says that its worker died."""

    def renew(self, lane: int) -> None:
        """Put another worker in the place of one that died."""


def deal(
    work: Work[_Outcome], tenants: Sequence[int], crew: Crew | None, advance: Advance
) -> Iterator[tuple[int, _Outcome | Crashed]]:
    """Do the work of each tenant, in this process or by a crew.

    Parameters
    ----------
    work : can be pickled where there is a crew.
    tenants : in the order in which they are begun.
    crew : the workers; None: this process.
    advance : told of progress where the work is done in this process; a crew has its own way.

    Yields
    ------
    Each tenant and its outcome, as they come. A tenant whose worker dies is begun again, at last with
    :class:`Crashed` for an outcome; the others go on.

    Raises
    ------
    Exception
        What ``work`` raises; nothing further is begun then.
    """
    if crew is None:
        for tenant in tenants:
            yield tenant, work(tenant, advance)
        return
    waiting, free = deque(tenants), list(range(crew.lanes))
    attempts: Counter[int] = Counter()
    busy: dict[Future[_Outcome], tuple[int, int]] = {}
    while waiting or busy:
        while waiting and free:
            lane, tenant = free.pop(), waiting.popleft()
            attempts[tenant] += 1
            busy[crew.submit(lane, work, tenant)] = lane, tenant
        done, _ = wait(busy, return_when=FIRST_COMPLETED)
        for future in done:
            lane, tenant = busy.pop(future)
            error = future.exception()
            if error is None:
                yield tenant, future.result()
            elif not crew.died(error):
                raise error
            else:
                crew.renew(lane)
                if attempts[tenant] < ATTEMPTS:
                    waiting.appendleft(tenant)
                else:
                    yield tenant, Crashed(f"its worker died {ATTEMPTS} times (out of memory?)")
            free.append(lane)
