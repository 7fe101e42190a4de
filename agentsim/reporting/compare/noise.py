"""Which differences are more than noise: what other seeds of the same settings would show as well is none.

A Run tells of most figures how much they vary from seed to seed (:mod:`agentsim.reporting.compare.measures`); where there are
replications that vary more than it told, these are believed. Of the other figures only replications tell it (Welch's test,
Student's where one side has a single Run, or of pairs where all sides have the same seeds). Many figures are looked at, so
p-values are adjusted to a false-discovery rate of 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from agentsim.reporting.compare.measures import Measure

#: Share of the differences called more than noise that may be none.
RATE = 0.05
Floats = npt.NDArray[np.float64]
#: A figure in each Run of a side, and its standard errors.
Column = tuple[Floats, Floats]


def estimate(values: Floats, errors: Floats) -> tuple[float, float, float]:
    """A figure's mean over its Runs with its 95 % interval; NaN for ends that cannot be told. No figure is below 0.

    Parameters
    ----------
    values, errors : the figure in each Run, and its standard error as that Run tells it; NaN where it does not.
    """
    mean = float(values.mean())
    half = 1.96 * error_of_mean(values, errors)
    if np.isnan(half) and len(values) > 1:
        half = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    # Not max(0.0, …), which makes 0 of what cannot be told.
    return mean, float(np.maximum(mean - half, 0.0)), mean + half


def error_of_mean(values: Floats, errors: Floats) -> float:
    """Standard error of a mean over Runs: what they tell themselves, or what is seen between them where that is more."""
    told = float(np.sqrt((errors**2).sum())) / len(errors)
    seen = float(stats.sem(values)) if len(values) > 1 else 0.0
    return float(np.maximum(told, seen))


def p_value(one: Column, other: Column, *, paired: bool) -> float:
    """How likely other seeds alone would make two sides differ as much; NaN where that cannot be told, or both have none.

    Parameters
    ----------
    one, other : the figure in each Run of the two sides, and its standard errors as single Runs tell them.
    paired : the Runs of both sides have the same seeds, in this order.
    """
    (first, first_errors), (second, second_errors) = one, other
    every = np.concatenate([first, second])
    if np.isnan(every).any() or not every.any():
        return np.nan
    spread = float(np.hypot(error_of_mean(first, first_errors), error_of_mean(second, second_errors)))
    if spread > 0:
        return float(2 * stats.norm.sf(abs(second.mean() - first.mean()) / spread))
    if paired and len(first) == len(second) > 1:
        difference = second - first
        return float(stats.ttest_1samp(difference, 0).pvalue) if np.ptp(difference) else _alike(difference)
    if len(every) > 2 and (np.ptp(first) or np.ptp(second)):
        # A single Run has no spread of its own: that of the other side stands for it.
        equal = min(len(first), len(second)) == 1
        return float(stats.ttest_ind(first, second, equal_var=equal).pvalue)
    return _alike(every - every[0]) if len(every) > 2 else np.nan


def _alike(difference: Floats) -> float:
    """Without any spread nothing can be said but that both are the same."""
    return np.nan if difference.any() else 1.0


def table(
    sides: Sequence[Sequence[Sequence[Measure]]], labels: Sequence[str], *, paired: bool
) -> pd.DataFrame:
    """All figures of all sides.

    Parameters
    ----------
    sides : of each side, of each Run, the figures.
    paired : all sides have the same seeds, in the same order.

    Returns
    -------
    One row per figure and side: ``figure``, ``side``, ``value``, ``low``, ``high``, ``text`` (the value as people read it),
    ``ratio`` (to the first side; NaN where that has 0), ``p``, and ``size`` as in :class:`Measure`. ``p`` is NaN on the first
    side and where noise cannot be told.
    """
    by_name = [[{each.name: each for each in run} for run in side] for side in sides]
    rows = []
    for name, form in _names(sides).items():
        columns = [_column(side, name) for side in by_name]
        base = estimate(*columns[0])[0]
        for place, (label, (values, errors)) in enumerate(zip(labels, columns, strict=True)):
            value, low, high = estimate(values, errors)
            told = place > 0 and not form.size
            rows.append(
                {
                    "figure": name,
                    "side": label,
                    "value": value,
                    "low": low,
                    "high": high,
                    "text": form.write(value),
                    "ratio": value / base if base else np.nan,
                    "p": p_value(columns[0], (values, errors), paired=paired) if told else np.nan,
                    "size": form.size,
                }
            )
    return pd.DataFrame(rows)


def with_findings(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with ``beyond``: whether a difference is more than noise, all of them being looked at together."""
    beyond = np.zeros(len(frame), bool)
    judged = frame["p"].notna().to_numpy(bool)
    if judged.any():
        beyond[judged] = stats.false_discovery_control(frame.loc[judged, "p"].to_numpy(np.float64)) <= RATE
    return frame.assign(beyond=beyond)


def _names(sides: Sequence[Sequence[Sequence[Measure]]]) -> dict[str, Measure]:
    """Every figure of any Run; what the first does not have stands where the others have it."""
    order: list[Measure] = []
    for run in (run for side in sides for run in side):
        place = 0
        for each in run:
            known = [number for number, other in enumerate(order) if other.name == each.name]
            if not known:
                order.insert(place, each)
            place = known[0] + 1 if known else place + 1
    return {each.name: each for each in order}


def _column(side: Sequence[Mapping[str, Measure]], name: str) -> Column:
    """A figure in each Run of a side. What a Run does not name as a rate, it has counted none of."""
    absent = Measure(name, 0.0 if name.startswith("refused as ") else np.nan, 0.0)
    found = [run.get(name, absent) for run in side]
    return np.array([each.value for each in found], np.float64), np.array(
        [each.error for each in found], np.float64
    )
