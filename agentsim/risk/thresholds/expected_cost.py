"""The threshold that costs least: what missed attacks cost, and what false alarms cost."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import confusion_matrix_at_thresholds

from agentsim.risk.behaviour import Flags, Floats
from agentsim.risk.thresholds.case import Case
from agentsim.risk.thresholds.policy import Costs


def cheapest(costs: Costs, case: Case) -> tuple[float, list[str]]:
    """The threshold of the least cost, the highest of equals; infinite where no alert is worth its cost.

    An attack is one positive, whose score is the highest that it touched; an entity that no attack touched is one
    negative. The costs are their weights, so what is missed and what is raised falsely is the cost.
    """
    missing, score = _missing(costs, case), case.worst.to_numpy(np.float64)
    # What touched nothing that is scored is missed at every threshold.
    seen, benign = np.isfinite(score), case.score[case.benign]
    warnings = []
    if not (missing[seen] > 0).any():
        return np.inf, ["no attack that could be found costs anything: there will be no alerts"]
    _, raised, missed, _, thresholds = confusion_matrix_at_thresholds(
        np.r_[np.ones(seen.sum()), np.zeros(len(benign))],
        np.r_[score[seen], benign],
        sample_weight=np.r_[missing[seen], np.full(len(benign), costs.false_alarm)],
    )
    total = raised + missed
    best = int(np.argmin(total))
    if total[best] >= missing[seen].sum():
        return np.inf, ["at these costs no alert is worth looking at: the cheapest is to have none"]
    if best == len(thresholds) - 1:
        warnings.append("at these costs everything is an alert: the lowest score is the cheapest threshold")
    return float(thresholds[best]), warnings


def cost(costs: Costs, case: Case, alert: Flags, found: Flags) -> float:
    """What was missed and raised falsely costs, in all.

    Parameters
    ----------
    alert : per entity.
    found : per attack, in the order of :attr:`Case.worst`.
    """
    false = int((alert & case.benign).sum())
    return float(_missing(costs, case)[~found].sum() + false * costs.false_alarm)


def _missing(costs: Costs, case: Case) -> Floats:
    """What missing each attack costs, weighted so that as large a share of tasks is attacked as the costs say."""
    kinds = case.worst.index.get_level_values("attack")
    each = np.array([costs.of_missing(str(kind)) for kind in kinds], dtype=np.float64)
    if costs.prevalence is None or not len(each):
        return each
    wanted = costs.prevalence / (1 - costs.prevalence) * case.honest_tasks
    return each * wanted / len(each)
