"""The command line: every command parses, calls one library function, and prints.

Exit status: 0; 1 where ``inspect --check`` found something or the reader of a pipe went away; 2 for a
user's mistake, with one message on standard error; 130 after Ctrl-C.
"""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentsim.errors import UserError

# Whatever takes long to import is imported by the command that needs it: help answers at once.
if TYPE_CHECKING:
    from agentsim.run import Run

RUNS = Path("data/runs")
#: Faults of the disk that a user can mend, wherever they come up.
_MENDABLE = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS}
#: What ``simulate`` and ``replay`` tell of a new Run; ``inspect`` tells the rest.
_SHORT = ("run", "agents", "grants", "operations", "refusals", "wall_seconds")

app = typer.Typer(
    name="agentsim",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="A first walk: `agentsim simulate data/scenarios/demo.yaml`, then `agentsim inspect`, then "
    "`agentsim report`. Each command explains itself: `agentsim simulate --help`.",
)

_Json = Annotated[bool, typer.Option("--json", help="Print the figures as JSON and nothing else.")]
_BatchSize = Annotated[
    int, typer.Option(min=1, metavar="N", help="Operations per transaction; changes the speed, nothing else.")
]
_OUT = "Directory of the Run; a Run that is there is replaced."


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and leave with its exit status."""
    sys.exit(_status(arguments))


def _status(arguments: list[str] | None) -> int:
    try:
        # Not standalone, so that a mistake in the usage reads like every other mistake.
        status = app(args=arguments, prog_name="agentsim", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as exc:
        return _complain(exc.format_message(), getattr(getattr(exc, "ctx", None), "command_path", None))
    except UserError as exc:
        return _complain(str(exc))
    except BrokenPipeError:
        # Python would flush once more while it shuts down, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as exc:
        if exc.errno not in _MENDABLE:
            raise
        return _complain(f"{exc.filename or 'writing'}: {exc.strerror}")
    except (KeyboardInterrupt, typer.Abort):
        status = 130
    if status == 130:
        print("agentsim: interrupted", file=sys.stderr)  # noqa: T201
    return int(status or 0)


def _complain(message: str, command: str | None = None) -> int:
    hint = f" (see '{command} --help')" if command else ""
    print(f"agentsim: {message}{hint}", file=sys.stderr)  # noqa: T201
    return 2


@app.callback(invoke_without_command=True)
def _agentsim(
    context: typer.Context,
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    """Measure what happens to OAuth when AI agents delegate to each other by the million.

    A scenario is simulated, or real traces are replayed, against a real token server. The outcome is a
    *Run*, a directory of tables, which can be inspected and turned into reports.
    """
    if show_version:
        typer.echo(f"agentsim {version('agentsim')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(epilog="Example: `agentsim simulate data/scenarios/demo.yaml --agents 20000 --seed 7`")
def simulate(
    scenario: Annotated[Path, typer.Argument(help="The scenario, a YAML file.", metavar="SCENARIO")],
    agents: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of agents, instead of the scenario's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Seed of all draws, instead of the scenario's.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help=_OUT, metavar="DIR", show_default="data/runs/NAME-SEED")
    ] = None,
    batch_size: _BatchSize = 1000,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="J", help="Processes that tenants are dealt to.", show_default="one per core"
        ),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Simulate a scenario against the token server and keep the outcome as a Run.

    The same scenario and seed always give the same Run, whatever the batch size and the number of processes.
    """
    from agentsim.simulation import load_scenario
    from agentsim.simulation import simulate as run_simulation

    chosen = load_scenario(scenario)
    if agents is not None:
        chosen = chosen.with_agents(agents)
    if seed is not None:
        chosen = chosen.with_seed(seed)
    target = out or RUNS / f"{_file_name(chosen.name)}-{chosen.seed}"
    run = run_simulation(
        chosen,
        target,
        batch_size=batch_size,
        jobs=jobs or os.cpu_count() or 1,
        source=scenario,
        progress=_progress(),
    )
    _present(run, as_json, "agentsim report scale")


@app.command(epilog="Example: `agentsim replay traces.parquet --out data/runs/traces`")
def replay(
    traces: Annotated[
        Path, typer.Argument(help="Tool calls of agents, one row each, as Parquet.", metavar="TRACES")
    ],
    out: Annotated[Path | None, typer.Option(help=_OUT, metavar="DIR", show_default="data/runs/FILE")] = None,
    batch_size: _BatchSize = 1000,
    as_json: _Json = False,
) -> None:
    """Replay real agent traces through the token server; gives the same kind of Run as a simulation.

    The columns that hold answers (was it an attack, did it succeed) become labels and nothing else.
    """
    from agentsim.simulation import replay as run_replay

    target = out or RUNS / _file_name(traces.stem)
    run = run_replay(traces, target, batch_size=batch_size, progress=_progress())
    _present(run, as_json, "agentsim report anomaly")


@app.command(epilog="Example: `agentsim inspect data/runs/demo --check`")
def inspect(
    run: Annotated[Path, typer.Argument(help="The directory of a Run.", metavar="RUN")],
    check: Annotated[
        bool, typer.Option("--check", help="Look for broken invariants, too; exit status 1 if there are any.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Show what a Run holds: agents, grants, trees, depth, events, refusals, attacks."""
    from agentsim.lineage import check as find_violations
    from agentsim.run import Run, RunError

    opened = Run(run)
    violations = find_violations(opened, progress=_progress()) if check else []
    try:
        figures = _figures(opened)
    except RunError:
        # Whoever asks for faults gets them, even those that leave nothing to count.
        if not violations:
            raise
        figures = {"run": str(run)}
    if as_json:
        checked = {"violations": [asdict(violation) for violation in violations]} if check else {}
        _print_json({**figures, **checked})
    else:
        from agentsim.terminal import print_summary

        print_summary(figures)
        if check:
            typer.echo("\n" + "\n".join([*map(str, violations), _verdict(len(violations))]))
    if violations:
        raise typer.Exit(1)


def _verdict(violations: int) -> str:
    return f"Violations: {violations}" if violations else "Checked: no invariant is broken."


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

    paths = make_report(name, run, parameters, out, progress=_progress())
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


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"


def _progress() -> bool:
    """Whether a progress bar would be seen: it is drawn on standard error, away from the figures."""
    return sys.stderr.isatty()


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


def _present(run: Run, as_json: bool, following: str) -> None:
    """Say where a new Run is, what is in it, and what to do next."""
    figures = _figures(run)
    if as_json:
        _print_json(figures)
        return
    from agentsim.terminal import print_figures

    print_figures({name: figures[name] for name in _SHORT})
    typer.echo(f"\nNext: {following} --run {shlex.quote(str(run.path))}")


def _figures(run: Run) -> dict[str, Any]:
    from agentsim.lineage import summarise

    manifest = run.manifest
    named = {"run": str(run.path), "name": manifest.name, "seed": manifest.seed}
    return {**named, **summarise(run).as_dict(), "wall_seconds": round(manifest.wall_seconds, 3)}


def _print_json(figures: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(figures, indent=2, allow_nan=False))


if __name__ == "__main__":
    main()
