"""The command that lets a Run go on differently from a moment: fork."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from agentsim.cli.app import Json, app, progress
from agentsim.cli.runs import Jobs, present, tell_tenants


@app.command(epilog="Example: `agentsim fork data/runs/demo --at 20m --set policy.access_ttl=1m`")
def fork(
    run: Annotated[Path, typer.Argument(help="The directory of a finished simulated Run.", metavar="RUN")],
    at: Annotated[
        str, typer.Option(metavar="TIME", help="Simulated time since the beginning, for example 20m.")
    ],
    changed: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A key of the scenario and what it has from then on; several times for several keys.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Directory of the new Run.",
            show_default="beside the Run, named after the changes",
        ),
    ] = None,
    jobs: Jobs = None,
    as_json: Json = False,
) -> None:
    """Play a Run again up to a moment, and let it go on from there under other rules.

    Rules of the server may be changed (`policy.…`), and attacks be added that begin later (`attacks.N={kind: …}`); the
    same agents intend the same. The beginning is held against the Run's audit chain.
    """
    from agentsim.settings.durations import parse_duration
    from agentsim.simulation import fork as fork_run

    try:
        moment = parse_duration(at)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--at") from exc
    changes = dict(_change(word) for word in changed or ())
    forked = fork_run(
        run, out, at=moment, changes=changes, jobs=jobs or os.cpu_count() or 1, progress=progress()
    )
    if forked.manifest.tenants:
        present(forked, as_json, "agentsim inspect --check")
    tell_tenants(forked)


def _change(word: str) -> tuple[str, Any]:
    """A key and its value, read as in a scenario."""
    from agentsim.settings.yamlfile import parse_yaml

    key, equals, text = word.partition("=")
    if not (key and equals):
        raise typer.BadParameter(f"write KEY=VALUE, got {word!r}", param_hint="--set")
    return key, parse_yaml(text, f"--set {key}")
