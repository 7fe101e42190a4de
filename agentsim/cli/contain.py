"""The command that compares thresholds by what they stop and what they cost: contain."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say
from agentsim.cli.runs import RUNS, Agents, Jobs, Seed, scenario_of

if TYPE_CHECKING:
    import pandas as pd

    from agentsim.experiments.containment.points import Acting

#: What is printed: the names of columns for people, and of the figures.
_COLUMNS = {
    "Threshold": "threshold",
    "honoured": "honoured",
    "median": "honoured_median",
    "of none %": "honoured_share",
    "grants": "grants_reached",
    "resources": "resources_reached",
    "contained": "contained",
    "after s": "contained_after_s",
    "killed": "honest_killed",
    "killed %": "honest_killed_share",
    "calls lost %": "honest_calls_lost",
    "alerts/day": "alerts_per_day",
}


@app.command(epilog="Example: `agentsim contain data/scenarios/demo.yaml --action revoke_tree`")
def contain(
    scenario: Annotated[
        Path, typer.Argument(help="The scenario, a YAML file with attacks.", metavar="SCENARIO")
    ],
    points: Annotated[int, typer.Option(min=2, max=100, metavar="N", help="How many thresholds.")] = 12,
    action: Annotated[
        str,
        typer.Option(
            metavar="ACTION", help="What is done: step_up, revoke_task, revoke_tree or disable_agent."
        ),
    ] = "step_up",
    agents: Agents = None,
    seed: Seed = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Where the Runs and the results are kept; what is there already is not played again.",
            show_default="data/runs/NAME-SEED-contain",
        ),
    ] = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Compare how far attackers get, and how much honest work is killed, by the threshold from which on is acted.

    Plays the scenario once with nobody who acts and once for each threshold, with the same seed, so that everybody intends the
    same. What is usual is learned from a Run of another seed in which nobody attacks, and the default threshold is the one that one
    honest task in a thousand of a third seed reaches.
    """
    from agentsim.experiments.containment import contain as compare
    from agentsim.experiments.containment import plan

    chosen = scenario_of(scenario, agents, seed)
    folder = out or RUNS / f"{chosen.name}-{chosen.seed}-contain"
    planned = plan(chosen, points=points, action=_acting(action))
    frame = compare(planned, folder, jobs=jobs, source=scenario, progress=progress())
    if as_json:
        print_json({"folder": str(folder), "points": json.loads(frame.to_json(orient="records"))})
    else:
        _print(frame, folder)


def _acting(action: str) -> Acting:
    from agentsim.experiments.containment.points import Acting

    for known in get_args(Acting):
        if action == known:
            return known  # type: ignore[no-any-return]
    raise typer.BadParameter(f"{action!r} is none of {', '.join(get_args(Acting))}", param_hint="--action")


def _print(frame: pd.DataFrame, folder: Path) -> None:
    from agentsim.cli.terminal import print_table

    shown = frame.copy()
    for share in ("honoured_share", "honest_killed_share", "honest_calls_lost"):
        shown[share] = 100 * shown[share]
    shown["threshold"] = [
        "none" if value != value else f"{value:.2f}{' *' if default else ''}"
        for value, default in zip(shown["threshold"], shown["is_default"], strict=True)
    ]
    rows = [
        tuple(_written(value) for value in row) for row in shown[list(_COLUMNS.values())].to_numpy().tolist()
    ]
    print_table(tuple(_COLUMNS), rows)
    say(
        f"\n{int(frame['attacks'].iloc[0])} attacks, {int(frame['honest_tasks'].iloc[0]):,} honest tasks. honoured: "
        "attackers' operations that were answered with success, all and of the median attack;\n"
        "grants, resources: what hangs below the grants that they used, mean of an attack; after: seconds from an attack's first "
        "operation until something\nwas done, median; killed: honest tasks that were held or ended, or got no grant. A score is "
        "-log10 of the share of honest tasks; * the default: one honest task in a thousand of another seed raises an alert there.\n"
        f"Runs and results: {folder}"
    )


def _written(value: object) -> object:
    if isinstance(value, float):
        return "-" if value != value else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return value
