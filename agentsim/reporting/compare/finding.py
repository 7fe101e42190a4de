"""How many attacks are found on each side, by one and the same detector and threshold.

Both are made from the first Run's scenario: the detector learns on another seed without attacks, the threshold is chosen on a
third. So what differs is what is judged, and not who judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import stats

from agentsim.experiments.companions import make_companions
from agentsim.reporting import words
from agentsim.reporting.compare.sides import Side
from agentsim.risk import Case, Scored, ThresholdReport, alert_budget, choose, make_case, report
from agentsim.risk.metrics import share
from agentsim.risk.model import train
from agentsim.run import Run

#: The name of the figure.
FOUND = "simulated attacks found"
FALSE = "false alarms, per 1,000 honest tasks"


def judge_sides(
    sides: Sequence[Side], *, budget: float, companion_agents: int
) -> list[list[ThresholdReport]] | None:
    """What one detector finds in each Run of each side; None where nobody attacks, or nothing can be learned from.

    Parameters
    ----------
    budget : alerts a day that the threshold is chosen for.
    companion_agents : agents in each run to learn from, at most; 0 judges nothing.
    """
    first = sides[0].runs[0]
    runs = [run for side in sides for run in side.runs]
    if not companion_agents or not all(map(_attacked, runs)):
        return None
    made = make_companions(first, agents=companion_agents)
    model = train(made.reference, name=first.manifest.name)
    choosing = make_case(made.choosing, Scored.of(made.choosing, model).table())
    judged = [[make_case(run, Scored.of(run, model).table()) for run in side.runs] for side in sides]
    # The choosing run may be smaller: it stands for as many days as the first Run's organisation takes for its work.
    days = _grants(choosing) * judged[0][0].days / max(_grants(judged[0][0]), 1)
    cut = choose(alert_budget(budget), replace(choosing, days=days)).cut
    return [[report(cut, case) for case in cases] for cases in judged]


def _grants(case: Case) -> int:
    return int((case.scored["kind"] == "grant").sum())


def _attacked(run: Run) -> bool:
    return run.manifest.kind == "simulation" and bool(run.manifest.source.get("attacks"))


def rows(judged: Sequence[Sequence[ThresholdReport]], labels: Sequence[str]) -> pd.DataFrame:
    """Rows as :func:`agentsim.reporting.compare.noise.table` has them; attacks of all Runs of a side are counted together."""
    counts = [
        (sum(each.found for each in reports), sum(each.attacks for each in reports)) for reports in judged
    ]
    found = [share(*each) for each in counts]
    told = []
    for place, (label, estimate, (hits, attacks)) in enumerate(zip(labels, found, counts, strict=True)):
        table = np.array([[counts[0][0], counts[0][1] - counts[0][0]], [hits, attacks - hits]])
        p = float(stats.fisher_exact(table).pvalue) if place else np.nan
        told.append(
            (
                FOUND,
                label,
                *estimate,
                words.percent(estimate.value),
                _ratio(estimate.value, found[0].value),
                p,
                False,
            )
        )
    for label, reports in zip(labels, judged, strict=True):
        values = [each.false_alarms for each in reports]
        mean = float(np.mean([each.value for each in values]))
        low, high = (values[0].low, values[0].high) if len(values) == 1 else (np.nan, np.nan)
        base = float(np.mean([each.false_alarms.value for each in judged[0]]))
        told.append((FALSE, label, mean, low, high, words.number(mean), _ratio(mean, base), np.nan, False))
    return pd.DataFrame(
        told, columns=["figure", "side", "value", "low", "high", "text", "ratio", "p", "size"]
    )


def _ratio(value: float, base: float) -> float:
    return value / base if base else np.nan
