"""Commands that make Runs and look at them: simulate, replay, inspect."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentsim.cli.app import Json, Thresholds, app, print_json, progress
from agentsim.cli.plain import say

# Whatever takes long to import is imported by the command that needs it: help answers at once.
if TYPE_CHECKING:
    from agentsim.run import Run
    from agentsim.simulation import Scenario

RUNS = Path("data/runs")
#: What ``simulate`` and ``replay`` tell of a new Run; ``inspect`` tells the rest.
_SHORT = ("run", "agents", "grants", "operations", "refusals", "wall_seconds")
#: What it tells, too, where there is any.
_LEFT_OUT = ("trees_dropped", "trees_not_begun")
Agents = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Number of agents, instead of the scenario's.")
]
Seed = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="Seed of all draws, instead of the scenario's.")
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="J", help="Processes that tenants are dealt to.", show_default="one per core"
    ),
]
_BatchSize = Annotated[
    int, typer.Option(min=1, metavar="N", help="Operations per transaction; changes the speed, nothing else.")
]
_OUT = "Directory of the Run; another Run that is there is replaced."


@app.command(epilog="Example: `agentsim simulate data/scenarios/demo.yaml --agents 20000 --seed 7`")
def simulate(
    scenario: Annotated[Path, typer.Argument(help="The scenario, a YAML file.", metavar="SCENARIO")],
    agents: Agents = None,
    seed: Seed = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A policy file, instead of the scenario's own rules.")
    ] = None,
    thresholds: Thresholds = None,
    out: Annotated[
        Path | None, typer.Option(help=_OUT, metavar="DIR", show_default="data/runs/NAME-SEED")
    ] = None,
    batch_size: _BatchSize = 1000,
    jobs: Jobs = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask scheduler (`tcp://…:8786`) whose workers take the tenants; they see DIR under the same path.",
        ),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Play everything, even what an earlier run has finished.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Simulate a scenario against the token server and keep the outcome as a Run.

    The same scenario and seed always give the same Run, whatever the batch size and the number of processes; not
    with `clock: wall`, where operations are handed over in real time. A run that was interrupted goes on where the same
    command is given again: finished tenants are kept. With `--thresholds`, uses are judged while they are verified, and what
    is found strange is acted upon. Exit status 1 if a tenant failed; the others are played all the same.
    """
    from agentsim.risk.online import load_watch
    from agentsim.settings.policyfile import load_settings
    from agentsim.simulation import simulate as run_simulation

    chosen = scenario_of(scenario, agents, seed)
    if policy is not None:
        chosen = chosen.with_policy(load_settings(policy))
    target = out or RUNS / f"{_file_name(chosen.name)}-{chosen.seed}"
    watch = None if thresholds is None else load_watch(thresholds)
    run = run_simulation(
        chosen,
        target,
        watch=watch,
        thresholds_file=thresholds,
        batch_size=batch_size,
        jobs=jobs or os.cpu_count() or 1,
        scheduler=scheduler,
        fresh=fresh,
        source=scenario,
        policy_file=policy,
        progress=progress(),
    )
    if run.manifest.tenants:
        present(run, as_json, "agentsim report scale --run")
    tell_tenants(run)


def scenario_of(path: Path, agents: int | None, seed: int | None) -> Scenario:
    """A scenario out of a file, with what was asked for instead of its own."""
    from agentsim.simulation import load_scenario

    chosen = load_scenario(path)
    if agents is not None:
        chosen = chosen.with_agents(agents)
    return chosen if seed is None else chosen.with_seed(seed)


@app.command(epilog="Example: `agentsim replay traces.parquet --out data/runs/traces`")
def replay(
    traces: Annotated[
        Path,
        typer.Argument(
            help="Tool calls of agents: a row each, as Parquet, or OpenTelemetry spans, as OTLP JSON.",
            metavar="TRACES",
        ),
    ],
    out: Annotated[Path | None, typer.Option(help=_OUT, metavar="DIR", show_default="data/runs/FILE")] = None,
    batch_size: _BatchSize = 1000,
    as_json: Json = False,
) -> None:
    """Replay real agent traces through the token server; gives the same kind of Run as a simulation.

    OpenTelemetry spans of agents (GenAI and MCP conventions) are read as OTLP JSON, an object a line or one in the whole
    file, gzipped or not: `agentsim replay spans.jsonl.gz`. Prompts, arguments and results in them are not kept, only
    digests and lengths. In a table, the columns that hold answers (was it an attack, did it succeed) become labels and nothing else.
    """
    from agentsim.simulation import replay as run_replay

    target = out or RUNS / _file_name(traces.stem)
    run = run_replay(traces, target, batch_size=batch_size, progress=progress())
    present(run, as_json, "agentsim report anomaly --run")


@app.command(epilog="Example: `agentsim inspect data/runs/demo --check`")
def inspect(
    run: Annotated[Path, typer.Argument(help="The directory of a Run.", metavar="RUN")],
    check: Annotated[
        bool, typer.Option("--check", help="Look for broken invariants, too; exit status 1 if there are any.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a Run holds: agents, grants, trees, depth, events, refusals, attacks."""
    from agentsim.lineage import check as find_violations
    from agentsim.run import Run, RunError

    opened = Run(run)
    violations = find_violations(opened, progress=progress()) if check else []
    try:
        figures = _figures(opened)
    except RunError:
        # Whoever asks for faults gets them, even those that leave nothing to count.
        if not violations:
            raise
        figures = {"run": str(run)}
    if as_json:
        checked = {"violations": [asdict(violation) for violation in violations]} if check else {}
        print_json({**figures, **checked})
    else:
        from agentsim.cli.terminal import print_summary

        print_summary(figures)
        if check:
            say("\n" + "\n".join([*map(str, violations), _verdict(len(violations))]))
    if violations:
        raise typer.Exit(1)


def tell_tenants(run: Run) -> None:
    """Say on standard error what was kept and what failed; leave with status 1 where something did."""
    manifest = run.manifest
    played, failed = len(manifest.tenants) - manifest.reused, len(manifest.failed)
    if manifest.reused or failed:
        say(f"tenants: computed {played}, reused {manifest.reused}, failed {failed}", err=True)
    for tenant, failure in manifest.failed.items():
        say(f"tenant {tenant} failed in stage {failure}", err=True)
    if failed:
        say(f"Tracebacks are in {run.path / 'manifest.json'}; the same command tries again.", err=True)
        raise typer.Exit(1)


def _verdict(violations: int) -> str:
    return f"Violations: {violations}" if violations else "Checked: no invariant is broken."


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "run"


def present(run: Run, as_json: bool, following: str) -> None:
    """Say where a new Run is, what is in it, and what to do next."""
    figures = _figures(run)
    if as_json:
        print_json(figures)
        return
    from agentsim.cli.terminal import print_figures

    told = (*_SHORT, *(name for name in _LEFT_OUT if figures[name]))
    print_figures({name: figures[name] for name in told})
    say(f"\nNext: {following} {shlex.quote(str(run.path))}")


def _figures(run: Run) -> dict[str, Any]:
    from agentsim.lineage import summarise
    from agentsim.settings.durations import format_duration

    manifest = run.manifest
    named = {"run": str(run.path), "name": manifest.name, "seed": manifest.seed}
    if manifest.fork is not None:
        named["fork"] = f"of {manifest.fork.run} at {format_duration(manifest.fork.at)}"
    return {**named, **summarise(run).as_dict(), "wall_seconds": round(manifest.wall_seconds, 3)}
