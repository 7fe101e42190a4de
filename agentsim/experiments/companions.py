"""Companion runs of a simulated Run: what benign work looks like, and attacks to choose a threshold on.

A detector that is fitted, tuned and judged on one run flatters itself. The companions come from the same
scenario with other seeds, so nothing of the judged run is known before it is judged.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agentsim.run import Run, RunError
from agentsim.simulation import Scenario, simulate
from agentsim.simulation.scenario import parse_scenario

#: What a companion is for: to learn from, to calibrate on, to choose on, to report on.
Purpose = Literal["reference", "calibration", "choosing", "reported"]
_ATTACKED = ("choosing", "reported")


@dataclass(frozen=True)
class Companions:
    """``reference``: another seed, nobody attacks. ``choosing``: another seed, attacked. And how many were reused."""

    reference: Run
    choosing: Run
    reused: int


def companion_seed(seed: int, purpose: str) -> int:
    """A seed for a companion, from the judged run's.

    A digest, not ``seed + 1``: the companions of one seed must not be the judged run of the next.
    """
    return int.from_bytes(hashlib.sha256(f"{purpose} of {seed}".encode()).digest()[:8], "big")


def make_companions(
    run: Run, *, agents: int, folder: Path | None = None, progress: bool = False
) -> Companions:
    """Simulate the companions of a Run, or open them where they are there already.

    Parameters
    ----------
    run : a simulated Run.
    agents : agents in each companion at most; never more than the Run has.
    folder : where they are kept; ``<run>-companions`` beside the Run when None.
    progress : show bars.
    """
    reference, first = make_companion(run, "reference", agents=agents, folder=folder, progress=progress)
    choosing, second = make_companion(run, "choosing", agents=agents, folder=folder, progress=progress)
    return Companions(reference, choosing, first + second)


def make_companion(
    run: Run, purpose: Purpose, *, agents: int, folder: Path | None = None, progress: bool = False
) -> tuple[Run, bool]:
    """Simulate one companion of a Run, or open it; and whether it was there already.

    Parameters
    ----------
    purpose : what it is for; each has a seed of its own, and nobody attacks where a detector learns or is calibrated.

    Raises
    ------
    RunError
        If the Run is no simulation, so that there is no scenario to play with another seed; or a tenant fails.
    """
    if run.manifest.kind == "replay":
        raise RunError(
            f"{run.path}: recorded, not simulated: there is no scenario to play again with another seed"
        )
    scenario = parse_scenario(run.manifest.source, run.path)
    size = min(agents, scenario.population.agents)
    played = scenario.with_agents(size).with_seed(companion_seed(scenario.seed, purpose))
    if purpose not in _ATTACKED:
        played = played.without_attacks()
    place = folder if folder is not None else run.path.with_name(f"{run.path.name}-companions")
    return open_or_simulate(played, place / f"{purpose}-{size}", progress)


def open_or_simulate(
    scenario: Scenario, path: Path, progress: bool, jobs: int | None = None
) -> tuple[Run, bool]:
    """The finished Run of exactly this scenario and code, or a new one; and whether all of it was there.

    Parameters
    ----------
    jobs : processes; one per core if left out.

    Raises
    ------
    RunError
        If a tenant fails.
    """
    run = simulate(scenario, path, jobs=jobs or os.cpu_count() or 1, progress=progress)
    for tenant, failure in run.manifest.failed.items():
        raise RunError(f"{path}: tenant {tenant} failed in stage {failure}")
    return run, run.manifest.reused == len(run.manifest.tenants)
