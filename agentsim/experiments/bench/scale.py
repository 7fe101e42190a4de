"""How the cost of a play grows with the number of agents, beside the floor of the same work at each size."""

from __future__ import annotations

from collections.abc import Sequence
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
    even : growth of the wall time if batches were as full at each size as they are at the largest.
    memory : growth of what a play took beyond the memory that its process had before.
    judged_by : the size that the largest is compared with: 10,000, or the smallest where that was not played.
    wall_ratio, cpu_ratio, even_ratio : cost of an agent at the largest size over that at ``judged_by``; medians over repetitions.
    """

    scenario: str
    points: list[Point]
    time: Growth
    cpu: Growth
    even: Growth
    memory: Growth
    judged_by: int
    wall_ratio: float
    cpu_ratio: float
    even_ratio: float


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
                points.append(Point(played=played, floor=same_work(Run(path), progress=progress)))
    return _result(scenario.name, sorted(points, key=lambda point: point.played.agents), sizes)


def _result(name: str, points: list[Point], sizes: Sequence[int]) -> ScaleResult:
    agents = [point.played.agents for point in points]
    base = JUDGED_BY if JUDGED_BY in sizes[:-1] else sizes[0]
    # Of the plays of the largest size the first: its work is what is priced at each size.
    largest = next(point.played for point in points if point.played.agents == sizes[-1])
    costs = {
        "wall": [point.played.wall_s / point.played.agents for point in points],
        "cpu": [point.played.cpu_s / point.played.agents for point in points],
        "even": [point.played.seconds_of(largest) for point in points],
    }
    grown = [point.played.peak_bytes - point.played.idle_bytes for point in points]

    def growth(of: str) -> Growth:
        return fit(agents, [cost * size for cost, size in zip(costs[of], agents, strict=True)])

    def ratio(of: str) -> float:
        most, judged = (
            median(cost for cost, played in zip(costs[of], agents, strict=True) if played == size)
            for size in (sizes[-1], base)
        )
        return most / judged

    return ScaleResult(
        scenario=name,
        points=points,
        time=growth("wall"),
        cpu=growth("cpu"),
        even=growth("even"),
        memory=fit(agents, [max(1, bytes_) for bytes_ in grown]),
        judged_by=base,
        wall_ratio=ratio("wall"),
        cpu_ratio=ratio("cpu"),
        even_ratio=ratio("even"),
    )
