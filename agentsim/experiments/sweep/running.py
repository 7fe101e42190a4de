"""A sweep carried out: cells dealt to processes, what is there already kept, what fails told and left behind."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm.auto import tqdm

from agentsim.experiments.companions import finished_run
from agentsim.experiments.sweep.cells import Cell, Sweep
from agentsim.experiments.sweep.figures import figures_of
from agentsim.experiments.sweep.folder import Failure, Record, SweepError, SweepFolder
from agentsim.experiments.sweep.results import write_results
from agentsim.run import Run
from agentsim.simulation import Scenario, simulate
from agentsim.simulation.shards import Advance, deal

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

    A cell is kept where its Run is complete, is of the same scenario and version, and its files have their
    digests; so the same call again goes on where another was stopped.

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
    with tqdm(total=len(chosen), unit="cell", disable=not progress, desc="sweep") as bar:
        for _, fate in deal(_Work(place.path), chosen, jobs, bar.update):
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
    stage: Literal["simulate", "figures"] = "simulate"
    try:
        scenario, place = sweep.scenario_of(cell), folder.run(cell.cell)
        kept = _kept(scenario, place)
        run = kept or simulate(scenario, place, command=reproduce(sweep, cell, folder.path))
        stage = "figures"
        _count(folder, cell, run)
    except Exception as exc:  # Whatever is wrong with one cell, the others go on.
        folder.note(Record(cell=cell.cell, scenario=cell.scenario, failure=_failure(stage, exc)))
        return "failed"
    return "computed" if kept is None else "reused"


def _kept(scenario: Scenario, place: Path) -> Run | None:
    run = finished_run(scenario, place)
    return None if run is None or run.damaged_files() else run


def _count(folder: SweepFolder, cell: Cell, run: Run) -> None:
    """Note the figures of a Run, unless they are known."""
    digest, known = run.manifest.digest(), folder.record(cell)
    if known is None or known.failure or known.digest != digest:
        figures = figures_of(run)
        folder.note(Record(cell=cell.cell, scenario=cell.scenario, digest=digest, figures=figures))


def reproduce(sweep: Sweep, cell: Cell, folder: Path) -> Sequence[str]:
    """The command that makes one cell again."""
    return ["agentsim", "sweep", sweep.source, "--cell", cell.cell, "--out", str(folder)]


def _failure(stage: Literal["simulate", "figures"], error: Exception) -> Failure:
    told = "".join(traceback.format_exception(error))
    return Failure(stage=stage, type=type(error).__name__, message=str(error), traceback=told)
