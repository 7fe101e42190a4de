"""The ways in which thresholds are chosen, as options of a command: exactly one of them is given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from agentsim.risk import ThresholdPolicy

_NAMES = "--budget (or --analysts with --minutes), --fdr, --cost, --recall or --fixed"

Budget = Annotated[str | None, typer.Option(metavar="RATE", help="Alerts at most: `50/day`, `2/hour`.")]
Analysts = Annotated[
    float | None,
    typer.Option(metavar="N", help="People who look at alerts, eight hours a day: a budget, too."),
]
Minutes = Annotated[
    float | None, typer.Option(metavar="M", help="Minutes that one of them needs for an alert.")
]
Fdr = Annotated[
    float | None,
    typer.Option(metavar="SHARE", help="Share of the alerts that may be false, `0.1` for example."),
]
Expected = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Attacked entities to be found at that share.",
        show_default="as many as there are",
    ),
]
Cost = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What missed attacks and false alarms cost, as YAML.")
]
Recall = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KIND=SHARE", help="Share of a kind of attacks to be found at least; several times."
    ),
]
Fixed = Annotated[float | None, typer.Option(metavar="SCORE", help="This score.")]

#: Ways, each with what was said of it.
Ways = Mapping[str, Mapping[str, Any]]


def asked_for(ways: Ways) -> Ways:
    """Of all ways, with None for what nobody said, those of which something was said."""
    said = {way: {k: v for k, v in arguments.items() if v is not None} for way, arguments in ways.items()}
    return {way: arguments for way, arguments in said.items() if arguments}


def policy_of(given: Ways) -> ThresholdPolicy:
    """The one way that was asked for.

    Raises
    ------
    typer.BadParameter
        If none was, or several.
    SettingsError
        If what was said of it makes no policy.
    """
    from agentsim.risk.thresholds import ThresholdPolicy
    from agentsim.settings.faults import SettingsError
    from agentsim.settings.mending import validate

    if len(given) != 1:
        named = f"not {' and '.join(given)} at once" if given else "none was"
        raise typer.BadParameter(f"thresholds are chosen in one way, {named}: give {_NAMES}")
    ((way, arguments),) = given.items()
    policy, faults = validate(ThresholdPolicy, {"by": way, **arguments})
    if policy is None:
        raise SettingsError("thresholds", faults)
    return policy


def pairs(option: str, words: list[str] | None, *, optional: bool = False) -> dict[str, float | None] | None:
    """Names with numbers, as ``NAME=NUMBER``; the number may be left out where it is optional.

    Raises
    ------
    typer.BadParameter
        If a word is none, or a name is given twice.
    """
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
