"""The command that chooses thresholds, and shows what changes with them: tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say
from agentsim.cli.tuned import print_comparison, print_tuned

if TYPE_CHECKING:
    from agentsim.risk import ThresholdPolicy

_WAYS = "--budget (or --analysts with --minutes), --fdr, --cost, --recall or --fixed"


@app.command(epilog="Example: `agentsim tune data/runs/demo --budget 50/day -o thresholds.yaml`")
def tune(
    run: Annotated[Path, typer.Argument(help="The Run to choose on, or to compare on.", metavar="RUN")],
    budget: Annotated[
        str | None, typer.Option(metavar="RATE", help="Alerts at most: `50/day`, `2/hour`.")
    ] = None,
    analysts: Annotated[
        float | None,
        typer.Option(metavar="N", help="People who look at alerts, eight hours a day: a budget, too."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(metavar="M", help="Minutes that one of them needs for an alert.")
    ] = None,
    fdr: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Share of the alerts that may be false, `0.1` for example."),
    ] = None,
    expected: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Attacked entities to be found at that share.",
            show_default="as many as there are",
        ),
    ] = None,
    cost: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What missed attacks and false alarms cost, as YAML.")
    ] = None,
    recall: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND=SHARE", help="Share of a kind of attacks to be found at least; several times."
        ),
    ] = None,
    fixed: Annotated[float | None, typer.Option(metavar="SCORE", help="This score.")] = None,
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

    others = Runs(
        reported=Run(report) if report else None,
        calibrated=Run(calibrate) if calibrate else None,
        agents=agents,
        progress=progress(),
    )
    ways: dict[str, dict[str, Any]] = {
        "budget": {"alerts": budget, "analysts": analysts, "minutes_per_alert": minutes},
        "fdr": {"share": fdr, "expected": expected},
        "cost": {"costs": read_costs(cost).model_dump(exclude_none=True) if cost else None},
        "recall": {"floors": _pairs("--recall", recall)},
        "fixed": {"score": fixed},
    }
    if compare is not None:
        if any(value is not None for way in ways.values() for value in way.values()) or out or act or model:
            raise typer.BadParameter(
                "chooses nothing: leave out what is about choosing", param_hint="--compare"
            )
        _compare(compare, run, as_json)
        return
    policy, actions = _policy(ways), _pairs("--act", act, optional=True)
    tuned = choose_for(Run(run), policy, model=model, runs=others, actions=actions, valid_days=valid)
    if out is not None:
        tuned = tuned.write(out)
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


def _policy(ways: dict[str, dict[str, Any]]) -> ThresholdPolicy:
    """The one way that was asked for."""
    from agentsim.risk.thresholds import ThresholdPolicy
    from agentsim.settings.faults import SettingsError
    from agentsim.settings.mending import validate

    given = {way: {k: v for k, v in arguments.items() if v is not None} for way, arguments in ways.items()}
    given = {way: arguments for way, arguments in given.items() if arguments}
    if len(given) != 1:
        named = f"not {' and '.join(given)} at once" if given else "none was"
        raise typer.BadParameter(f"thresholds are chosen in one way, {named}: give {_WAYS}")
    ((way, arguments),) = given.items()
    policy, faults = validate(ThresholdPolicy, {"by": way, **arguments})
    if policy is None:
        raise SettingsError("thresholds", faults)
    return policy


def _pairs(option: str, words: list[str] | None, *, optional: bool = False) -> dict[str, float | None] | None:
    """Names with numbers, as ``NAME=NUMBER``; the number may be left out where it is optional."""
    if not words:
        return None
    found: dict[str, float | None] = {}
    for word in words:
        name, equals, number = word.partition("=")
        if name in found:
            raise typer.BadParameter(f"{name} is given twice", param_hint=option)
        try:
            found[name] = float(number) if equals or not optional else None
        except ValueError:
            raise typer.BadParameter(f"write NAME=NUMBER, got {word!r}", param_hint=option) from None
    return found
