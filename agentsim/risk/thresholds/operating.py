"""Every threshold that makes a difference on a Run, and what it does there: what a reader moves along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Floats, Ints
from agentsim.risk.thresholds.case import Case
from agentsim.risk.thresholds.delays import first_alerts, seconds_until


@dataclass(frozen=True)
class OperatingPoints:
    """What one score for all kinds of entities does, for many scores: the figures of :func:`report`, without intervals.

    Attributes
    ----------
    figures : one row per threshold, the highest first: ``threshold`` (infinite: no alerts), ``alerts``, ``alerts_per_day``, ``right``
        and ``wrong`` (alerts about attacks, and false ones), ``precision``, ``false_alarms`` (per thousand honest tasks),
        ``found`` (attacks), ``seconds`` (median until the first alert). NaN is what cannot be told.
    found : the same rows; per attack kind, in the order of ``attacks``, how many were found.
    attacks : per attack kind, how many there are.
    """

    figures: pd.DataFrame
    found: pd.DataFrame
    attacks: pd.Series


def operating_points(case: Case, *, points: int = 200, keep: Sequence[float] = ()) -> OperatingPoints:
    """The thresholds of a case, from none that is reached to one that everything reaches.

    Parameters
    ----------
    case : the Run that they are told on.
    points : how many at most; where there are more, they lie evenly by the logarithm of the number of alerts.
    keep : thresholds that are among them, whether they make a difference or not.
    """
    thresholds = _thresholds(case.score, points, keep)
    worst = case.worst.to_numpy(np.float64)
    kind = case.worst.index.get_level_values("attack")
    found = {str(name): _reaching(worst[kind == name], thresholds) for name in kind.unique()}
    alerts = _reaching(case.score, thresholds)
    right, wrong = (_reaching(case.score[which], thresholds) for which in (case.attacked, case.benign))
    figures = {
        "threshold": thresholds,
        "alerts": alerts,
        "alerts_per_day": _per(alerts, case.days),
        "right": right,
        "wrong": wrong,
        "precision": _per(right, right + wrong),
        "false_alarms": _per(wrong, case.honest_tasks / 1000),
        "found": _reaching(worst, thresholds),
        "seconds": _seconds(case, thresholds),
    }
    counts = kind.value_counts().reindex(list(found))
    return OperatingPoints(pd.DataFrame(figures), pd.DataFrame(found, index=range(len(thresholds))), counts)


def _thresholds(score: Floats, points: int, keep: Sequence[float]) -> Floats:
    """Distinct scores, the highest first, thinned, with those to keep among them."""
    values, count = np.unique(score, return_counts=True)
    values, alerts = values[::-1], np.cumsum(count[::-1])
    kept = np.unique(np.asarray(keep, np.float64))
    room = max(points - len(kept), 1)
    if len(values) > room:
        wanted = np.geomspace(alerts[0], alerts[-1], room)
        values = values[np.unique(np.searchsorted(alerts, wanted).clip(max=len(alerts) - 1))]
    return np.union1d(values, kept)[::-1]


def _reaching(score: Floats, thresholds: Floats) -> Ints:
    """How many scores reach each threshold; what touched nothing that is scored reaches none."""
    seen = np.sort(score[score > -np.inf])
    return np.asarray(len(seen) - np.searchsorted(seen, thresholds, side="left"), np.int64)


def _seconds(case: Case, thresholds: Floats) -> Floats:
    """The median time until the first alert, over the attacks that are found."""
    place = case.touched["place"].to_numpy(np.int64)
    score = np.full(len(place), -np.inf)
    score[place >= 0] = case.score[place[place >= 0]]
    medians = np.full(len(thresholds), np.nan)
    for number, threshold in enumerate(thresholds):
        waited = seconds_until(case, first_alerts(case, score >= threshold))
        if np.isfinite(waited).any():
            medians[number] = np.nanmedian(waited)
    return medians


def _per(values: Ints, unit: Ints | float) -> Floats:
    unit = np.broadcast_to(np.asarray(unit, np.float64), values.shape)
    return np.asarray(np.divide(values, unit, out=np.full(values.shape, np.nan), where=unit > 0))
