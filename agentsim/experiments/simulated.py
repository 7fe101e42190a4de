"""Simulated attacks, judged: learned on one seed, chosen on a second, reported on a third."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from agentsim.experiments.companions import Companions, make_companions
from agentsim.experiments.result import DetectionResult, KeyNumber, percent, share_text
from agentsim.experiments.scoring import scores_of
from agentsim.experiments.stealth import recall_by_stealth
from agentsim.risk import (
    Case,
    Choice,
    Counts,
    Scored,
    ThresholdReport,
    alert_budget,
    attack_curve,
    choose,
    figures,
    gather,
    make_case,
    report,
)
from agentsim.risk.model import Model, train
from agentsim.run import Run

#: What the model calls itself among its detectors.
CHOSEN = "combined"


def judge_simulation(
    run: Run, *, alert_budget: float, companion_agents: int, companions: Path | None, progress: bool
) -> DetectionResult:
    """Judge a simulated Run; see :func:`agentsim.experiments.detection.judge`."""
    made = make_companions(run, agents=companion_agents, folder=companions, progress=progress)
    model = train(made.reference, name=run.manifest.name)
    runs = _Runs(Scored.of(made.choosing, model), Scored.of(run, model))
    trials = list(_trials(made.reference, runs, alert_budget))
    best = trials[0]
    return DetectionResult(
        kind="simulation",
        verdict=_verdict(best, alert_budget),
        numbers=_numbers(best.report),
        chosen=best.name,
        detectors=pd.DataFrame([trial.figures() for trial in trials]),
        recall=pd.concat(
            {trial.name: trial.report.recall for trial in trials}, names=["detector", "attack"]
        ).reset_index(),
        scores=_scores(trials, runs.judged),
        curve=attack_curve(best.case),
        threshold=best.choice.cut.lowest,
        report=best.report,
        days=best.case.days,
        alert_budget=alert_budget,
        seeds=_seeds(run, made),
        method=_method(model, runs),
        warnings=(
            *_warnings(alert_budget, best.report),
            *best.choice.warnings,
            *best.report.warnings,
            *model.card.warnings,
        ),
        alerts=runs.judged.alerts(best.choice.cut),
        by_stealth=recall_by_stealth(run, best.case, best.choice.cut),
        case=best.case,
    )


class _Runs(NamedTuple):
    """The runs that are scored: what thresholds are chosen on, and what is reported."""

    choosing: Scored
    judged: Scored


@dataclass(frozen=True)
class _Trial:
    """One detector: its threshold from the choosing run, and what it does on the judged one."""

    name: str
    choice: Choice
    case: Case
    report: ThresholdReport

    def figures(self) -> dict[str, float | str]:
        """Its figures; those that rank are over grants, which every detector scores."""
        grants = (self.case.scored["kind"] == "grant").to_numpy(bool)
        tree = self.case.scored["tree"].to_numpy(np.int64)
        return {
            "detector": self.name,
            "threshold": self.choice.cut.lowest,
            "alerts": self.report.alerts,
            "precision": self.report.precision.value,
            "found": self.report.overall.value,
            **figures(self.case.score[grants], self.case.attacked[grants], tree[grants]),
        }


def _trials(reference: Run, runs: _Runs, budget: float) -> Iterator[_Trial]:
    """The model first, then each of its members and an isolation forest by itself."""
    choosing, judged = (make_case(each.run, each.table()) for each in runs)
    grants = [len(each.evidence("grant")) for each in runs]
    # The choosing run may be smaller: it stands for as many days as the judged organisation takes for its work.
    choosing = replace(choosing, days=grants[0] * judged.days / max(grants[1], 1))
    yield _trial(CHOSEN, choosing, judged, budget)
    members = runs.judged.model.fitted.detectors.values()
    for name in dict.fromkeys(member.name for detector in members for member in detector.members_):
        # A score is the member's rank, where it scores the kind of entity at all.
        first, last = (
            _only(case, case.scored.assign(score=case.scored[name])) for case in (choosing, judged)
        )
        yield _trial(name, first, last, budget)
    forest = Counts(seed=0).fit(gather(reference))
    scored = (scores_of(each.evidence("grant"), forest.score(each.evidence("grant"))) for each in runs)
    first, last = (_only(case, table) for case, table in zip((choosing, judged), scored, strict=True))
    yield _trial(forest.name, first, last, budget)


def _trial(name: str, choosing: Case, judged: Case, budget: float) -> _Trial:
    choice = choose(alert_budget(budget), choosing)
    return _Trial(name, choice, judged, report(choice.cut, judged, chosen_on=choosing))


def _only(case: Case, scored: pd.DataFrame) -> Case:
    return replace(case, scored=scored[scored["score"].notna()].reset_index(drop=True))


def _scores(trials: list[_Trial], judged: Scored) -> pd.DataFrame:
    case = trials[0].case
    touched = case.touched[case.touched["place"] >= 0].drop_duplicates("place").set_index("place")["attack"]
    keys = ["tenant", "kind", "entity"]
    table = case.scored[[*keys, "role"]].assign(
        attacked=case.attacked,
        attack=touched.reindex(range(len(case.scored)), fill_value="").to_numpy(object),
        silent=np.concatenate([evidence.silent for evidence, _ in judged.parts]),
    )
    for trial in trials:
        table = table.merge(
            trial.case.scored[[*keys, "score"]].rename(columns={"score": trial.name}), how="left", on=keys
        )
    return table


def _seeds(run: Run, made: Companions) -> dict[str, int]:
    runs = {"judged": run, "reference": made.reference, "choosing": made.choosing}
    return {name: seed for name, each in runs.items() if (seed := each.manifest.seed) is not None}


def _verdict(best: _Trial, budget: float) -> str:
    report = best.report
    alerts = report.alerts_per_day.value
    if not report.attacks:
        return f"Nobody attacked in this run, and the detectors would raise {alerts:,.0f} alerts a day all the same."
    kinds = report.recall.drop(index="all")["recall"]
    worst = str(kinds.idxmin())
    missed = f"; hardest to see: {worst.replace('_', ' ')} ({kinds[worst]:.0%})" if kinds[worst] < 1 else ""
    return (
        f"Chosen for {budget:,.0f} alerts a day, the detectors together raise {alerts:,.0f} and see "
        f"{report.found} of {report.attacks} attacks ({percent(report.overall.value)}); "
        f"{percent(report.precision.value)} of the alerts are attacks{missed}."
    )


def _numbers(report: ThresholdReport) -> tuple[KeyNumber, ...]:
    value, low, high = report.alerts_per_day
    return (
        KeyNumber("attacks found", report.overall.value, share_text(report.overall)),
        KeyNumber("alerts that are attacks", report.precision.value, share_text(report.precision)),
        KeyNumber("alerts a day", value, f"{value:,.0f} ({low:,.0f} to {high:,.0f})"),
    )


def _warnings(budget: float, report: ThresholdReport) -> list[str]:
    if report.alerts_per_day.low > budget:
        return [
            f"The budget was exceeded: {report.alerts_per_day.value:,.0f} alerts a day, chosen for {budget:,.0f}."
        ]
    return []


def _method(model: Model, runs: _Runs) -> tuple[str, ...]:
    learned = ", ".join(f"{entry.entities:,} {kind}s" for kind, entry in model.card.kinds.items())
    choosing, judged = (each.evidence("grant") for each in runs)
    return (
        f"Detectors learned what is usual from {learned} of a run with another seed and no attacks.",
        f"The threshold was chosen on {len(choosing):,} grants of a third seed, their trees and agents: the lowest that "
        "stays within the alert budget.",
        f"Everything shown is about the {len(judged):,} grants of the run itself, their trees and agents.",
        "An alert is a grant, a tree or an agent; an attack is found when one that it touched is an alert.",
        f"'{CHOSEN}' takes the most alarming of its detectors, on one scale: -log10 of the share of benign grants (trees, "
        "agents) that score as high.",
        "Intervals are 95 %: Wilson for shares, resampling of whole trees for the rest.",
        f"{int(judged.silent.sum()):,} grants never used a tool; they are scored by what else they did.",
    )
