"""The command that compares how resource servers verify: exposure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say
from agentsim.cli.runs import RUNS

if TYPE_CHECKING:
    import pandas as pd

#: What is printed: the names of columns for people, and of the figures.
_COLUMNS = {
    "Verification": "way",
    "calls": "calls",
    "asked": "asked",
    "polls": "looks",
    "requests/call": "requests_per_call",
    "revocations": "revocations",
    "honoured": "honoured",
    "per 1,000": "per_1000",
    "from": "low",
    "to": "high",
    "exposed %": "exposed",
    "p50 s": "p50_s",
    "p99 s": "p99_s",
    "most s": "max_s",
}


@app.command(epilog="Example: `agentsim exposure data/scenarios/demo.yaml --agents 2000`")
def exposure(
    scenario: Annotated[
        Path,
        typer.Argument(
            help="A scenario, or the Run of one: its scenario is taken.", metavar="SCENARIO_OR_RUN"
        ),
    ],
    agents: Annotated[
        int, typer.Option(min=1, metavar="N", help="Agents to play with, at most those of the scenario.")
    ] = 2000,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where the Runs are kept that are played for it, and found the next time.",
            show_default="beside the Run",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare what is honoured after a revocation, and what it costs, by the way in which resource servers verify.

    Plays the scenario once for each way with the same seed, so that everybody intends the same. Owners stop every second root
    task, so that there is something to count.
    """
    from agentsim.experiments import compare_exposure
    from agentsim.run import Run
    from agentsim.simulation import load_scenario
    from agentsim.simulation.scenario import parse_scenario

    if scenario.is_dir():
        chosen, place = parse_scenario(Run(scenario).manifest.source, scenario), scenario
    else:
        chosen = load_scenario(scenario)
        place = RUNS / f"{chosen.name}-{chosen.seed}"
    folder = out or place.with_name(f"{place.name}-companions")
    compared = compare_exposure(chosen, folder, agents=agents, progress=progress())
    if as_json:
        print_json({"strategies": json.loads(compared.to_json(orient="records"))})
        return
    _print(compared)


def _print(compared: pd.DataFrame) -> None:
    from agentsim.cli.terminal import print_table

    shown = compared.assign(
        way=(compared["verification"] + " " + compared["setting"]).str.strip(),
        exposed=100 * compared["exposed"],
    )
    # Where nothing was honoured there is no time to tell.
    rows = shown[list(_COLUMNS.values())].astype(object).where(shown.notna(), "-").to_numpy().tolist()
    print_table(tuple(_COLUMNS), [tuple(row) for row in rows])
    say(
        "\nhonoured: calls let through after a mark; per 1,000 revocations with its 95 % interval; exposed: revocations "
        "with any;\np50, p99, most: seconds from the mark to the last of them. Polls depend on time and resource servers, "
        "not on calls."
    )
