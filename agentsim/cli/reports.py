"""Commands for those who read: report and lab."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from agentsim.cli.app import app, progress
from agentsim.errors import UserError


@app.command(epilog="Example: `agentsim report anomaly --run data/runs/demo -p alert_budget=10`")
def report(
    name: Annotated[str, typer.Argument(help="Which report: scale or anomaly.", metavar="NAME")],
    run: Annotated[Path, typer.Option(help="The directory of the Run to report on.", metavar="RUN")],
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Set a parameter of the notebook."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Directory for the report and the index of all.")
    ] = Path("reports"),
) -> None:
    """Execute a notebook on a Run and write a page that needs no network and shows no code.

    The executed notebook is kept beside the page, and index.html lists all reports.
    """
    parameters = _parameters(parameter or [])
    from agentsim.reporting import make_report

    paths = make_report(name, run, parameters, out, progress=progress())
    typer.echo(f"Report    {paths.html}\nNotebook  {paths.notebook}\nIndex     {paths.index}")


@app.command(epilog="Example: `agentsim lab --no-browser`")
def lab(
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open a browser, or only print the address.")
    ] = True,
    options: Annotated[
        list[str] | None,
        typer.Argument(
            help="After `--`: options for JupyterLab, for example `-- --port 9999`.",
            metavar="-- OPTIONS",
        ),
    ] = None,
) -> None:
    """Open JupyterLab on the notebooks."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise UserError("JupyterLab is not installed; run 'make install' or pip install 'agentsim[lab]'")
    from agentsim.reporting.notebooks import find_notebook

    notebooks = find_notebook("scale").parent
    chosen = [*([] if browser else ["--no-browser"]), *(options or [])]
    # JupyterLab takes this process over: it has its own way with Ctrl-C.
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", str(notebooks), *chosen])  # noqa: S606


def _parameters(given: Sequence[str]) -> dict[str, str]:
    """Values by name from ``name=value`` texts; which names there are is the notebook's business."""
    parsed: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UserError(f"-p {text}: write name=value, for example -p alert_budget=10")
        if name in parsed:
            raise UserError(f"-p {name} is given twice")
        parsed[name] = value
    return parsed
