"""What one detector finds on sealed Runs, from a threshold that was chosen where nobody attacks.

An attack is found when an entity that it touched is an alert, at the same threshold for grants, trees and agents. The
threshold is the lowest that so many entities reach, of a Run without attacks, as the rate allows for its grants; what it
really does on the sealed Runs is told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from agentsim.risk import Case
from agentsim.risk.behaviour import Floats
from agentsim.risk.metrics import LEVEL, Estimate, share
from agentsim.risk.thresholds.cut import one_for_all
from agentsim.risk.thresholds.report import found_attacks, recall_by_kind

_DRAWS = 10_000


@dataclass(frozen=True)
class Trial:
    """One detector's scores.

    Attributes
    ----------
    calibration : of a Run without attacks that it has not learned from.
    sealed : of the Runs that are judged, with their truth.
    """

    calibration: pd.DataFrame
    sealed: Sequence[Case]

    def threshold(self, rate: float) -> float:
        """The lowest threshold that at most ``rate`` entities for each honest grant reach where nobody attacks."""
        grants = int((self.calibration["kind"] == "grant").sum())
        # A share of an alarm is none; 1e-9 for products that rounding left just below a whole number.
        allowed = int(np.floor(rate * grants + 1e-9))
        score = np.sort(self.calibration["score"].to_numpy(np.float64))[::-1]
        # Just above the first that would be one too many, and all that share its score.
        return float(np.nextafter(score[allowed], np.inf)) if allowed < len(score) else -np.inf


@dataclass(frozen=True)
class Found:
    """What a detector found.

    Attributes
    ----------
    threshold : from which score on something was an alert.
    kinds : index attack: ``attacks``, ``found``, ``recall``, ``low``, ``high`` (Wilson), ``pr_auc`` (each attack, by its
        highest score, among honest entities) and its ``base_rate``.
    alarms : one row per sealed Run: ``false_alarms``, ``honest_tasks``, and ``recall`` (mean over kinds).
    attacks : one row per attack: ``attack``, ``found``, ``score`` (the highest that it touched; -inf where nothing is
        scored), ``operations``.
    """

    threshold: float
    kinds: pd.DataFrame
    alarms: pd.DataFrame
    attacks: pd.DataFrame

    @property
    def mean_recall(self) -> Estimate:
        """Mean over kinds, each counting the same."""
        return mean_share(self.kinds["found"].to_numpy(np.int64), self.kinds["attacks"].to_numpy(np.int64))

    @property
    def false_alarms(self) -> Estimate:
        """False alarms on the sealed Runs for each of their honest tasks (Wilson)."""
        return share(int(self.alarms["false_alarms"].sum()), int(self.alarms["honest_tasks"].sum()))


def mean_share(found: np.ndarray, of: np.ndarray, seed: int = 0) -> Estimate:
    """The mean of several shares; interval by draws from Jeffreys' posterior of each, as if they were independent."""
    if not len(of):
        return Estimate(np.nan, np.nan, np.nan)
    drawn = (
        np.random.default_rng(seed).beta(found + 0.5, of - found + 0.5, size=(_DRAWS, len(of))).mean(axis=1)
    )
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(float((found / of).mean()), float(low), float(high))


def judge(trial: Trial, rate: float) -> Found:
    """What a detector finds at a rate of false alarms."""
    threshold = trial.threshold(rate)
    cut = one_for_all(threshold)
    alerts = [cut.alerts(case.scored) for case in trial.sealed]
    attacks = pd.concat([_attacks(case, alert) for case, alert in zip(trial.sealed, alerts, strict=True)])
    honest = np.concatenate([case.score[case.benign] for case in trial.sealed])
    kinds = recall_by_kind(attacks["found"]).drop(index="all").join(_areas(attacks["score"], honest))
    alarms = [
        {
            "false_alarms": int((alert & case.benign).sum()),
            "honest_tasks": case.honest_tasks,
            "recall": float(found_attacks(case, alert).groupby(level="attack").mean().mean()),
        }
        for case, alert in zip(trial.sealed, alerts, strict=True)
    ]
    return Found(threshold, kinds, pd.DataFrame(alarms), attacks.reset_index("attack").reset_index(drop=True))


def judge_unmet(trials: Mapping[str, Trial], rate: float) -> Found:
    """What is found by several detectors each of which is judged on the one kind of attack that it never met."""
    each = {kind: judge(trial, rate) for kind, trial in trials.items()}
    each = {kind: found for kind, found in each.items() if kind in found.kinds.index}
    alarms = pd.concat(found.alarms for found in each.values()).groupby(level=0)
    attacks = pd.concat([found.attacks[found.attacks["attack"] == kind] for kind, found in each.items()])
    return Found(
        threshold=float(np.median([found.threshold for found in each.values()])),
        kinds=pd.concat([found.kinds.loc[[kind]] for kind, found in each.items()]),
        alarms=alarms[["false_alarms", "honest_tasks"]].sum().assign(recall=np.nan),
        attacks=attacks,
    )


def _attacks(case: Case, alert: np.ndarray) -> pd.DataFrame:
    """Each attack of a Run: whether it was found, its highest score, and its operations."""
    operations = case.attacks.operations.groupby(["attack", "instance"], observed=True).size()
    return pd.DataFrame(
        {
            "found": found_attacks(case, alert),
            "score": case.worst,
            "operations": operations.reindex(case.worst.index, fill_value=0),
        }
    )


def _areas(worst: pd.Series, honest: Floats) -> pd.DataFrame:
    """PR-AUC and base rate of each kind of attack among honest entities."""
    # What touched nothing that is scored ranks below all.
    floor = min(honest.min(), worst[np.isfinite(worst)].min()) - 1
    rows = {}
    for kind, scores in worst.clip(lower=floor).groupby(level="attack", observed=True):
        score = np.concatenate([scores.to_numpy(np.float64), honest])
        truth = np.arange(len(score)) < len(scores)
        rows[str(kind)] = (float(average_precision_score(truth, score)), float(truth.mean()))
    return pd.DataFrame.from_dict(rows, orient="index", columns=["pr_auc", "base_rate"])
