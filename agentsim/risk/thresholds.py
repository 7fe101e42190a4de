"""A threshold from an alert budget: at most so many alerts a day, chosen on one Run, reported on another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Flags, Floats, Ints
from agentsim.risk.metrics import Estimate, count_by_group, share

#: Fewer alerts than this in the Run that chooses: the threshold hangs on a few grants.
FEW_ALERTS = 5
#: Fewer attacks of a kind than this: its recall cannot be told.
FEW_ATTACKS = 10


@dataclass(frozen=True)
class Threshold:
    """A grant whose score is at least ``value`` is an alert.

    Attributes
    ----------
    value : the threshold; infinite where the budget allows no alert at all.
    alert_budget : alerts per day that it was chosen for.
    share : share of grants that the budget allows.
    chosen_alerts : alerts in the Run that it was chosen on.
    warnings : what weakens the choice.
    """

    value: float
    alert_budget: float
    share: float
    chosen_alerts: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class ThresholdReport:
    """What a threshold does on a Run that it was not chosen on.

    Attributes
    ----------
    alerts : alerts in the Run.
    alerts_per_day : with the interval that resampling trees gives.
    precision : share of the alerts that are about an attack, with Wilson interval.
    attacks, found : attacks in the Run, and those of them that were found.
    recall : index attack kind: ``attacks``, ``found``, ``recall``, ``low``, ``high`` (Wilson), and ``all``.
    false_alarm_share : share of benign grants that raise an alert, with Wilson interval.
    warnings : what weakens the report.
    """

    alerts: int
    alerts_per_day: Estimate
    precision: Estimate
    attacks: int
    found: int
    recall: pd.DataFrame
    false_alarm_share: Estimate
    warnings: tuple[str, ...] = ()

    @property
    def overall(self) -> Estimate:
        """Recall over attacks of all kinds."""
        return share(self.found, self.attacks)


def choose_threshold(score: Floats, *, alert_budget: float, grants_per_day: float) -> Threshold:
    """The lowest threshold that keeps the budget on the Run whose scores are given.

    Parameters
    ----------
    score : of each grant of the choosing Run.
    alert_budget : alerts per day that the organisation can look at.
    grants_per_day : how many grants the judged organisation makes in 24 hours, so that a choosing Run of
        another size allows the same share of alerts.

    Raises
    ------
    ValueError
        If the budget or the rate is not positive, or there is no score.
    """
    if alert_budget <= 0 or grants_per_day <= 0 or not len(score):
        raise ValueError("a threshold needs scores, a positive alert budget and a positive rate of grants")
    allowed_share = min(alert_budget / grants_per_day, 1.0)
    allowed = int(np.floor(allowed_share * len(score) + 1e-9))
    value, count = _lowest(score, allowed)
    warnings = []
    if count < FEW_ALERTS:
        warnings.append(
            f"the threshold rests on {count} alerts in the choosing run ({len(score):,} grants): "
            f"a budget of {alert_budget:g} alerts a day is {allowed_share:.2g} of the grants"
        )
    if count < allowed / 2:
        warnings.append(
            f"many grants share one score: only {count} of the {allowed} allowed alerts can be used"
        )
    return Threshold(value, alert_budget, allowed_share, count, tuple(warnings))


def report_threshold(
    threshold: Threshold,
    score: Floats,
    attacked: Flags,
    tree: Ints,
    days: float,
    attacks: pd.DataFrame,
) -> ThresholdReport:
    """What a threshold does on another Run.

    Parameters
    ----------
    threshold : chosen before.
    score, attacked, tree : per grant of the judged Run.
    days : simulated days that the Run covers.
    attacks : one row per attack and grant it touched: ``attack`` (kind), ``instance``, ``place`` (position of
        the grant, -1 where the attack touched none). An attack is found when one of its grants is an alert.
    """
    alert = score >= threshold.value
    found = np.zeros(len(attacks), bool)
    place = attacks["place"].to_numpy(np.int64)
    found[place >= 0] = alert[place[place >= 0]]
    instances = attacks.assign(found=found).groupby(["attack", "instance"], observed=True)["found"].any()
    recall = recall_by_kind(instances)
    warnings = [
        f"{kind}: {row.attacks} attacks are too few to tell its recall"
        for kind, row in recall.iterrows()
        if kind != "all" and row.attacks < FEW_ATTACKS
    ]
    unseen = attacks.groupby(["attack", "instance"], observed=True)["place"].max()
    if (hidden := int((unseen < 0).sum())) > 0:
        warnings.append(f"{hidden} attacks left no trace on any grant and count as missed")
    alerts_in = count_by_group(alert, tree)
    return ThresholdReport(
        alerts=int(alert.sum()),
        alerts_per_day=Estimate(*(number / days for number in alerts_in)),
        precision=share(int((alert & attacked).sum()), int(alert.sum())),
        attacks=len(instances),
        found=int(instances.sum()),
        recall=recall,
        false_alarm_share=share(int((alert & ~attacked).sum()), int((~attacked).sum())),
        warnings=tuple(warnings),
    )


def recall_by_kind(found: pd.Series) -> pd.DataFrame:
    """Recall of each attack kind, and of all, with Wilson intervals; index levels ``attack``, ``instance``."""
    rows = {}
    for kind, of_kind in [*found.groupby(level="attack", observed=True), ("all", found)]:
        rows[str(kind)] = (len(of_kind), int(of_kind.sum()), *share(int(of_kind.sum()), len(of_kind)))
    columns = ["attacks", "found", "recall", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("attack")


def budget_curve(score: Floats, attacked: Flags, days: float, points: int = 60) -> pd.DataFrame:
    """Alerts a day, recall of attacked grants and precision over thresholds, for drawing."""
    order = np.argsort(-score, kind="stable")
    hits, ordered = np.cumsum(attacked[order]), score[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True]) if len(score) else np.zeros(0, np.int64)
    if len(last) > points:
        wanted = np.unique(np.geomspace(1, len(last), points).astype(np.int64) - 1)
        last = last[wanted]
    return pd.DataFrame(
        {
            "threshold": ordered[last],
            "alerts_per_day": (last + 1) / days,
            "recall": hits[last] / max(int(attacked.sum()), 1),
            "precision": hits[last] / (last + 1),
        }
    )


def _lowest(score: Floats, allowed: int) -> tuple[float, int]:
    """The lowest score that at most ``allowed`` scores reach, and how many reach it."""
    values, count = np.unique(score, return_counts=True)
    reaching = np.cumsum(count[::-1])[::-1]
    kept = np.flatnonzero(reaching <= allowed)
    return (float(values[kept[0]]), int(reaching[kept[0]])) if len(kept) else (np.inf, 0)
