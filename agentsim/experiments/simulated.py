"""Simulated attacks, judged: learned on one seed, chosen on a second, reported on a third."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from agentsim.experiments.companions import Companions, make_companions
from agentsim.experiments.result import DetectionResult, KeyNumber, percent, share_text
from agentsim.experiments.scoring import scores_of
from agentsim.risk import (
    Attacks,
    Case,
    Choice,
    Combined,
    Counts,
    Detector,
    Evidence,
    Novelty,
    ThresholdReport,
    Truth,
    alert_budget,
    budget_curve,
    choose,
    figures,
    gather,
    read_attacks,
    read_truth,
    report,
)
from agentsim.risk.behaviour import Floats
from agentsim.run import Run

_DAY = 86_400e6


def judge_simulation(
    run: Run, *, alert_budget: float, companion_agents: int, companions: Path | None, progress: bool
) -> DetectionResult:
    """Judge a simulated Run; see :func:`agentsim.experiments.detection.judge`."""
    made = make_companions(run, agents=companion_agents, folder=companions, progress=progress)
    reference, choosing, judged = gather(made.reference), _opened(made.choosing), _opened(run)
    trials = list(_trials(reference, choosing, judged, alert_budget))
    best = max(trials, key=lambda trial: trial.worth)
    return DetectionResult(
        kind="simulation",
        verdict=_verdict(best, alert_budget),
        numbers=_numbers(best.report),
        chosen=best.name,
        detectors=_detector_figures(trials, judged),
        recall=pd.concat(
            {trial.name: trial.report.recall for trial in trials}, names=["detector", "attack"]
        ).reset_index(),
        scores=_scores(trials, judged),
        curve=budget_curve(best.score, judged.truth.attacked, judged.days),
        threshold=best.choice.cut.kinds["grant"],
        report=best.report,
        days=judged.days,
        alert_budget=alert_budget,
        seeds=_seeds(run, made),
        method=_method(reference, choosing, judged, best.name),
        warnings=(
            *_warnings(alert_budget, judged, best.report),
            *best.choice.warnings,
            *best.report.warnings,
        ),
    )


def detectors(seed: int) -> tuple[Detector, ...]:
    """The detectors that are compared on simulated runs."""
    return (
        Counts(seed),
        Novelty(order=True),
        Novelty(),
        Combined(seed, [Novelty(), Novelty(order=True)]),
    )


class _Run(NamedTuple):
    """A run to be scored: its evidence, its truth, its attacks, and how long it lasts in days."""

    evidence: Evidence
    truth: Truth
    attacks: Attacks
    days: float

    def case(self, score: Floats, days: float) -> Case:
        return Case(scores_of(self.evidence, score), self.attacks, days)


class _Trial(NamedTuple):
    """One detector: its threshold from the choosing run, and what it does on the judged one."""

    name: str
    choice: Choice
    #: What a detector is chosen by, on the choosing run: attacks found within the budget, then PR-AUC.
    worth: tuple[float, float]
    score: Floats
    report: ThresholdReport


def _opened(run: Run) -> _Run:
    evidence = gather(run)
    days = (run.manifest.end - run.manifest.start) / _DAY
    return _Run(evidence, read_truth(run, evidence.features.index), read_attacks(run), days)


def _trials(reference: Evidence, choosing: _Run, judged: _Run, budget: float) -> Iterator[_Trial]:
    policy = alert_budget(budget)
    # The choosing run may be smaller: it stands for as many days as the judged organisation takes for its work.
    days = len(choosing.evidence) * judged.days / len(judged.evidence)
    for detector in detectors(seed=0):
        detector.fit(reference)
        on_choosing, score = detector.score(choosing.evidence), detector.score(judged.evidence)
        chosen_on = choosing.case(on_choosing, days)
        choice = choose(policy, chosen_on)
        recall = report(choice.cut, chosen_on).overall.value
        area = figures(on_choosing, choosing.truth.attacked, choosing.evidence.tree)["pr_auc"]
        # Without attacks in the choosing run nothing is better than anything: the first is kept.
        worth = (float(np.nan_to_num(recall)), float(np.nan_to_num(area)))
        told = report(choice.cut, judged.case(score, judged.days), chosen_on=chosen_on)
        yield _Trial(detector.name, choice, worth, score, told)


def _detector_figures(trials: list[_Trial], judged: _Run) -> pd.DataFrame:
    rows = [
        {
            "detector": trial.name,
            "threshold": trial.choice.cut.kinds["grant"],
            "alerts": trial.report.alerts,
            "precision": trial.report.precision.value,
            "found": trial.report.overall.value,
            **figures(trial.score, judged.truth.attacked, judged.evidence.tree),
        }
        for trial in trials
    ]
    return pd.DataFrame(rows)


def _scores(trials: list[_Trial], judged: _Run) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "attacked": judged.truth.attacked,
            "silent": judged.evidence.silent,
            "attack": judged.truth.attack.to_numpy(),
            **{trial.name: trial.score for trial in trials},
        },
        index=judged.evidence.features.index,
    )


def _seeds(run: Run, made: Companions) -> dict[str, int]:
    runs = {"judged": run, "reference": made.reference, "choosing": made.choosing}
    return {name: seed for name, each in runs.items() if (seed := each.manifest.seed) is not None}


def _verdict(best: _Trial, budget: float) -> str:
    report = best.report
    if not report.attacks:
        alerts = report.alerts_per_day.value
        return f"Nobody attacked in this run, and '{best.name}' would raise {alerts:,.0f} alerts a day all the same."
    kinds = report.recall.drop(index="all")["recall"]
    worst = str(kinds.idxmin())
    return (
        f"Chosen for {budget:,.0f} alerts a day, '{best.name}' raises {report.alerts_per_day.value:,.0f} and sees "
        f"{report.found} of {report.attacks} attacks ({percent(report.overall.value)}); "
        f"{percent(report.precision.value)} of its alerts are attacks; hardest to see: {worst.replace('_', ' ')} ({kinds[worst]:.0%})."
    )


def _numbers(report: ThresholdReport) -> tuple[KeyNumber, ...]:
    value, low, high = report.alerts_per_day
    return (
        KeyNumber("attacks found", report.overall.value, share_text(report.overall)),
        KeyNumber("alerts that are attacks", report.precision.value, share_text(report.precision)),
        KeyNumber("alerts a day", value, f"{value:,.0f} ({low:,.0f} to {high:,.0f})"),
    )


def _warnings(budget: float, case: _Run, report: ThresholdReport) -> list[str]:
    warnings = []
    allowed = budget * case.days
    attacked = int(case.truth.attacked.sum())
    if attacked > allowed:
        warnings.append(
            f"{attacked} grants were attacked, more than the {allowed:.0f} alerts that the budget allows in the run: "
            "no detector could name them all."
        )
    if report.alerts_per_day.low > budget:
        warnings.append(
            f"The budget was exceeded: {report.alerts_per_day.value:,.0f} alerts a day, chosen for {budget:,.0f}."
        )
    return warnings


def _method(reference: Evidence, choosing: _Run, judged: _Run, best: str) -> tuple[str, ...]:
    return (
        f"Detectors learned what is usual from {len(reference):,} grants of a run with another seed and no attacks.",
        f"The detector ('{best}') and its threshold were chosen on {len(choosing.evidence):,} grants of a third "
        "seed, by the attacks found within the alert budget.",
        f"Everything shown is about the {len(judged.evidence):,} grants of the run itself.",
        "An alert is a grant; an attack is found when one of the grants that it touched is an alert.",
        "Intervals are 95 %: Wilson for shares, resampling of whole trees for the rest.",
        f"{int(judged.evidence.silent.sum()):,} grants never used a tool; they are scored by what else they did.",
    )
