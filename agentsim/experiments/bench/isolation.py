"""Isolation: what people notice of agents that ask ten times as often as they may.

One served process under limits. People ask at a steady, modest rate from this process: alone, beside agents that keep
to the limit of their class, and beside agents at ten times that limit, from processes of their own. The second shows how
much of the third is the machine and the work that is granted, rather than the flood.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter_ns, sleep
from typing import NamedTuple

import numpy as np
from tqdm.auto import tqdm

from agentsim.experiments.bench.children import Child, running, serve_words
from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.load import drive
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.experiments.bench.requests import AgentCredentials, Requests, single_requests
from agentsim.experiments.bench.steady import Schedule, Steady, send

#: How the agents ask, in multiples of their limit: not at all, as they may, and far beyond that.
PHASES = {"alone": 0, "agents at their limit": 1, "agents at ten times their limit": 10}
ALONE, FLOOD = "alone", "agents at ten times their limit"
#: What people may notice: their p99 at most doubles, and of a hundred requests at most one more fails.
MOST_RATIO, MOST_LOST = 2.0, 0.01
_PATH = "/token"
#: Agents' part of what the server can do, and the seconds in which that is found out.
_SHARE, _CALIBRATION = 0.1, 3.0
_AGENTS, _PEOPLE = 500, 20
#: Connections of people, and the processes that agents ask from.
_PEOPLE_CONNECTIONS, _PROCESSES = 32, 2
#: Seconds before what is counted: to get everybody going.
_WARM_UP = 1.5


class Observation(NamedTuple):
    """One phase of one round: what people got, and what agents did."""

    people: Steady
    agents: Steady

    @property
    def p99_ms(self) -> float:
        """Of people's granted requests, from the moment they were meant to begin."""
        return _percentile(self.people, 99)

    @property
    def success(self) -> float:
        """Part of people's requests that were granted."""
        return self.people.outcomes["200"] / self.people.intended


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Medians over rounds of what people got in one phase, and what became of all requests of agents."""

    p50_ms: float
    p99_ms: float
    p99s_ms: list[float]
    success: float
    people: int
    agents: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class IsolationResult:
    """What people notice of agents, phase by phase.

    Attributes
    ----------
    capacity : grants per second without limits, 64 requests under way.
    limit, people_rate : of agents' class, and what people ask for; per second.
    connections : of all agents together.
    ratios : by phase, the median over rounds of the p99 divided by the p99 alone in the same round.
    lost : how much less of people's requests was granted beside ten times the limit; 0.01 is one point.
    """

    capacity: float
    limit: float
    people_rate: float
    connections: int
    seconds: float
    rounds: int
    phases: dict[str, Phase]
    ratios: dict[str, float]
    lost: float

    @property
    def isolated(self) -> bool:
        """Whether people notice no more than they may."""
        return self.ratios[FLOOD] <= MOST_RATIO and self.lost <= MOST_LOST


def bench_isolation(
    *,
    people_rate: float = 100.0,
    limit: float | None = None,
    connections: int = 256,
    seconds: float = 10.0,
    rounds: int = 3,
    progress: bool = False,
) -> IsolationResult:
    """Serve people and agents, and measure what people notice of agents beyond their limit.

    Parameters
    ----------
    people_rate : requests of people, per second.
    limit : of the agents' class, per second; by default a tenth of what the server can do, measured first: ten times that is all of it.
    connections : of all agents together; a request for which none is free is dropped, and counted.
    seconds, rounds : how long, and how often, each phase is measured.
    progress : whether to draw progress bars on standard error.

    Raises
    ------
    BenchError
        If the server does not come up or goes away, or people are granted nothing.
    """
    with TemporaryDirectory(prefix="agentsim-bench-") as name, _senders() as senders:
        folder = Path(name)
        url = f"sqlite:///{folder / 'agentsim.db'}"
        prepare(url)
        agents = register_agents(url, _AGENTS, progress)
        people = register_agents(url, _PEOPLE, progress, actor_class="human")
        capacity = _capacity(folder, url, agents)
        limit = limit or _SHARE * capacity
        with running(
            "agentsim serve", *serve_words(folder, url, policy=_policy(limit, people_rate))
        ) as served:
            stage = _Stage(served, agents, people, limit, people_rate, connections, seconds, senders)
            seen = _play(stage, rounds, progress)
    alone = [each.p99_ms for each in seen[ALONE]]
    phases = {phase: _summary(some) for phase, some in seen.items()}
    return IsolationResult(
        capacity=capacity,
        limit=limit,
        people_rate=people_rate,
        connections=connections,
        seconds=seconds,
        rounds=rounds,
        phases=phases,
        ratios={
            phase: median(each.p99_ms / base for each, base in zip(some, alone, strict=True))
            for phase, some in seen.items()
        },
        lost=phases[ALONE].success - phases[FLOOD].success,
    )


@dataclass(frozen=True, slots=True)
class _Stage:
    """Everything that one phase needs."""

    served: Child
    agents: Sequence[AgentCredentials]
    people: Sequence[AgentCredentials]
    limit: float
    people_rate: float
    connections: int
    seconds: float
    senders: ProcessPoolExecutor

    def observe(self, multiple: int) -> Observation:
        """People at their rate beside agents at a multiple of their limit."""
        begin = perf_counter_ns() + round(_WARM_UP * 1e9)
        flood = [
            self.senders.submit(
                send,
                self.served.port,
                single_requests(self.agents[place::_PROCESSES], _PATH),
                self._schedule(begin, multiple * self.limit / _PROCESSES),
                connections=-(-self.connections // _PROCESSES),
                patient=False,
            )
            for place in range(_PROCESSES)
            if multiple
        ]
        people = send(
            self.served.port,
            single_requests(self.people, _PATH),
            self._schedule(begin, self.people_rate),
            connections=_PEOPLE_CONNECTIONS,
            patient=True,
        )
        agents = sum((each.result() for each in flood), Steady())
        self.served.require()
        if not people.latencies:
            raise BenchError(f"people were granted nothing: {dict(people.outcomes)}")
        return Observation(people, agents)

    def _schedule(self, begin: int, rate: float) -> Schedule:
        return Schedule(begin=begin, warm_up=_WARM_UP * 0.8, seconds=self.seconds, rate=rate)


def _play(stage: _Stage, rounds: int, progress: bool) -> dict[str, list[Observation]]:
    seen: dict[str, list[Observation]] = {phase: [] for phase in PHASES}
    turns = [phase for _ in range(rounds) for phase in PHASES]
    for phase in tqdm(turns, unit="phase", disable=not progress, desc="measure", leave=False):
        seen[phase].append(stage.observe(PHASES[phase]))
    return seen


def _capacity(folder: Path, url: str, agents: Sequence[AgentCredentials]) -> float:
    with running("agentsim serve", *serve_words(folder, url)) as served:
        requests: Requests = single_requests(agents, _PATH)
        sample = drive(served.port, requests, connections=64, seconds=_CALIBRATION)
        served.require()
    if sample.faults or not sample.grants:
        raise BenchError(f"the server grants nothing: {sample.faults} {sample.evidence}")
    return sample.rate


@contextmanager
def _senders() -> Iterator[ProcessPoolExecutor]:
    """Processes to send from, which have started up before anything is measured."""
    with ProcessPoolExecutor(_PROCESSES, get_context("spawn"), _stand_back) as senders:
        for ready in [senders.submit(sleep, 0.5) for _ in range(_PROCESSES)]:
            ready.result()
        yield senders


def _stand_back() -> None:
    """Take no more of the processors than the server and its people leave: agents are on other machines."""
    os.setsid()
    os.nice(19)
    # Where the kernel shares processors among sessions first, a process's own number counts within its session only.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19", encoding="ascii")


def _policy(limit: float, people_rate: float) -> str:
    """Agents have their limit, people far more than they ask for."""
    return (
        f"limits:\n  classes:\n"
        f"    agent: {{rate: {limit:.3f}/s, burst: {max(1, round(limit / 10))}}}\n"
        f"    human: {{rate: {10 * people_rate:.3f}/s, burst: {max(1, round(people_rate))}}}\n"
    )


def _summary(seen: Sequence[Observation]) -> Phase:
    agents = sum((each.agents for each in seen), Steady())
    return Phase(
        p50_ms=median(_percentile(each.people, 50) for each in seen),
        p99_ms=median(each.p99_ms for each in seen),
        p99s_ms=[each.p99_ms for each in seen],
        success=median(each.success for each in seen),
        people=sum(each.people.intended for each in seen),
        agents=dict(agents.outcomes),
    )


def _percentile(steady: Steady, percent: float) -> float:
    return float(np.percentile(steady.latencies, percent)) / 1e6
