"""``agentsim bench scoring``: what judging each use adds to a verification."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, print_json, progress
from agentsim.cli.bench import bench, whole_numbers

if TYPE_CHECKING:
    from agentsim.experiments.bench.scoring import ScoringResult

_HEADER = ("batch", "batches", "without us", "with us", "added us", "quartiles", "at most us")


@bench.command(epilog="Example: `agentsim bench scoring --sizes 1,64,1000`")
def scoring(
    scenario: Annotated[
        Path, typer.Argument(help="What the model learns from, its attackers left out.", metavar="[SCENARIO]")
    ] = Path("data/scenarios/demo.yaml"),
    sizes: Annotated[str, typer.Option(metavar="N,N,…", help="Verifications in one batch.")] = "1,64,1000",
    seconds: Annotated[
        float, typer.Option(min=0.01, metavar="S", help="How long each size is measured.")
    ] = 10.0,
    agents: Annotated[
        int, typer.Option(min=200, metavar="N", help="Agents to learn from, and grants to verify.")
    ] = 2_000,
    as_json: Json = False,
) -> None:
    """Measure verifications with and without a model at work, batch by batch in turn.

    Two equal servers on SQLite files, synchronous FULL; one of them judges each use by look-ups before it answers, at a
    threshold that nothing reaches.
    """
    from agentsim.experiments.bench.scoring import bench_scoring
    from agentsim.simulation import load_scenario

    result = bench_scoring(
        load_scenario(scenario),
        sizes=whole_numbers(sizes, "--sizes"),
        seconds=seconds,
        agents=agents,
        progress=progress(),
    )
    if as_json:
        print_json(asdict(result))
    else:
        _present(result)


def _present(result: ScoringResult) -> None:
    from agentsim.cli.terminal import print_figures, print_table
    from agentsim.experiments.bench.scoring import MOST_US

    print_figures({"agents": result.agents, "role": result.role})
    rows = [
        (
            each.batch_size,
            each.batches,
            each.without_us,
            each.with_us,
            each.added_us,
            "{:.0f} to {:.0f}".format(*each.added_quartiles),
            MOST_US.get(each.batch_size, "-"),
        )
        for each in result.figures
    ]
    print_table(_HEADER, rows)
