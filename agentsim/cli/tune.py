"""The command that chooses thresholds, and shows what changes with them: tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say
from agentsim.cli.tuned import print_comparison, print_tuned
from agentsim.cli.ways import (
    Analysts,
    Budget,
    Cost,
    Expected,
    Fdr,
    Fixed,
    Minutes,
    Recall,
    asked_for,
    pairs,
    policy_of,
)

if TYPE_CHECKING:
    from agentsim.experiments.tuning import Tuned


@app.command(epilog="Example: `agentsim tune data/runs/demo --budget 50/day -o thresholds.yaml`")
def tune(
    run: Annotated[Path, typer.Argument(help="The Run to choose on, or to compare on.", metavar="RUN")],
    budget: Budget = None,
    analysts: Analysts = None,
    minutes: Minutes = None,
    fdr: Fdr = None,
    expected: Expected = None,
    cost: Cost = None,
    recall: Recall = None,
    fixed: Fixed = None,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The saved model that gives the scores.",
            show_default="trained on the scenario of RUN without attackers",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="The Run of another seed that the figures come from.",
            show_default="simulated from the scenario of RUN",
        ),
    ] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="For --fdr: a Run without attacks.",
            show_default="simulated from the scenario of RUN",
        ),
    ] = None,
    agents: Annotated[
        int, typer.Option(min=1, metavar="N", help="Agents in simulated Runs, at most.")
    ] = 10_000,
    act: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ACTION[=SCORE]",
            help="What is done about an alert, from which score on: log, step_up, revoke_task, revoke_tree, "
            "disable_agent; several times.",
            show_default="log",
        ),
    ] = None,
    valid: Annotated[int, typer.Option(min=1, metavar="DAYS", help="Days until the file expires.")] = 90,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="The file to write.", show_default="none"),
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="OLD NEW", help="Two files of thresholds: show what alerts the second gains and loses."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Choose from which score on something is an alert, and say what that finds, costs and misses.

    Chosen on RUN in one way, told on a Run of another seed: alerts a day, attacks found by kind, how far they got before the
    first alert. An alert is a grant, a tree or an agent. The file that it writes says where it comes from, and expires.
    """
    from agentsim.experiments.scene import Runs
    from agentsim.experiments.tuning import tune as choose_for
    from agentsim.risk.thresholds import read_costs
    from agentsim.run import Run

    given = asked_for(
        {
            "budget": {"alerts": budget, "analysts": analysts, "minutes_per_alert": minutes},
            "fdr": {"share": fdr, "expected": expected},
            "cost": {"costs": read_costs(cost).model_dump(exclude_none=True) if cost else None},
            "recall": {"floors": pairs("--recall", recall)},
            "fixed": {"score": fixed},
        }
    )
    if compare is not None:
        if given or out or act or model or report or calibrate:
            raise typer.BadParameter(
                "chooses nothing: leave out what is about choosing", param_hint="--compare"
            )
        _compare(compare, run, as_json)
        return
    policy, actions = policy_of(given), pairs("--act", act, optional=True)
    others = Runs(
        reported=Run(report) if report else None,
        calibrated=Run(calibrate) if calibrate else None,
        agents=agents,
        progress=progress(),
    )
    tuned = choose_for(Run(run), policy, model=model, runs=others, actions=actions, valid_days=valid)
    _tell(tuned if out is None else tuned.write(out), out, as_json)


def _tell(tuned: Tuned, out: Path | None, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(out) if out else None, **tuned.as_dict()})
        return
    print_tuned(tuned)
    if out is not None:
        say(f"\nWritten: {out}, for the model {tuned.model_path}; to be used until {tuned.file.expires}")


def _compare(files: tuple[Path, Path], run: Path, as_json: bool) -> None:
    from agentsim.experiments.tuning import compare_files
    from agentsim.run import Run

    compared = compare_files(*files, Run(run))
    if as_json:
        print_json(compared.as_dict())
        return
    print_comparison(compared)
