"""The command that plays a scenario with many values of its settings: sweep."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say
from agentsim.cli.runs import RUNS

if TYPE_CHECKING:
    import pandas as pd

    from agentsim.experiments.sweep import Sweep

#: Figures that are printed; the files hold all.
_FIGURES = ("grants", "operations", "refusals", "exposed_calls", "operations_per_second")


@app.command(epilog="Example: `agentsim sweep data/sweeps/lifetimes.yaml`")
def sweep(
    file: Annotated[Path, typer.Argument(help="The sweep, a YAML file.", metavar="SWEEP")],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where its Runs and results are kept.", show_default="data/runs/NAME"
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="J", help="Processes that cells are dealt to.", show_default="one per core"
        ),
    ] = None,
    cell: Annotated[
        str | None, typer.Option(metavar="ID", help="Play this cell alone; the outcome is the same.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the cells and play nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Play a scenario with many values of its settings, each as often as wanted, and compare.

    Each cell becomes a Run. The same command again plays what is missing; exit status 1 if a cell failed. All figures
    are in `results.parquet` and `results.csv`.
    """
    from agentsim.experiments.sweep import load_sweep, results, run_sweep

    loaded = load_sweep(file)
    folder = out or RUNS / loaded.name
    if listed:
        _list(loaded, folder, as_json)
        return
    tally = run_sweep(loaded, folder, jobs=jobs or os.cpu_count() or 1, cell=cell, progress=progress())
    frame = results(folder)
    if as_json:
        rows = json.loads(frame.to_json(orient="records"))
        print_json({"sweep": str(folder), **_counts(tally), "cells": rows})
    else:
        _print(frame, loaded)
        for name, error in frame.loc[frame["status"] == "failed", ["cell", "error"]].itertuples(index=False):
            say(f"failed: {name}: {error} (see {folder / f'{name}.json'})", err=True)
        say(f"\nResults: {folder / 'results.parquet'}\n{tally}")
    if tally.failed:
        raise typer.Exit(1)


def _counts(tally: Any) -> dict[str, int]:
    return {"computed": tally.computed, "reused": tally.reused, "failed": tally.failed}


def _list(loaded: Sweep, folder: Path, as_json: bool) -> None:
    from agentsim.cli.terminal import print_table
    from agentsim.experiments.sweep.cells import written
    from agentsim.experiments.sweep.folder import SweepFolder

    place = SweepFolder(folder)
    if as_json:
        cells = [{**one.model_dump(mode="json"), "status": place.status(one)} for one in loaded.cells]
        print_json({"sweep": str(folder), "cells": cells})
        return
    header = ("Cell", "status", *loaded.cells[0].values)
    print_table(
        header, [(one.cell, place.status(one), *map(written, one.values.values())) for one in loaded.cells]
    )


def _print(frame: pd.DataFrame, loaded: Sweep) -> None:
    from agentsim.cli.terminal import print_table
    from agentsim.experiments.sweep import compare

    compared = compare(frame, loaded, _FIGURES)
    shown = compared[[*loaded.swept, "runs"]].astype(object)
    for name in _FIGURES:
        shown[name.replace("_", " ")] = [
            _with_interval(mean, high)
            for mean, high in zip(compared[name], compared[f"{name}_high"], strict=True)
        ]
    print_table(tuple(shown.columns), [tuple(row) for row in shown.to_numpy().tolist()])
    say("\nMeans over the runs of each point, with half the width of their 95 % interval.")


def _with_interval(mean: float, high: float) -> str:
    if mean != mean:
        return "-"
    return _number(mean) if high != high else f"{_number(mean)} ± {_number(high - mean)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
