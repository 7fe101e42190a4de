"""What thresholds do on a Run: alerts a day, what is found, how soon, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Flags
from agentsim.risk.metrics import Estimate, count_by_group, share
from agentsim.risk.thresholds.case import KINDS, Case
from agentsim.risk.thresholds.cut import Cut
from agentsim.risk.thresholds.delays import delays, touched_alerts
from agentsim.risk.thresholds.expected_cost import cost
from agentsim.risk.thresholds.policy import Costs

#: Fewer attacks of a kind than this: its recall cannot be told.
FEW_ATTACKS = 10


@dataclass(frozen=True)
class ThresholdReport:
    """What thresholds do on a Run that they were not chosen on.

    Attributes
    ----------
    alerts : alerts in the Run.
    by_kind : alerts per kind of entity.
    alerts_per_day : with the interval that resampling trees gives; NaN where the Run's times mean nothing.
    precision : share of the alerts that are about an attack, with Wilson interval.
    false_alarms : alerts outside of trees that an attack touched, per thousand grants there, interval by resampling trees.
    attacks, found : attacks in the Run, and those of them that were found.
    recall : index attack kind, and ``all``: ``attacks``, ``found``, ``recall``, ``low``, ``high`` (Wilson); of those that
        were found, medians until the first alert: ``honoured`` (operations of the attack), ``microseconds`` (since its
        first operation), ``descendants`` (grants made below those that it touched). Medians are NaN without times.
    cost_per_day : of what was missed and raised falsely; None where no costs were given.
    warnings : what weakens the report.
    """

    alerts: int
    by_kind: dict[str, int]
    alerts_per_day: Estimate
    precision: Estimate
    false_alarms: Estimate
    attacks: int
    found: int
    recall: pd.DataFrame
    cost_per_day: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def overall(self) -> Estimate:
        """Recall over attacks of all kinds."""
        return share(self.found, self.attacks)

    def _repr_html_(self) -> str:
        # Only notebooks ask, and the display needs this class.
        from agentsim.risk.thresholds.display import report_html

        return report_html(self)

    def as_dict(self) -> dict[str, Any]:
        """As plain values; what cannot be told is None."""
        return {
            "alerts": self.alerts,
            "by_kind": self.by_kind,
            **{
                name: {part: _told(value) for part, value in estimate._asdict().items()}
                for name, estimate in (
                    ("alerts_per_day", self.alerts_per_day),
                    ("precision", self.precision),
                    ("false_alarms_per_1000", self.false_alarms),
                )
            },
            "recall": {
                str(kind): {name: _told(value) for name, value in row.items()}
                for kind, row in self.recall.to_dict("index").items()
            },
            "cost_per_day": self.cost_per_day,
            "warnings": list(self.warnings),
        }


def report(
    cut: Cut, case: Case, *, costs: Costs | None = None, chosen_on: Case | None = None
) -> ThresholdReport:
    """What thresholds do on a case.

    Parameters
    ----------
    cut : the thresholds.
    case : to be judged on.
    costs : what it costs to be wrong.
    chosen_on : what the thresholds were chosen on, so that it is told where both are the same Run.
    """
    alert = cut.alerts(case.scored)
    tree = pd.factorize(case.scored["tree"])[0]
    false, right = alert & case.benign, alert & case.attacked
    # A disputed entity is no attack and no false alarm: it counts for the work of a day alone.
    found = found_attacks(case, alert)
    recall = recall_by_kind(found).join(delays(case, alert))
    total, wrong = count_by_group(alert, tree), count_by_group(false, tree)
    kinds = case.scored["kind"].to_numpy()
    spent = cost(costs, case, alert, found.to_numpy(bool)) if costs else None
    return ThresholdReport(
        alerts=int(alert.sum()),
        by_kind={kind: int((alert & (kinds == kind)).sum()) for kind in KINDS},
        alerts_per_day=_per(total, case.days),
        precision=share(int(right.sum()), int((right | false).sum())),
        false_alarms=_per(wrong, case.honest_tasks / 1000),
        attacks=len(found),
        found=int(found.sum()),
        recall=recall,
        cost_per_day=spent / case.days if spent is not None and case.days > 0 else spent,
        warnings=tuple(_warnings(case, recall, chosen_on)),
    )


def _told(value: float) -> float | None:
    return None if np.isnan(value) else value


def recall_by_kind(found: pd.Series) -> pd.DataFrame:
    """Recall of each attack kind, and of all, with Wilson intervals; index levels ``attack``, ``instance``."""
    rows = {}
    for kind, of_kind in [*found.groupby(level="attack", observed=True), ("all", found)]:
        rows[str(kind)] = (len(of_kind), int(of_kind.sum()), *share(int(of_kind.sum()), len(of_kind)))
    columns = ["attacks", "found", "recall", "low", "high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("attack")


def found_attacks(case: Case, alert: Flags) -> pd.Series:
    """Whether each attack touched an alert."""
    return case.per_attack(touched_alerts(case, alert), "any", False).astype(bool)


def _per(estimate: Estimate, unit: float) -> Estimate:
    return Estimate(*(value / unit if unit > 0 else np.nan for value in estimate))


def _warnings(case: Case, recall: pd.DataFrame, chosen_on: Case | None) -> list[str]:
    warnings = []
    if chosen_on is not None and (case is chosen_on or (case.origin and case.origin == chosen_on.origin)):
        warnings.append(
            "the thresholds were chosen on the very run that they are reported on: the figures flatter them; "
            "report on a run of another seed"
        )
    few = [
        f"{kind} ({int(row.attacks)})"
        for kind, row in recall.iterrows()
        if kind != "all" and row.attacks < FEW_ATTACKS
    ]
    if few:
        warnings.append(f"too few attacks to tell how many of a kind are found: {', '.join(few)}")
    if hidden := int((case.worst == -np.inf).sum()):
        warnings.append(f"{hidden} attacks left no trace on anything that is scored and count as missed")
    if case.days < 1:
        warnings.append(
            f"the run that is reported on covers {24 * case.days:.1f} simulated hours: alerts a day are as if the whole day were like it"
        )
    return warnings
