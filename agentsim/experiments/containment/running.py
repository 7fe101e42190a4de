"""A comparison carried out: each point is a Run, kept and found again."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd
from tqdm.auto import tqdm

from agentsim.experiments.containment.folder import ContainmentError, Folder
from agentsim.experiments.containment.points import Acting, Plan, plan
from agentsim.experiments.containment.results import measure
from agentsim.risk.online import learn
from agentsim.run import Run, RunError
from agentsim.server import Watch
from agentsim.simulation import Scenario, simulate
from agentsim.simulation.scenario import parse_scenario


class Learned(Protocol):
    """What is usual, learned from a Run that nobody attacked; scores are -log10 of a share of honest tasks."""

    def threshold(self, honest: Run) -> float:
        """The lowest at which no more than one honest task in a thousand of another Run raises an alert."""

    def watch(self, threshold: float, action: Acting) -> Watch:
        """What does ``action`` about whatever scores at least this."""


def contain(
    plan: Plan,
    folder: Path | str,
    *,
    learns: Callable[[Run], Learned] = learn,
    jobs: int | None = None,
    source: Path | str | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Play a scenario under each threshold and under none, and compare; see :func:`results` for what is told.

    Runs that are there already, of the same scenario, thresholds and code, are kept.

    Parameters
    ----------
    folder : where the Runs and results are kept.
    learns : makes what judges, from the reference Run.
    jobs : processes for the tenants of each Run; one per core if left out.
    source : the scenario's file: for the command that makes the Runs again.
    progress : show a bar.

    Raises
    ------
    ContainmentError
        If nobody attacks in the scenario, or the directory holds something else.
    RunError
        If a tenant fails.
    """
    scenario = plan.played
    if not scenario.attacks:
        raise ContainmentError(f"{scenario.name}: nobody attacks in this scenario; give it attacks")
    place = Folder(folder)
    place.begin(plan)
    lanes = jobs or os.cpu_count() or 1
    command = _command(plan, place.path, source)
    with tqdm(total=plan.points + 3, unit="run", disable=not progress, desc="contain") as bar:

        def play(played: Scenario, path: Path, watch: Watch | None = None) -> Run:
            run = simulate(played, path, jobs=lanes, watch=watch, command=command)
            for tenant, failure in run.manifest.failed.items():
                raise RunError(f"{path}: tenant {tenant} failed in stage {failure}")
            bar.update()
            return run

        learned = learns(play(plan.reference, place.reference))
        default = learned.threshold(play(plan.calibration, place.calibration))
        thresholds = plan.thresholds(default)
        play(scenario, place.run(None))
        for threshold in thresholds:
            play(scenario, place.run(threshold), learned.watch(threshold, plan.action))
    frame = measure(place, thresholds, default)
    place.write(frame)
    return frame


def contain_of(run: Run, *, agents: int, points: int, progress: bool = False) -> pd.DataFrame:
    """The same for the scenario of a simulated Run, and its seed; what is played is kept beside it.

    Parameters
    ----------
    agents : in each Run, at most; never more than the Run has.
    points : thresholds.
    """
    if run.manifest.kind == "replay":
        raise ContainmentError(f"{run.path}: recorded, not simulated: nobody can be stopped in it any more")
    scenario = parse_scenario(run.manifest.source, run.path)
    played = scenario.with_agents(min(agents, scenario.population.agents))
    place = run.path.with_name(f"{run.path.name}-companions") / f"contain-{played.population.agents}"
    return contain(plan(played, points=points), place, progress=progress)


def _command(plan: Plan, folder: Path, source: Path | str | None) -> Sequence[str]:
    scenario = plan.played
    return [
        *("agentsim", "contain", str(source or f"{scenario.name}.yaml")),
        *("--agents", str(scenario.population.agents), "--seed", str(scenario.seed)),
        *("--points", str(plan.points), "--action", plan.action, "--out", str(folder)),
    ]
