"""Figures of merit, each with an interval where it is an estimate. Accuracy is not among them.

Grants of one tree, and runs of one task, are not independent: intervals resample whole groups, as their
size demands (a cluster bootstrap: Davison and Hinkley, Bootstrap Methods and their Application, 1997, 3.8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.stats import binomtest, rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from agentsim.risk.behaviour import Flags, Floats, Ints, tally

REPLICATES = 200
LEVEL = 0.95


class Estimate(NamedTuple):
    """A figure and its 95 % interval; NaN where it cannot be computed."""

    value: float
    low: float
    high: float


NOTHING = Estimate(np.nan, np.nan, np.nan)


def share(found: int, total: int) -> Estimate:
    """A proportion with its Wilson interval (E. B. Wilson, JASA 22, 1927)."""
    if total == 0:
        return NOTHING
    interval = binomtest(found, total).proportion_ci(LEVEL, method="wilson")
    return Estimate(found / total, float(interval.low), float(interval.high))


def pr_auc(truth: Flags, score: Floats, group: Ints, *, seed: int = 0) -> Estimate:
    """Average precision, interval by resampling groups."""
    if truth.all() or not truth.any():
        return NOTHING
    drawn = _replicates(truth, score, group, seed, _average_precision)
    return _interval(float(average_precision_score(truth, rankdata(score))), drawn)


def roc_auc(truth: Flags, score: Floats, group: Ints, *, seed: int = 0) -> Estimate:
    """Area under the ROC curve, interval by resampling groups."""
    if truth.all() or not truth.any():
        return NOTHING
    drawn = _replicates(truth, score, group, seed, _area)
    return _interval(float(roc_auc_score(truth, rankdata(score))), drawn)


def within_roc_auc(truth: Flags, score: Floats, within: Ints, group: Ints, *, seed: int = 0) -> Estimate:
    """ROC-AUC inside each ``within`` (an agent), averaged with its positives as weights.

    Agents without a positive, or without a negative, have no curve and are left out. The interval resamples
    ``group``; every pair of a positive and a negative then counts as often as both of its groups were drawn.
    """
    groups = int(group.max(initial=0)) + 1
    tables = [
        _pairs(score, group, of_agent & truth, of_agent & ~truth, groups)
        for of_agent in _agents(truth, within)
    ]
    if not tables:
        return NOTHING

    def weighted(times: Floats) -> float:
        total = weight = 0.0
        for won, positives, negatives in tables:
            found, clean = float(times @ positives), float(times @ negatives)
            if found > 0 and clean > 0:
                total += float(times @ won @ times) / clean
                weight += found
        return total / weight if weight else np.nan

    value = weighted(np.ones(groups))
    return _interval(value, [weighted(times) for times in _draws(groups, seed)])


def within_pr_auc(truth: Flags, score: Floats, within: Ints, group: Ints, *, seed: int = 0) -> Estimate:
    """Average precision inside each ``within`` (an agent), averaged with its positives as weights.

    Agents without a positive or a negative are left out, as in :func:`within_roc_auc`. Interval by resampling
    ``group``. A score that knows nothing reaches :func:`within_base_rate`.
    """
    draws = _draws(int(group.max(initial=0)) + 1, seed)
    total, weight = np.zeros(1 + len(draws)), np.zeros(1 + len(draws))
    for of_agent in _agents(truth, within):
        hits, alarms = _by_score(truth[of_agent], score[of_agent], group[of_agent], _first_as_it_is(draws))
        found = hits.sum(axis=1)
        judged = (found > 0) & (alarms.sum(axis=1) > 0)
        total[judged] += _average_precision(hits[judged], alarms[judged]) * found[judged]
        weight[judged] += found[judged]
    if not weight[0]:
        return NOTHING
    drawn = total[1:][weight[1:] > 0] / weight[1:][weight[1:] > 0]
    return _interval(float(total[0] / weight[0]), list(drawn))


def within_base_rate(truth: Flags, within: Ints) -> float:
    """Share of positives inside each ``within``, averaged with its positives as weights: what chance reaches."""
    agents = list(_agents(truth, within))
    if not agents:
        return float("nan")
    shares, weights = zip(*((truth[each].mean(), truth[each].sum()) for each in agents), strict=True)
    return float(np.average(shares, weights=weights))


def recall_at(truth: Flags, score: Floats, false_alarms: float, group: Ints, *, seed: int = 0) -> Estimate:
    """Share of the positives above the threshold that raises at most this share of false alarms.

    The threshold is read off the very negatives that are judged: it describes a curve, it was not chosen in
    advance. Interval by resampling groups, each replicate with a threshold of its own.
    """
    if truth.all() or not truth.any():
        return NOTHING

    def found(hits: Floats, alarms: Floats) -> Floats:
        # Sums of whole numbers: the bound is met exactly or not at all.
        inside = np.cumsum(alarms) <= np.floor(false_alarms * alarms.sum() + 1e-9)
        return np.asarray((hits * inside).sum() / hits.sum())

    as_it_is = _by_score(truth, score, group, np.ones((1, int(group.max(initial=0)) + 1)))
    value = float(found(as_it_is[0][0], as_it_is[1][0]))
    return _interval(value, _replicates(truth, score, group, seed, found))


def count_by_group(flag: Flags, group: Ints, *, seed: int = 0) -> Estimate:
    """How many hold, with the interval that resampling whole groups gives."""
    per_group = tally(group[flag], int(group.max(initial=0)) + 1)
    holding = per_group[per_group > 0]
    # Groups without any are drawn as one: a million of them would fill the memory and change nothing.
    share_of_each = np.full(len(holding) + 1, 1 / len(per_group))
    share_of_each[-1] = 1 - len(holding) / len(per_group)
    random = np.random.default_rng(seed)
    times = random.multinomial(len(per_group), share_of_each, size=REPLICATES)[:, :-1]
    return _interval(float(flag.sum()), list(times @ holding))


def _agents(truth: Flags, within: Ints) -> Iterator[Flags]:
    """The rows of each agent that has both a positive and a negative."""
    for agent in np.unique(within):
        of_agent = within == agent
        if 0 < truth[of_agent].sum() < of_agent.sum():
            yield of_agent


def _first_as_it_is(draws: Floats) -> Floats:
    return np.vstack([np.ones((1, draws.shape[1])), draws])


def _pairs(
    score: Floats, group: Ints, positive: Flags, negative: Flags, groups: int
) -> tuple[Floats, Floats, Floats]:
    """Pairs that the positive wins (ties half), by the two groups; positives and negatives by group."""
    above, below = score[positive], score[negative]
    won = (above[:, None] > below[None, :]) + 0.5 * (above[:, None] == below[None, :])
    table = np.zeros((groups, groups))
    by_positive = np.zeros((groups, len(below)))
    np.add.at(by_positive, group[positive], won)
    np.add.at(table.T, group[negative], by_positive.T)
    return table, tally(group[positive], groups), tally(group[negative], groups)


def _replicates(
    truth: Flags, score: Floats, group: Ints, seed: int, figure: Callable[[Floats, Floats], Floats]
) -> list[float]:
    """A figure of each replicate, from the weight of hits and of false alarms at each distinct score.

    scikit-learn sorts anew for each set of weights; the scores are the same every time, so this sorts once.
    """
    order, starts = _distinct(score)
    hit, group = truth[order], group[order]
    drawn = []
    for times in _draws(int(group.max(initial=0)) + 1, seed):
        weight = times[group]
        hits = np.add.reduceat(weight * hit, starts)
        alarms = np.add.reduceat(weight * ~hit, starts)
        if hits.any() and alarms.any():
            drawn.append(float(figure(hits, alarms)))
    return drawn


def _by_score(truth: Flags, score: Floats, group: Ints, draws: Floats) -> tuple[Floats, Floats]:
    """Weight of hits and of false alarms at each distinct score, highest first: a row per draw."""
    order, starts = _distinct(score)
    weight = draws[:, group[order]]
    hit = truth[order]
    return np.add.reduceat(weight * hit, starts, axis=1), np.add.reduceat(weight * ~hit, starts, axis=1)


def _distinct(score: Floats) -> tuple[Ints, Ints]:
    """The order from the highest score to the lowest, and where in it each distinct score begins."""
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    return order, np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _average_precision(hits: Floats, alarms: Floats) -> Floats:
    found = np.cumsum(hits, axis=-1)
    raised = found + np.cumsum(alarms, axis=-1)
    precision = np.divide(found, raised, out=np.zeros_like(found), where=raised > 0)
    return np.asarray((hits * precision).sum(axis=-1) / found[..., -1])


def _area(hits: Floats, alarms: Floats) -> Floats:
    below = alarms.sum() - np.cumsum(alarms)
    return np.asarray((hits * (below + alarms / 2)).sum() / (hits.sum() * alarms.sum()))


def _draws(groups: int, seed: int) -> Floats:
    """How often each group is drawn, per replicate: shape (REPLICATES, groups)."""
    random = np.random.default_rng(seed)
    return random.multinomial(groups, np.full(groups, 1 / groups), size=REPLICATES).astype(np.float64)


def _interval(value: float, drawn: list[float]) -> Estimate:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail]) if drawn else (np.nan, np.nan)
    return Estimate(value, float(low), float(high))
