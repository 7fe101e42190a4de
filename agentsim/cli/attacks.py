"""The command that prints the catalogue of attacks: attacks."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agentsim.cli.app import Json, app, print_json
from agentsim.cli.plain import say


@app.command(epilog="Example: `agentsim attacks runaway_fanout`")
def attacks(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="One attack, in detail: a kind of this list, package.module:Class, or an installed one's name.",
            show_default="all",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the attacks that a scenario may name, and what a token server cannot see at all.

    A scenario asks for them under `attacks:`, each with its prevalence, stealth and start. All are our own invention.
    """
    if kind is not None:
        _print_one(kind, as_json=as_json)
    elif as_json:
        print_json(_everything())
    else:
        _print_catalogue()


def _print_one(kind: str, *, as_json: bool) -> None:
    from agentsim.cli.terminal import print_figures, print_rows
    from agentsim.simulation.attacks import explain

    told = explain(kind)
    told["signals"] = {signal: _meaning(signal) for signal in told["signals"]}
    if as_json:
        print_json(told)
        return
    print_figures({name: _text(value) for name, value in told.items() if value and name != "signals"})
    say("\nWhat the token server sees of it:\n")
    print_rows(
        ("signal", "meaning"), [{"signal": name, "meaning": text} for name, text in told["signals"].items()]
    )


def _meaning(signal: str) -> str:
    """What a signal is: a feature, a family of features, or something else that the server's rows hold."""
    from agentsim.risk.catalogue import FEATURES, families
    from agentsim.simulation.attacks import SIGNALS

    feature = FEATURES.get(signal)
    if feature is None:
        return SIGNALS.get(signal) or f"any of {', '.join(families(signal))}"
    return f"{feature.meaning} (a feature of {', '.join(f'{kind}s' for kind in feature.kinds)})"


def _everything() -> dict[str, Any]:
    from dataclasses import asdict

    from agentsim.settings.plugins import installed
    from agentsim.simulation.attacks import ATTACKERS, GROUP, NOT_PLAYED, SIGNALS, UNSEEN, describe

    return {
        "attacks": [describe(attacker) for attacker in ATTACKERS.values()],
        "installed": list(installed(GROUP)),
        "signals": SIGNALS,
        "unseen": [asdict(threat) for threat in UNSEEN],
        "not_played": NOT_PLAYED,
    }


def _print_catalogue() -> None:
    from agentsim.cli.terminal import print_rows

    told = _everything()
    print_rows(("kind", "does", "tags", "signals"), map(_texts, told["attacks"]))
    if told["installed"]:
        say(f"\nInstalled beside them: {_text(told['installed'])}")
    say("\nWhat a token server cannot see, and which of these may come of it:\n")
    print_rows(("tags", "name", "reason", "effects"), map(_texts, told["unseen"]))
    say("\nWhat it could see and is not played here:\n")
    print_rows(
        ("kind", "reason"), [{"kind": kind, "reason": why} for kind, why in told["not_played"].items()]
    )


def _texts(row: dict[str, Any]) -> dict[str, str]:
    return {name: _text(value) for name, value in row.items()}


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
