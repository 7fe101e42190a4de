"""The command that lists and exports the alerts of a Run: alerts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentsim.cli.app import Json, app, print_json
from agentsim.cli.plain import say

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ("score", "alert_id", "role", "action", "why")


@app.command(
    epilog="Example: `agentsim alerts data/runs/demo --thresholds thresholds.yaml --out alerts.jsonl`"
)
def alerts(
    run: Annotated[Path, typer.Argument(help="The Run to look at.", metavar="RUN")],
    thresholds: Annotated[
        Path,
        typer.Option(metavar="FILE", help="From which scores on something is an alert: a thresholds.yaml."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Write all alerts, as the ending says: .parquet, .csv, or .jsonl (OCSF findings).",
            show_default="none",
        ),
    ] = None,
    suppressions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Which alerts need not be looked at, and why.")
    ] = None,
    top: Annotated[
        int, typer.Option(min=0, metavar="N", help="Alerts that are printed, the highest scores first.")
    ] = 20,
    as_json: Json = False,
) -> None:
    """Tell which grants, trees and agents of a Run are alerts, and why.

    Each says what was furthest from what its role, the organisation and its agent's earlier grants do, which steps were
    surprising, and where it stands in its tree. Labels are not read.
    """
    from agentsim.risk import alerts as find
    from agentsim.risk import export, load_suppressions, load_thresholds, suppress
    from agentsim.risk.thresholds.opening import open_model
    from agentsim.run import Run

    file = load_thresholds(thresholds)
    listed = load_suppressions(suppressions) if suppressions else ()
    found = find(Run(run), open_model(file, thresholds), file)
    found, notes = suppress(found, listed, time.time_ns() // 1000)
    if out is not None:
        export(found, out)
    open_ = found[found["suppressed_by"].isna()]
    if as_json:
        print_json({"run": str(run), "file": str(out) if out else None, **_figures(found, open_, notes, top)})
        return
    _print(open_.head(top))
    hidden = len(found) - len(open_)
    say(
        f"\n{len(open_):,} alerts{f', {hidden:,} more suppressed' if hidden else ''}"
        f"{f', all written to {out}' if out else ''}"
    )
    for note in notes:
        say(f"Note: {note}")


def _figures(found: pd.DataFrame, open_: pd.DataFrame, notes: tuple[str, ...], top: int) -> dict[str, Any]:
    from agentsim.risk.exports import alert_table

    return {
        "alerts": len(open_),
        "by_kind": {str(kind): int(count) for kind, count in open_["kind"].value_counts().items()},
        "suppressed": len(found) - len(open_),
        "notes": list(notes),
        "highest": alert_table(open_.head(top)).to_pylist(),
    }


def _print(rows: pd.DataFrame) -> None:
    from agentsim.cli.terminal import print_rows

    print_rows(
        _SHOWN,
        [
            {**dict(row), "score": f"{row['score']:.2f}", "why": "; ".join(row["reasons"])}
            for _, row in rows.iterrows()
        ],
    )
