"""``agentsim bench scale``: how the cost of a play grows with the number of agents."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, print_json, progress
from agentsim.cli.bench import bench, whole_numbers
from agentsim.cli.plain import say

if TYPE_CHECKING:
    from agentsim.experiments.bench import ScaleResult
    from agentsim.experiments.bench.growth import Growth

_COSTS = ("Agents", "wall s", "CPU s", "us an agent", "floor us", "times the floor")
_SIZES = ("Agents", "operations", "a batch", "memory MB", "idle MB", "database MB", "Run MB")
_MB = 1e6


@bench.command(epilog="Example: `agentsim bench scale --agents 1000,10000,100000 --repeat 3`")
def scale(
    scenario: Annotated[Path, typer.Argument(help="The scenario, a YAML file.", metavar="SCENARIO")] = Path(
        "data/scenarios/million-one-tenant.yaml"
    ),
    agents: Annotated[
        str, typer.Option(metavar="N,N,…", help="Numbers of agents, instead of the scenario's.")
    ] = "1000,10000,100000,1000000",
    repeat: Annotated[int, typer.Option(min=1, metavar="N", help="How often each size is played.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the Runs are kept.", show_default="nowhere"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play a scenario at several sizes and fit how time and memory grow with the agents.

    Each size is played in a process of its own by one worker; right after it the floor of the same work is measured: one
    signature and one check for each token, and bare inserts of as many agents, tokens and audit rows into SQLite.

    The times in which agents arrive shrink and stretch with their number, so that as many arrive in a second at any size. With the
    scenario's own hour a thousand agents would come one by one and each would pay for a transaction of its own: that makes
    small sizes dear and growth look better than it is. Some of that is left, because a short run is beginning and end for the
    most part, and its batches are less full. So the same is told with batches equally full: the work of the largest play at the prices
    that an operation and a batch had in each, fitted to its windows.
    """
    from agentsim.experiments.bench import bench_scale
    from agentsim.simulation import load_scenario

    sizes = whole_numbers(agents, "--agents")
    result = bench_scale(load_scenario(scenario), sizes=sizes, repeat=repeat, out=out, progress=progress())
    if as_json:
        print_json(_as_json(result))
    else:
        _present(result)


def _as_json(result: ScaleResult) -> dict[str, object]:
    points = [
        asdict(point)
        | {
            "operations": point.played.operations,
            "batches": point.played.batches,
            "floor_s": point.floor.total_s,
            "times_the_floor": point.times,
        }
        for point in result.points
    ]
    return asdict(result) | {"points": points}


def _present(result: ScaleResult) -> None:
    from agentsim.cli.terminal import print_figures, print_table
    from agentsim.experiments.bench.scale import MOST_EXPONENT, MOST_RATIO

    print_figures({"scenario": result.scenario, "arrivals": "as dense as the scenario's at every size"})
    costs, sizes = [], []
    for point in result.points:
        played, agents = point.played, f"{point.played.agents:,}"
        each, floor = (seconds / played.agents * 1e6 for seconds in (played.wall_s, point.floor.total_s))
        costs.append((agents, played.wall_s, played.cpu_s, each, floor, point.times))
        octets = (played.peak_bytes, played.idle_bytes, played.database_bytes, played.run_bytes)
        full = played.operations / max(1, played.batches)
        sizes.append((agents, played.operations, full, *(size / _MB for size in octets)))
    print_table(_COSTS, costs)
    print_table(_SIZES, sizes)
    _present_stages(result)
    print_table(
        ("Grows as agents to the power of", "exponent", "95 % interval"),
        [
            (name, growth.exponent, _interval(growth))
            for name, growth in (
                ("wall time", result.time),
                ("CPU time", result.cpu),
                ("wall time, batches equally full", result.even),
                ("memory beyond the idle process'", result.memory),
            )
        ],
    )
    plays = result.time.measurements
    few = "; so few leave wide intervals, --repeat adds some" if plays < 5 else ""
    say(f"\nFitted to {plays} plays{few}.")
    largest = result.points[-1].played.agents
    ratios = (
        ("An agent costs", result.wall_ratio),
        ("In CPU time", result.cpu_ratio),
        ("In wall time, batches equally full,", result.even_ratio),
    )
    for what, ratio in ratios:
        say(
            f"{what} {ratio:.2f} times as much at {largest:,} as at {result.judged_by:,} "
            f"(at most {MOST_RATIO}): {_yes(ratio <= MOST_RATIO)}"
        )
    say(
        f"Exponent of wall time at most {MOST_EXPONENT}: {_yes(result.time.exponent <= MOST_EXPONENT)}; "
        f"batches equally full: {_yes(result.even.exponent <= MOST_EXPONENT)}"
    )


def _present_stages(result: ScaleResult) -> None:
    """A column for each play: where its time went, and below that where the floor's went."""
    from agentsim.cli.terminal import print_table

    names = list(dict.fromkeys(name for point in result.points[::-1] for name in point.played.stages))
    header = ("us an agent", *(f"{point.played.agents:,}" for point in result.points))
    stages = [
        (name, *(_each(point.played.stages.get(name, 0.0), point.played.agents) for point in result.points))
        for name in names
    ]
    floors = [
        (
            f"floor: {what}",
            *(_each(getattr(point.floor, f"{what}_s"), point.played.agents) for point in result.points),
        )
        for what in ("sign", "check", "insert")
    ]
    print_table(header, stages + floors)
    say("Tokens are signed where they are issued or refreshed, and checked in load.")


def _each(seconds: float, agents: int) -> float:
    return round(seconds / agents * 1e6, 1)


def _interval(growth: Growth) -> str:
    if growth.least is None or growth.most is None:
        return "unknown"
    return f"{growth.least:.3f} to {growth.most:.3f}"


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"
