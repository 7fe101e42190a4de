"""Alerts a day, recall and precision over thresholds, for drawing."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Flags, Floats
from agentsim.risk.thresholds.case import Case


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


def attack_curve(case: Case, points: int = 60) -> pd.DataFrame:
    """Alerts a day, recall of attacks (one is found when something that it touched is an alert) and precision."""
    curve = budget_curve(case.score, case.attacked, case.days, points)
    worst = np.sort(case.worst.to_numpy(np.float64))
    found = len(worst) - np.searchsorted(worst, curve["threshold"].to_numpy(np.float64), side="left")
    return curve.assign(recall=found / max(len(worst), 1))
