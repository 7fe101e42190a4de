"""The core's batch path beside its floor, without HTTP: bare signatures, and bare inserts of the same rows.

Batch by batch in turn. First the server grants, which is to decide, sign, store and audit; then as many tokens are signed
alone, and the rows that the server has just written go as they are into a second, equal database, by the driver alone. The
same with verifications: there the floor checks as many signatures, none of them seen before, and inserts the audit rows.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import ParamSpec, TypeVar

import numpy as np
from tqdm.auto import tqdm

from agentsim.experiments.bench.bare import Bare, BarePostgreSQL, BareSQLite, Floor
from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.population import register_agents
from agentsim.experiments.bench.requests import RESOURCES, SCOPE, TOOLS, AgentCredentials
from agentsim.experiments.bench.schemas import new_schemas
from agentsim.server import Client, Issue, Operation, Policy, Server, Store, TokenGrant, Verification, Verify

SIZES = (1, 10, 100, 1_000, 10_000)
#: How many times the floor a batch of so many grants may take, and what is aimed at.
MOST_TIMES, AIM, JUDGED = 2.5, 2.0, 1_000
#: The first batch of each size is not counted: caches fill, and statements are prepared. So many more are, at least.
_LEAST_BATCHES = 3
#: As where the server serves or is simulated, the collector looks seldom.
_COLLECT = (50_000, 20, 100)
#: Longer than any measurement.
_TTL = 6 * 3_600_000_000
_Given = ParamSpec("_Given")
_Value = TypeVar("_Value")


@dataclass(frozen=True, kw_only=True)
class CoreFigures:
    """Batches of one size on one database.

    Attributes
    ----------
    work : ``grant`` or ``verify``.
    floor_per_second, server_per_second : grants or verifications; medians over batches.
    times : how many times the floor's time the server takes; the median over batches, each compared with its own floor.
    times_quartiles : between which half of the batches lie.
    p50_ms, p99_ms : of a whole batch of the server.
    """

    database: str
    work: str
    batch_size: int
    batches: int
    floor_per_second: float
    server_per_second: float
    times: float
    times_quartiles: tuple[float, float]
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, kw_only=True)
class CoreResult:
    """All that was measured, database by database, in order of size."""

    agents: int
    seconds: float
    figures: list[CoreFigures]

    @property
    def judged(self) -> dict[str, float]:
        """By database, times the floor at the size of batch that is judged; empty where that was not measured."""
        return {
            each.database: each.times
            for each in self.figures
            if (each.work, each.batch_size) == ("grant", JUDGED)
        }


def bench_core(
    *,
    sizes: Sequence[int] = SIZES,
    seconds: float = 5.0,
    agents: int = 10_000,
    database: str | None = None,
    progress: bool = False,
) -> CoreResult:
    """Measure batches of grants, and of their verifications, in this process.

    Parameters
    ----------
    sizes : of the batches, each of which is one transaction.
    seconds : how long each size is measured, server and floor together; three batches at least.
    agents : how many are registered; they ask in turn.
    database : URL of a PostgreSQL to measure beside SQLite (files with synchronous FULL, as when serving).
    progress : whether to draw progress bars on standard error.

    Raises
    ------
    BenchError
        If the database cannot be used, or something is refused.
    """
    figures: list[CoreFigures] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="agentsim-bench-")))
        stack.enter_context(_rare_collections())
        places: list[tuple[str, str, Callable[[], Bare]]] = [
            ("SQLite", f"sqlite:///{folder / 'server.db'}", partial(BareSQLite, folder / "floor.db"))
        ]
        if database is not None:
            own, floors = stack.enter_context(new_schemas(database, 2))
            places.append(("PostgreSQL", own, partial(BarePostgreSQL, floors)))
        bar = stack.enter_context(
            tqdm(total=2 * len(places) * len(sizes), disable=not progress, desc="measure", leave=False)
        )
        for name, url, bare in places:
            credentials = register_agents(url, agents, progress)
            with closing(Store(url)) as store, closing(bare()) as beside:
                server = Server(store, policy=Policy(access_ttl_us=_TTL), writer=store.claim_writer())
                trial = _Trial(name, server, Floor(beside, store), credentials, seconds)
                for size in sorted(set(sizes)):
                    for measured in trial.measure(size):
                        figures.append(measured)
                        bar.update()
    return CoreResult(agents=agents, seconds=seconds, figures=figures)


@dataclass(frozen=True)
class _Trial:
    """One database: its server, the floor beside it, and who asks."""

    database: str
    server: Server
    floor: Floor
    agents: Sequence[AgentCredentials]
    seconds: float
    _tasks: Iterator[int] = field(default_factory=count)

    def measure(self, size: int) -> Iterator[CoreFigures]:
        """Grants in batches of one size, then the same tokens verified in the same batches."""
        tokens: list[tuple[list[str], list[str]]] = []
        pairs: list[tuple[int, int]] = []
        while self._goes_on(pairs):
            asked = self._issues(size)
            answers, ours = _timed(self.server.execute, asked)
            granted = [answer.access_token for answer in answers if isinstance(answer, TokenGrant)]
            if len(granted) < size:
                raise BenchError("not every request was granted")
            rows = self.floor.new_rows()
            signed, bare = _timed(self.floor.grant, rows)
            tokens.append((granted, signed))
            pairs.append((ours, bare))
        yield self._figures("grant", size, pairs)
        pairs = []
        for granted, signed in tokens:
            answers, ours = _timed(self.server.execute, _verifies(granted))
            if not all(isinstance(answer, Verification) and answer.is_valid for answer in answers):
                raise BenchError("not every token was found valid")
            rows = self.floor.new_rows()
            _, bare = _timed(self.floor.verify, signed, rows)
            pairs.append((ours, bare))
            if not self._goes_on(pairs):
                break
        yield self._figures("verify", size, pairs)

    def _goes_on(self, pairs: Sequence[tuple[int, int]]) -> bool:
        return len(pairs) <= _LEAST_BATCHES or sum(map(sum, pairs)) < self.seconds * 1e9

    def _issues(self, size: int) -> list[Operation]:
        """The next agents in turn, each with a task of its own."""
        return [
            Issue(by=Client(*self.agents[task % len(self.agents)]), task_id=f"task-{task:09}-00", scope=SCOPE)
            for task in islice(self._tasks, size)
        ]

    def _figures(self, work: str, size: int, pairs: Sequence[tuple[int, int]]) -> CoreFigures:
        ours, bare = np.array(pairs[1:], float).T
        low, times, high = np.percentile(ours / bare, [25, 50, 75]).tolist()
        p50, p99 = (np.percentile(ours, [50, 99]) / 1e6).tolist()
        return CoreFigures(
            database=self.database,
            work=work,
            batch_size=size,
            batches=len(ours),
            floor_per_second=size * 1e9 / float(np.median(bare)),
            server_per_second=size * 1e9 / float(np.median(ours)),
            times=times,
            times_quartiles=(low, high),
            p50_ms=p50,
            p99_ms=p99,
        )


def _verifies(tokens: Sequence[str]) -> list[Operation]:
    return [
        Verify(token=token, required_tools=TOOLS, required_resources=RESOURCES, include_history=False)
        for token in tokens
    ]


def _timed(work: Callable[_Given, _Value], *words: _Given.args, **names: _Given.kwargs) -> tuple[_Value, int]:
    """What it returns, and how many nanoseconds it took."""
    began = perf_counter_ns()
    value = work(*words, **names)
    return value, perf_counter_ns() - began


@contextmanager
def _rare_collections() -> Iterator[None]:
    usual = gc.get_threshold()
    gc.set_threshold(*_COLLECT)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
