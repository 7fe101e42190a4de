"""The command ``features``: what there is to be seen of a grant, a tree or an agent, and what a Run has of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agentsim.cli.app import Json, app, print_json
from agentsim.cli.plain import say

# Whatever takes long to import is imported by the command that needs it: help answers at once.
if TYPE_CHECKING:
    import pandas as pd

_SHOWN = ("median", "p99", "largest")


@app.command(epilog="Example: `agentsim features data/runs/demo --kind agent`")
def features(
    run: Annotated[
        Path | None, typer.Argument(help="A Run; without one, what the features mean.", metavar="[RUN]")
    ] = None,
    kind: Annotated[
        Literal["grant", "tree", "agent"], typer.Option(help="What the features are of.")
    ] = "grant",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write them as Parquet, a row each.")
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Make them again from the audit rows, one by one as they came, and compare; exit status 1 where one differs.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Tell what the features mean, or make those of a Run."""
    if run is None:
        _tell(kind, as_json)
        return
    if check:
        _check(run, as_json)
        return
    from agentsim.risk.evidence import feature_table
    from agentsim.run import Run

    table = feature_table(Run(run), kind)
    if out is not None:
        _write(table, out)
    quantiles = _quantiles(table)
    if as_json:
        print_json({"run": str(run), "kind": kind, "rows": len(table), "features": quantiles})
        return
    from agentsim.cli.terminal import print_rows

    print_rows(
        ("feature", *_SHOWN),
        [
            {"feature": name} | {key: f"{value:,.4g}" for key, value in row.items()}
            for name, row in quantiles.items()
        ],
    )
    say(f"\n{len(table):,} {kind}s" + (f", written to {out}" if out else ""))


def _tell(kind: str, as_json: bool) -> None:
    from agentsim.risk.catalogue import FEATURES

    told = [
        {"feature": name, "family": each.family, "unit": each.unit, "meaning": each.meaning}
        for name, each in FEATURES.items()
        if kind in each.kinds
    ]
    if as_json:
        print_json({"kind": kind, "features": told})
        return
    from agentsim.cli.terminal import print_rows

    print_rows(("feature", "family", "unit", "meaning"), told)


def _check(path: Path, as_json: bool) -> None:
    from agentsim.risk.agreement import check_agreement
    from agentsim.run import Run

    found = check_agreement(Run(path))
    if as_json:
        print_json(
            {
                "run": str(path),
                "kinds": {
                    each.kind: {"entities": each.entities, "differing": each.differing} for each in found
                },
            }
        )
    else:
        for each in found:
            told = ", ".join(f"{name} ({count:,})" for name, count in each.differing.items())
            say(f"{each.entities:,} {each.kind}s: " + (f"differ in {told}" if told else "all features agree"))
    if any(each.differing for each in found):
        raise typer.Exit(1)


def _quantiles(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    if not len(table):
        return {}
    return {
        str(name): dict(zip(_SHOWN, map(float, column.quantile([0.5, 0.99, 1.0])), strict=True))
        for name, column in table.items()
    }


def _write(table: pd.DataFrame, path: Path) -> None:
    from agentsim.run.files import replacing

    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        table.to_parquet(temporary, compression="zstd")
