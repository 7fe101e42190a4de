"""The command ``calibrate``: roles from recorded traces, and how well they fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say

if TYPE_CHECKING:
    from agentsim.simulation.calibration import Calibration

_FIT = (
    "role",
    "tasks",
    "calls",
    "held back: tasks",
    "calls",
    "bits a call: chain",
    "shares",
    "uniform",
    "unknown",
)
_DISTANCES = ("role", "of", "measure", "simulated", "recorded", "p", "mean held back", "mean simulated")


@app.command(epilog="Example: `agentsim calibrate traces.parquet -o data/scenarios/recorded.yaml`")
def calibrate(
    traces: Annotated[
        Path,
        typer.Argument(
            help="Tool calls of agents: a row each, as Parquet, or OpenTelemetry spans, as OTLP JSON.",
            metavar="TRACES",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The scenario to write; one that is there is replaced.", metavar="FILE"
        ),
    ],
    as_json: Json = False,
) -> None:
    """Fit roles to recorded traces, write them as a scenario, and tell how well they fit.

    A quarter of the runs is held back. *Bits a call* says how surprising their tools are under the fitted chain, under
    the tools' shares alone, and where all tools are alike: less is better. Distances go from 0 (alike) to 1:
    *simulated* is that of the scenario from what was held back, *recorded* that of what was fitted to from what was
    held back, which a fit can hardly better. KS is Kolmogorov-Smirnov's, TV the total variation of shares.
    """
    from agentsim.simulation.calibration import calibrate as fit

    result = fit(traces, progress=progress())
    result.write(out)
    if as_json:
        print_json({"scenario": str(out), **result.as_dict()})
        return
    _print(result)
    say(f"\nNext: agentsim simulate {out}")


def _print(result: Calibration) -> None:
    from agentsim.cli.terminal import print_figures, print_table

    print_figures({name: value for name, value in result.source.items() if name != "sha256"})
    print_table(_FIT, _fits(result))
    print_table(_DISTANCES, _distances(result))
    for title, sentences in (("Note", result.notes), ("Not in the traces", result.not_told)):
        if sentences:
            say("\n" + "\n".join(f"{title}: {sentence}" for sentence in sentences))


def _fits(result: Calibration) -> Iterator[tuple[Any, ...]]:
    for role in result.roles:
        bits = (role.bits.get(name, "") for name in ("chain", "shares", "uniform"))
        yield role.role, role.tasks, role.calls, role.held_tasks, role.held_calls, *bits, role.unknown


def _distances(result: Calibration) -> Iterator[tuple[Any, ...]]:
    for role in result.roles:
        for each in role.distances:
            p = "" if each.p is None else f"{each.p:.2g}"
            means = each.means or ("", "")
            yield role.role, each.what, each.measure, each.simulated, each.recorded, p, *means
