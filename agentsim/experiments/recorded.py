"""Recorded attacks, judged: each suite with its labels left out."""

from __future__ import annotations

import pandas as pd

from agentsim.experiments.result import DetectionResult, KeyNumber, percent
from agentsim.risk import budget_curve, hold_out
from agentsim.run import Run

#: The detector that a replay's verdict speaks of; fixed, since choosing it on the judged labels would flatter.
HEADLINE = "novelty in sequence"
COUNTS = "isolation forest, counts"


def judge_replay(run: Run, *, alert_budget: float, progress: bool) -> DetectionResult:
    """Judge a replayed Run; see :func:`agentsim.experiments.detection.judge`."""
    found = hold_out(run, seed=0, progress=progress)
    means = found.figures.groupby("detector")[["within_roc_auc", "recall_at_1", "recall_at_5"]].mean()
    within, at_1, at_5 = (float(means[name][HEADLINE]) for name in means.columns)
    suites = found.figures[found.figures["detector"] == HEADLINE].set_index("suite")["within_roc_auc"]
    verdict = (
        f"Shown one attack that succeeded and one that did not, by the same agent, '{HEADLINE}' tells which is which "
        f"{within:.0%} of the time (worst suite, {suites.idxmin()}: {suites.min():.0%}); an isolation forest on "
        f"counts {means['within_roc_auc'][COUNTS]:.0%}, a coin 50%."
    )
    everything = found.scores
    return DetectionResult(
        kind="replay",
        verdict=verdict,
        numbers=(
            KeyNumber("ROC-AUC within agent, mean of the suites", within, f"{within:.3f}"),
            KeyNumber("attacks found at 1 % false alarms", at_1, percent(at_1)),
            KeyNumber("attacks found at 5 % false alarms", at_5, percent(at_5)),
        ),
        chosen=HEADLINE,
        detectors=found.figures,
        recall=pd.DataFrame(columns=["detector", "attack", "attacks", "found", "recall", "low", "high"]),
        scores=everything,
        curve=budget_curve(everything[HEADLINE].to_numpy(), everything["attacked"].to_numpy(), 1.0).drop(
            columns="alerts_per_day"
        ),
        threshold=None,
        report=None,
        days=float("nan"),
        alert_budget=alert_budget,
        seeds={"detectors": 0},
        method=_replay_method(everything),
        warnings=(
            "Recorded traces have no days: shares of false alarms stand in for the alert budget, and the "
            "thresholds behind them were read off the judged runs.",
            *found.warnings,
        ),
    )


def _replay_method(scores: pd.DataFrame) -> tuple[str, ...]:
    return (
        "Each suite is judged with its labels left out. Never-attacked runs of that suite, by models other than the "
        "judged one, say what its tasks normally need; they are not scored.",
        f"{len(scores):,} attacked runs are scored, {int(scores['attacked'].sum()):,} of them succeeded.",
        "'Within agent' compares runs of one agent only and averages with the agents' successful attacks as weights. "
        "Agent, model and defence are no features: knowing the agent alone ranks plainly well, and within agent not "
        "at all.",
        "The supervised detector learned from the labels of the other suites and reads no sizes.",
        f"{int(scores['silent'].sum()):,} scored runs called no tool; they did nothing new and rank lowest by novelty.",
        "Intervals are 95 %, resampling whole tasks.",
    )
