"""The command that judges detection on simulated attacks of sealed seeds: drill."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.drilled import print_drill
from agentsim.cli.runs import RUNS, Jobs, scenario_of

_SCENARIO = Path("data/scenarios/attacks.yaml")


@app.command(epilog="Example: `agentsim drill data/scenarios/attacks.yaml --stealth 0.5 --sweep`")
def drill(
    scenario: Annotated[
        Path,
        typer.Argument(
            help="The organisation, a YAML file; attacks of its own are not played.", metavar="SCENARIO"
        ),
    ] = _SCENARIO,
    stealth: Annotated[
        float, typer.Option(metavar="S", help="Of all attacks: 0 loud, 1 as their victims but for one thing.")
    ] = 0.5,
    rate: Annotated[
        float, typer.Option(metavar="SHARE", help="False alarms allowed for each honest task.")
    ] = 0.001,
    sealed: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many Runs are judged, each of another seed.")
    ] = 3,
    agents: Annotated[int, typer.Option(min=1, metavar="N", help="Number of agents in each Run.")] = 12_000,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="What all seeds are made from, instead of the scenario's."),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Play stealth 0, 0.25, 0.5, 0.75 and 1 as well.")
    ] = False,
    corrupt: Annotated[
        bool, typer.Option("--corrupt", help="Spoil what is learned from as well, and tell what that costs.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Where Runs and figures are kept; what is there already is not played again.",
            show_default="data/runs/NAME-SEED-drill",
        ),
    ] = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Play every kind of attack, and tell how many are found at one false alarm per thousand honest tasks.

    Detectors learn from a Run that nobody attacked, the threshold comes from another such Run, and figures from sealed Runs
    of other seeds. First it is checked that the simulator gives no attack away.
    """
    from agentsim.experiments.drill import STEALTHS, Plan
    from agentsim.experiments.drill import drill as hold

    chosen = scenario_of(scenario, agents, seed)
    plan = Plan(chosen, stealth=stealth, sealed=sealed, rate=rate)
    folder = out or RUNS / f"{chosen.name}-{chosen.seed}-drill"
    stealths = STEALTHS if sweep else ()
    told = hold(plan, folder, stealths=stealths, corrupt=corrupt, jobs=jobs, progress=progress())
    if as_json:
        print_json({"folder": str(folder), **told.as_dict()})
    else:
        print_drill(told, folder)
