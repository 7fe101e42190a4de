"""``agentsim bench judging``: what it takes to judge a whole Run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agentsim.cli.app import Json, print_json, progress
from agentsim.cli.bench import bench
from agentsim.cli.plain import say

_HEADER = ("step", "of", "entities", "seconds", "CPU s")


@bench.command(epilog="Example: `agentsim bench judging data/runs/million --model models/acme`")
def judging(
    run: Annotated[Path, typer.Argument(help="The Run to judge.", metavar="RUN")],
    model: Annotated[Path, typer.Option(metavar="DIR", help="A trained model, from 'agentsim model train'.")],
    as_json: Json = False,
) -> None:
    """Measure how long a Run takes to be read, its features to be made and everything in it to be scored.

    Features and scores of grants, trees and agents, each step once. For a million grants, features with reading may take
    a minute and scores half of one, on two cores.
    """
    from agentsim.cli.terminal import print_table
    from agentsim.experiments.bench.judging import FEATURES_S, SCORES_S, bench_judging
    from agentsim.risk.model import load
    from agentsim.run import Run

    stages = bench_judging(Run(run), load(model), progress=progress())
    if as_json:
        print_json({"run": str(run), "stages": [asdict(each) for each in stages]})
        return
    print_table(
        _HEADER, ((each.stage, each.kind, each.entities, each.seconds, each.cpu_s) for each in stages)
    )
    of = {(each.stage, each.kind): each.seconds for each in stages}
    features, scores = of["read", ""] + of["features", "grant"], of["scores", "grant"]
    say(
        f"\nGrants: read and features {features:.1f} s (at most {FEATURES_S:.0f} for a million), "
        f"scores {scores:.1f} s (at most {SCORES_S:.0f})"
    )
