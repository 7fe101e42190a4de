"""How the cost of a play grows with the number of agents, beside the floor of the same work at each size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from agentsim.experiments.bench.apart import apart
from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.growth import Growth, fit
from agentsim.experiments.bench.plays import Play, Played, sized
from agentsim.experiments.bench.samework import SameWork, same_work
from agentsim.run import Run
from agentsim.simulation import Scenario

SIZES = (1_000, 10_000, 100_000, 1_000_000)
#: The exponent of time may be so much, and an agent of the largest size may cost so many times one of the size judged by.
MOST_EXPONENT, MOST_RATIO, JUDGED_BY = 1.05, 1.25, 10_000


@dataclass(frozen=True, kw_only=True)
class Point:
    """One play and its floor, which was measured right after it."""

    played: Played
    floor: SameWork

    @property
    def times(self) -> float:
        """How many times the floor's time it took."""
        return self.played.wall_s / self.floor.total_s


@dataclass(frozen=True, kw_only=True)
class ScaleResult:
    """What was measured, in order of size, and how it grows.

    Attributes
    ----------
    time, cpu : growth of the wall time and of the CPU time of a play.
    memory : growth of what a play took beyond the memory that its process had before.
    judged_by : the size that the largest is compared with: 10,000, or the smallest where that was not played.
    wall_ratio, cpu_ratio : cost of an agent at the largest size over that at ``judged_by``; medians over repetitions.
    """

    scenario: str
    points: list[Point]
    time: Growth
    cpu: Growth
    memory: Growth
    judged_by: int
    wall_ratio: float
    cpu_ratio: float


def bench_scale(
    scenario: Scenario,
    *,
    sizes: Sequence[int] = SIZES,
    repeat: int = 1,
    out: Path | None = None,
    progress: bool = False,
) -> ScaleResult:
    """Play a scenario at several sizes, each in a process of its own, and fit how what it takes grows.

    The arrivals keep the scenario's density (:func:`~agentsim.experiments.bench.plays.sized`).

    Parameters
    ----------
    sizes : numbers of agents, two different ones at least.
    repeat : how often each size is played, the sizes in turn.
    out : where the Runs are kept; a temporary directory if left out.
    progress : whether to draw progress bars on standard error.

    Raises
    ------
    BenchError
        If there is only one size, the scenario's clock is the wall's, or a play fails.
    SettingsError
        If the scenario cannot have one of the sizes.
    """
    sizes = sorted(set(sizes))
    if len(sizes) < 2:
        raise BenchError("--agents: how a cost grows takes two sizes at least")
    if scenario.workload.clock == "wall":
        raise BenchError(
            f"{scenario.name}: by clock: wall a play takes as long as it says; say clock: simulated"
        )
    scenarios = [sized(scenario, size) for size in sizes]
    points: list[Point] = []
    with TemporaryDirectory(prefix="agentsim-bench-") if out is None else nullcontext(out) as name:
        folder = Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(1, repeat + 1):
            for each in scenarios:
                path = folder / f"agents-{each.population.agents}-{number}"
                played = apart(Play(each, path, progress))
                points.append(Point(played=played, floor=same_work(Run(path))))
    return _result(scenario.name, sorted(points, key=lambda point: point.played.agents), sizes)


def _result(name: str, points: list[Point], sizes: Sequence[int]) -> ScaleResult:
    agents = [point.played.agents for point in points]

    def growth(cost: Callable[[Played], float]) -> Growth:
        return fit(agents, [max(1e-9, cost(point.played)) for point in points])

    base = JUDGED_BY if JUDGED_BY in sizes[:-1] else sizes[0]

    def ratio(cost: Callable[[Played], float]) -> float:
        largest, judged = (
            median(cost(point.played) / size for point in points if point.played.agents == size)
            for size in (sizes[-1], base)
        )
        return largest / judged

    return ScaleResult(
        scenario=name,
        points=points,
        time=growth(lambda played: played.wall_s),
        cpu=growth(lambda played: played.cpu_s),
        memory=growth(lambda played: played.peak_bytes - played.idle_bytes),
        judged_by=base,
        wall_ratio=ratio(lambda played: played.wall_s),
        cpu_ratio=ratio(lambda played: played.cpu_s),
    )
