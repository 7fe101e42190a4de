"""A sweep carried out: cells dealt to processes, what is there already kept, what fails told and left behind."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm.auto import tqdm

from agentsim.experiments.sweep.cells import Cell, Sweep
from agentsim.experiments.sweep.figures import figures_of
from agentsim.experiments.sweep.folder import Record, SweepError, SweepFolder
from agentsim.experiments.sweep.results import write_results
from agentsim.run import Failure, Run
from agentsim.simulation import simulate
from agentsim.simulation.processes import Processes
from agentsim.simulation.shards import Advance, Crashed, Stopped, deal

_Fate = Literal["computed", "reused", "failed"]


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cells were computed, reused because their Runs were there, and failed."""

    computed: int = 0
    reused: int = 0
    failed: int = 0

    def __str__(self) -> str:
        return f"computed {self.computed}, reused {self.reused}, failed {self.failed}"


def run_sweep(
    sweep: Sweep, folder: Path, *, jobs: int = 1, cell: str | None = None, progress: bool = False
) -> Tally:
    """Play all cells of a sweep that are not there yet, and write the results.

    A cell is kept where its Run is complete, is of the same scenario and code, and its files have their digests; so
    the same call again goes on where another was stopped.

    Parameters
    ----------
    folder : where the sweep is kept.
    jobs : processes that cells are dealt to.
    cell : name of the one that is to be played, instead of all.
    progress : show a bar.

    Raises
    ------
    SweepError
        If there is no such cell, or the directory holds something else.
    """
    chosen = range(len(sweep.cells)) if cell is None else [_number(sweep, cell)]
    place = SweepFolder(folder)
    place.begin(sweep)
    fates: Counter[str] = Counter()
    lanes = min(jobs, len(chosen))
    with (
        tqdm(total=len(chosen), unit="cell", disable=not progress, desc="sweep") as bar,
        Processes(lanes, bar.update) if lanes > 1 else nullcontext() as crew,
    ):
        for number, fate in deal(_Work(place.path), chosen, crew, bar.update):
            if isinstance(fate, Crashed):
                fate = _fail(place, sweep.cells[number], fate.failure)
            fates[fate] += 1
    write_results(place)
    return Tally(**fates)


def _number(sweep: Sweep, name: str) -> int:
    for number, cell in enumerate(sweep.cells):
        if cell.cell == name:
            return number
    raise SweepError(f"{sweep.source}: no cell {name!r}; 'agentsim sweep --list' shows all")


@dataclass(frozen=True, slots=True)
class _Work:
    """Plays cells of the sweep in a directory, each by its number; it is sent to another process once for each."""

    path: Path

    def __call__(self, number: int, advance: Advance) -> _Fate:
        folder = SweepFolder(self.path)
        sweep = folder.sweep()
        fate = _perform(folder, sweep, sweep.cells[number])
        advance(1)
        return fate


def _perform(folder: SweepFolder, sweep: Sweep, cell: Cell) -> _Fate:
    """Play one cell, or find it."""
    stage = "simulate"
    try:
        command = reproduce(sweep, cell, folder.path)
        run = simulate(sweep.scenario_of(cell), folder.run(cell.cell), command=command)
        for failure in run.manifest.failed.values():
            return _fail(folder, cell, failure)
        stage = "figures"
        _count(folder, cell, run)
    except Stopped:
        raise
    except Exception as exc:  # Whatever is wrong with one cell, the others go on.
        told = "".join(traceback.format_exception(exc))
        failure = Failure(stage=stage, type=type(exc).__name__, message=str(exc), traceback=told)
        return _fail(folder, cell, failure)
    return "reused" if run.manifest.reused == len(run.manifest.tenants) else "computed"


def _fail(folder: SweepFolder, cell: Cell, failure: Failure) -> _Fate:
    folder.note(Record(cell=cell.cell, scenario=cell.scenario, failure=failure))
    return "failed"


def _count(folder: SweepFolder, cell: Cell, run: Run) -> None:
    """Note the figures of a Run, unless they are known."""
    digest, known = run.manifest.digest(), folder.record(cell)
    if known is None or known.failure or known.digest != digest:
        figures = figures_of(run)
        folder.note(Record(cell=cell.cell, scenario=cell.scenario, digest=digest, figures=figures))


def reproduce(sweep: Sweep, cell: Cell, folder: Path) -> Sequence[str]:
    """The command that makes one cell again."""
    return ["agentsim", "sweep", sweep.source, "--cell", cell.cell, "--out", str(folder)]
