"""Trees beside the one that is measured: they go on issuing at a steady rate, through a server's own group commit."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from time import perf_counter_ns

import numpy as np

from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.requests import SCOPE, AgentCredentials
from agentsim.server import Client, Issue, IssueChild, Operation, Server, TokenGrant
from agentsim.server.http.gather import Gatherer

#: Requests per second; half of them begin a tree, half ask for a child in one of so many that stand.
RATE = 100.0
_TREES = 50


@dataclass(frozen=True, kw_only=True)
class Waits:
    """What requests waited from the moment they were meant to begin; milliseconds."""

    requests: int
    p50_ms: float
    p99_ms: float
    most_ms: float


@dataclass(slots=True)
class Neighbours:
    """Agents that ask for a token each, whatever happens to other trees.

    Attributes
    ----------
    asked : what they ask for, without end.
    """

    asked: Iterator[Operation]
    _waited: list[int] = field(default_factory=list)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    async def ask(self, gatherer: Gatherer, over: asyncio.Event) -> Waits:
        """Ask at the rate until it is over, and tell what was waited for.

        Raises
        ------
        BenchError
            If none was asked.
        """
        self._waited.clear()
        first = perf_counter_ns()
        for number in count():
            meant = first + round(number * 1e9 / RATE)
            await asyncio.sleep(max(0.0, (meant - perf_counter_ns()) / 1e9))
            if over.is_set():
                break
            task = asyncio.create_task(self._one(gatherer, meant))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await asyncio.gather(*self._under_way)
        if not self._waited:
            raise BenchError("it was over before anything beside it was asked")
        p50, p99, most = (float(value) for value in np.percentile(self._waited, [50, 99, 100]) / 1e6)
        return Waits(requests=len(self._waited), p50_ms=p50, p99_ms=p99, most_ms=most)

    async def _one(self, gatherer: Gatherer, meant: int) -> None:
        # A refusal is raised: nothing of theirs was ended.
        await gatherer.ask_one(next(self.asked), TokenGrant)
        self._waited.append(perf_counter_ns() - meant)


def neighbours(server: Server, agents: list[AgentCredentials]) -> Neighbours:
    """Plant the trees that stand, and what is asked of them and beside them."""
    roots = [
        server.ask(Issue(by=Client(*agent), task_id=f"standing-{number}", scope=SCOPE), TokenGrant)
        for number, agent in zip(range(_TREES), cycle(agents), strict=False)
    ]
    return Neighbours(_asked(agents, [root.access_token for root in roots]))


def _asked(agents: list[AgentCredentials], standing: list[str]) -> Iterator[Operation]:
    for number, agent, parent in zip(count(), cycle(agents), cycle(standing), strict=False):
        by, task = Client(*agent), f"beside-{number:09}"
        if number % 2:
            yield IssueChild(by=by, parent_token=parent, task_id=task, scope=SCOPE)
        else:
            yield Issue(by=by, task_id=task, scope=SCOPE)
