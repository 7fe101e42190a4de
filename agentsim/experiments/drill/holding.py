"""A drill held: Runs played, detectors trained, and each judged on Runs of seeds that it has not seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from agentsim.experiments.drill.arena import Arena, Side
from agentsim.experiments.drill.judging import Trial, judge, judge_unmet
from agentsim.experiments.drill.plan import Plan
from agentsim.experiments.drill.results import Drill
from agentsim.experiments.drill.scorers import (
    SUPERVISED,
    default_ranks,
    fit_forests,
    forest_scores,
    unmet,
)
from agentsim.experiments.drill.spoiling import spoil
from agentsim.experiments.drill.sweeping import sweep_stealth
from agentsim.experiments.giveaways import giveaways, separations
from agentsim.risk import Combined
from agentsim.risk.model import train
from agentsim.risk.states import EntityKind
from agentsim.run import Run

_SEED = 0
_GIVEN = ["attack", "kind", "feature", "attacked", "roc_auc"]


def drill(
    plan: Plan,
    folder: Path,
    *,
    stealths: Sequence[float] = (),
    corrupt: bool = False,
    jobs: int | None = None,
    progress: bool = False,
) -> Drill:
    """Hold a drill, and keep its figures.

    Detectors learn from a reference that nobody attacks, thresholds come from another such Run, what learns from labels
    has an attacked Run of its own, and figures come from sealed Runs; each is of another seed.

    Parameters
    ----------
    folder : where Runs (in ``runs``; what is there already is not played again) and figures are kept.
    stealths : degrees of stealth to play as well.
    corrupt : spoil what is learned from, and see what that costs.
    jobs : processes for the tenants of each Run; one per core if left out.
    progress : show bars.

    Raises
    ------
    RunError
        If a tenant fails.
    ModelError
        If the organisation is too small to learn from.
    """
    arena = Arena(folder / "runs", jobs=jobs, progress=progress)
    reference, calibration, choosing = arena.reference(plan), arena.calibration(plan), arena.choosing(plan)
    sealed = arena.sealed(plan)
    model = train(reference, name=plan.scenario.name, seed=_SEED)
    detectors, peers = model.fitted.detectors, model.fitted.peers
    usual, quiet = Side.of(reference), Side.of(calibration, peers)
    taught, judged = Side.of(choosing, peers), [Side.of(run, peers) for run in sealed]
    found = {name: judge(trial, plan.rate) for name, trial in _unsupervised(detectors, usual, quiet, judged)}
    found[SUPERVISED] = judge_unmet(_supervised(usual, quiet, taught, judged), plan.rate)
    nothing = pd.DataFrame()
    result = Drill(
        stealth=plan.stealth,
        rate=plan.rate,
        seeds=_seeds(reference, calibration, choosing, *sealed),
        giveaways=giveaways(separations(sealed, reference))[_GIVEN].reset_index(drop=True),
        found=found,
        sweep=sweep_stealth(plan, stealths, arena, detectors, peers, quiet) if stealths else nothing,
        corruptions=spoil(usual, quiet, taught, judged, plan.rate) if corrupt else nothing,
    )
    result.keep(folder)
    return result


def _unsupervised(
    detectors: Mapping[EntityKind, Combined], usual: Side, quiet: Side, judged: Sequence[Side]
) -> Iterator[tuple[str, Trial]]:
    forests = fit_forests(usual.evidence, _SEED)

    def scored(side: Side) -> dict[str, pd.DataFrame]:
        return {**default_ranks(detectors, side), **forest_scores(forests, side)}

    calibrated, tables = scored(quiet), [scored(side) for side in judged]
    for name, calibration in calibrated.items():
        cases = [side.case(told[name]) for side, told in zip(judged, tables, strict=True)]
        yield name, Trial(calibration, cases)


def _supervised(usual: Side, quiet: Side, taught: Side, judged: Sequence[Side]) -> dict[str, Trial]:
    return {
        kind: Trial(calibration, [side.case(told) for side, told in zip(judged, tables, strict=True)])
        for kind, (calibration, *tables) in unmet(usual, taught, [quiet, *judged], _SEED)
    }


def _seeds(*runs: Run) -> dict[str, int]:
    return {run.path.name: run.manifest.seed for run in runs if run.manifest.seed is not None}
