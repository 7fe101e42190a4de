"""The command that soaks a served token server: soak."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say
from agentsim.cli.runs import RUNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentsim.experiments.soak import Drift, Soak, Tally

_HEADER = ("Tried", "times", "operations", "lost", "let in", "errors")


@app.command(epilog="Example: `agentsim soak --seconds 60 --kills 3`")
def soak(
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where the record is written.")
    ] = RUNS / "soak",
    seconds: Annotated[
        float, typer.Option(min=1, max=604_800, metavar="S", help="How long there is load.")
    ] = 900.0,
    kills: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="How often a server is killed.")
    ] = 30,
    db: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A PostgreSQL, in which schemas are made and dropped again.",
            show_default="temporary SQLite files",
        ),
    ] = None,
    only: Annotated[
        Literal["load", "kills", "faults", "inputs"] | None,
        typer.Option(help="Do this part alone.", show_default="all, one after the other"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve, and count what goes wrong: under load, when servers are killed, when what they run on fails, and with hostile input.

    Under load every answer is judged, and memory and waits are written down each second. Kills, faults and hostile input are looked
    at afterwards: what was answered must be there, what must be refused must not be let in, and no error may come that nothing has
    asked for. The record is written at the end; `agentsim report reliability` makes a page of it. Exit status 1 if anything went wrong.
    """
    from agentsim.experiments.soak import Settings, Soaking

    settings = Settings(seconds=seconds, kills=kills, database=db, only=only)
    soaking = Soaking(settings=settings, progress=progress())
    try:
        done = soaking.run(out)
    except KeyboardInterrupt:
        if not as_json:
            _table(soaking.tallies)
            say("\nThis is what was done so far; nothing was written.")
        raise
    drifts = _drifts(done)
    if as_json:
        told = {name: each and asdict(each) | {"verdict": each.verdict} for name, each in drifts.items()}
        figures = done.manifest.model_dump(mode="json") | {"sound": done.manifest.sound, "drift": told}
        print_json({"folder": str(out), **figures})
    else:
        _print(done, drifts)
    if not done.manifest.sound:
        raise typer.Exit(1)


def _drifts(done: Soak) -> dict[str, Drift | None]:
    from agentsim.experiments.soak import drift

    return {name: drift(done.load[column]) for name, column in (("memory", "rss_mb"), ("p99", "p99_ms"))}


def _print(done: Soak, drifts: dict[str, Drift | None]) -> None:
    _table(done.manifest.tallies)
    say("")
    for name, unit in (("memory", "MB"), ("p99", "ms")):
        found = drifts[name]
        if found is not None:
            say(
                f"{name}: {found.level:,.4g} {unit} over the second half, {100 * found.per_hour:+.1f} % an hour "
                f"({100 * found.low:+.1f} to {100 * found.high:+.1f}): {found.verdict}"
            )
    if done.dropped:
        say(f"Dropped, the machine being too busy: {100 * done.dropped:.1f} % of the requests under load.")
    for tally in done.manifest.tallies:
        for sentence in tally.notes:
            say(f"{tally.name}: {sentence}")
    say(f"Nothing went wrong: {'yes' if done.manifest.sound else 'NO'}. Record: {done.path}")


def _table(tallies: Sequence[Tally]) -> None:
    from agentsim.cli.terminal import print_table

    rows = [
        (f"{each.part}: {each.name}", each.tried, each.operations, each.lost, each.let_in, each.unasked)
        for each in tallies
    ]
    print_table(_HEADER, rows)
