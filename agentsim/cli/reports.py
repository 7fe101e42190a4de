"""Commands for those who read: report and lab."""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say
from agentsim.errors import UserError

if TYPE_CHECKING:
    from agentsim.reporting import ReportPaths


class Form(StrEnum):
    """What is written of a report."""

    html = "html"
    ipynb = "ipynb"


@app.command(epilog="Example: `agentsim report anomaly --run data/runs/demo -p alert_budget=10`")
def report(
    name: Annotated[str | None, typer.Argument(help="Which report: see --list.", metavar="NAME")] = None,
    run: Annotated[
        list[Path] | None,
        typer.Option(help="The directory of a Run to report on; some reports take several.", metavar="RUN"),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", metavar="NAME=VALUE", help="Set a parameter of the notebook."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Directory for the report and the index of all.")
    ] = Path("reports"),
    form: Annotated[
        Form, typer.Option("--format", help="A page with its notebook, or the executed notebook alone.")
    ] = Form.html,
    every: Annotated[
        bool,
        typer.Option("--all", help="Make each report about one Run, of each --run or of all in data/runs."),
    ] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="Tell which reports there are and what they may be given.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Execute a notebook on a Run and write a page that needs no network and shows no code.

    The executed notebook is kept beside the page, and index.html lists all reports.
    """
    runs, parameters = run or [], _parameters(parameter or [])
    page = form is Form.html
    if listed:
        _list(as_json=as_json)
    elif every:
        if name or parameters:
            raise UserError("--all makes every report as it is by default: leave out NAME and -p")
        _make_all(runs or _all_runs(), out, page=page, as_json=as_json)
    elif name is None:
        raise UserError("which report? name one of 'agentsim report --list', or give --all")
    elif not runs:
        raise UserError(f"report {name}: give the directory of a Run with --run")
    else:
        from agentsim.reporting import make_report

        paths = make_report(name, runs, parameters, out, page=page, progress=progress())
        _tell(paths, as_json=as_json)


def _list(*, as_json: bool) -> None:
    from agentsim.reporting.notebooks import describe, list_reports, parameter_lines, type_name

    reports = [describe(name) for name in list_reports()]
    if as_json:
        print_json(
            {
                entry.name: {
                    "question": entry.question,
                    "runs": entry.runs,
                    "parameters": {
                        name: {
                            "type": type_name(entry.parameters, name),
                            "default": field.default,
                            "description": field.description,
                        }
                        for name, field in entry.parameters.model_fields.items()
                    },
                }
                for entry in reports
            }
        )
        return
    for entry in reports:
        fields = entry.parameters.model_fields
        several = " Takes several --run." if entry.runs == "several" else ""
        say(f"{entry.name}: {entry.question}{several}")
        for line in parameter_lines(entry.parameters):
            say(f"  -p {line:42} {fields[line.partition(':')[0]].description}")


def _make_all(runs: Sequence[Path], out: Path, *, page: bool, as_json: bool) -> None:
    """Make what can be made, tell what cannot, and fail at the end if something could not."""
    from agentsim.reporting import ReportError, make_report
    from agentsim.reporting.notebooks import describe, list_reports
    from agentsim.run import RunError

    failed, made = {}, []
    names = [name for name in list_reports() if describe(name).runs == "one"]
    for run, name in itertools.product(runs, names):
        try:
            paths = make_report(name, run, {}, out, page=page, progress=progress())
        except (ReportError, RunError) as exc:
            failed[f"{name} of {run}"] = str(exc)
            say(f"agentsim: {exc}", err=True)
        else:
            made.append(str(paths.html or paths.notebook))
            if not as_json:
                say(made[-1])
    if as_json:
        print_json({"made": made, "failed": failed})
    if failed:
        raise UserError(f"{len(failed)} of {len(failed) + len(made)} reports could not be made")


def _all_runs() -> list[Path]:
    folder = Path("data/runs")
    runs = sorted(file.parent for file in folder.glob("*/manifest.json"))
    if not runs:
        raise UserError(f"no Runs in {folder}; give --run")
    return runs


def _tell(paths: ReportPaths, *, as_json: bool) -> None:
    named = {"report": paths.html, "notebook": paths.notebook, "index": paths.index}
    if as_json:
        print_json({name: path and str(path) for name, path in named.items()})
        return
    for name, path in named.items():
        if path is not None:
            say(f"{name.capitalize():9} {path}")


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
