"""Tables from which the surprise of a value is read: for whole matrices, and for one row at a time.

Of each feature a table keeps the values of the peers (*knots*) and, for every step between two of them, how
surprising it is to lie there: -log10 of the share of peers that lie at least as far up, or as far down.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import log, log1p

import numpy as np

from agentsim.risk.behaviour import Floats, Ints

#: Share of the peers that counts as their tail.
TAIL = 0.05
#: A tail of fewer peers says nothing of its width.
_FEW = 5
#: What is known of a value that nobody ever had, in peers: less than the one who had the most.
_NEVER = 0.1
#: Decades from which on it adds less and less to lie further beyond all peers: among many features some peer always does.
_BEYOND = 0.1
#: Width of a tail that is not known, where all peers are alike: half of the step from 1 to e.
_WIDTH = 0.5


def signed_log(values: Floats) -> Floats:
    """The logarithm of one more than each value, odd around 0: features are counts over orders of magnitude."""
    result: Floats = np.sign(values) * np.log1p(np.abs(values))
    return result


@lru_cache(65_536)
def _log_of(value: float) -> float:
    """The same of one value, to the last bit: ``math.log1p`` differs in it on some processors, and a value lies beside its knot."""
    return float(signed_log(np.array([value]))[0])


class Tail:
    """The values of one feature among some peers.

    Parameters
    ----------
    values : in rising order, without NaN.
    """

    def __init__(self, values: Floats) -> None:
        self.values = values

    @classmethod
    def of(cls, column: Floats) -> Tail:
        """The values of a column, in any order; NaN is left out."""
        return cls(np.sort(column[~np.isnan(column)]))

    def overtaken(self) -> float:
        """How many peers would lie beyond all others were they not known: the one who leads alone, or none.

        Where many share the largest value, as with what nobody ever does, none of them would have been the first to
        go beyond it; so whoever does is stranger than the next of those who lead by a little.
        """
        return float(len(self.values) > 1 and self.values[-1] > self.values[-2])

    @cached_property
    def mirrored(self) -> Tail:
        """The same peers seen from below."""
        return Tail(-self.values[::-1])

    @cached_property
    def start(self) -> float:
        """Where the last twentieth begins."""
        return float(self.values[int((1 - TAIL) * (len(self.values) - 1))])

    @cached_property
    def beyond(self) -> Floats:
        """By how much each of the last twentieth exceeds its start; ties with the start are left out."""
        return self.values[np.searchsorted(self.values, self.start, side="right") :] - self.start

    @cached_property
    def width(self) -> float:
        """Mean of ``beyond``; NaN where that are too few."""
        few = not len(self.values) or len(self.beyond) < _FEW
        return np.nan if few else float(self.beyond.mean())

    def reaching(self, least: Floats) -> Floats:
        """How many peers have at least these values."""
        return np.asarray(len(self.values) - np.searchsorted(self.values, least, side="left"), np.float64)

    def knots(self, limit: int) -> Floats:
        """Up to about ``limit`` distinct values, the outer ones close together."""
        distinct = np.unique(self.values)
        if len(distinct) <= limit:
            return distinct
        outer = np.geomspace(1, len(distinct) / 2, limit // 4)
        even = np.linspace(0, len(distinct) - 1, limit // 2)
        place = np.concatenate([outer - 1, even, len(distinct) - outer]).astype(np.int64)
        return np.asarray(distinct[np.unique(place)])


@dataclass(frozen=True)
class _Side:
    """One side of one feature: surprise of each step between knots, the outermost knot, and the tail beyond it."""

    surprise: Floats
    end: float
    width: float


@dataclass(frozen=True)
class PeerTables:
    """What one group of peers does, feature by feature.

    Attributes
    ----------
    start : places in ``knots`` where each feature begins, and the end; shape (features + 1).
    knots : signed logarithms of values of the peers, rising per feature; shape (knots).
    up : surprise of having at least a value that ``i`` knots are below; shape (knots + features): a feature has one
        step more than it has knots.
    down : surprise of having at most a value that ``i`` knots are not above; the same shape.
    ends : lowest and highest value of the peers, in signed logarithms; shape (2, features).
    widths : of the tails beyond them, in signed logarithms; shape (2, features).
    percentiles : 1st, 50th and 99th percentile, in the features' own units; shape (3, features).
    """

    start: Ints
    knots: Floats
    up: Floats
    down: Floats
    ends: Floats
    widths: Floats
    percentiles: Floats

    @classmethod
    def of(cls, own: Sequence[Tail], everybody: Sequence[Tail], strength: float, limit: int) -> PeerTables:
        """The tables of some peers, who count for more the more they are.

        Parameters
        ----------
        own : the peers' features.
        everybody : those of all, asked where the peers are few.
        strength : weight, in rows, of the share among everybody; 0 where the peers are everybody.
        limit : knots of each feature, of its own and of everybody's, at most.
        """
        knots = [
            np.unique(np.concatenate([mine.knots(limit), all_.knots(limit)]))
            for mine, all_ in zip(own, everybody, strict=True)
        ]
        up, down = [], []
        for place, mine, all_ in zip(knots, own, everybody, strict=True):
            up.append(_side(mine, all_, strength, place))
            down.append(_side(mine.mirrored, all_.mirrored, strength, -place[::-1]))
        known = [mine if len(mine.values) else all_ for mine, all_ in zip(own, everybody, strict=True)]
        return cls(
            start=np.cumsum([0, *map(len, knots)]),
            knots=np.concatenate(knots),
            up=np.concatenate([side.surprise for side in up]),
            down=np.concatenate([side.surprise[::-1] for side in down]),
            ends=np.array([[-side.end for side in down], [side.end for side in up]]),
            widths=np.array([[side.width for side in down], [side.width for side in up]]),
            percentiles=np.array([_percentiles(tail) for tail in known]).T,
        )

    def surprises(self, logs: Floats, *, two_sided: bool) -> Floats:
        """Surprise of each value: of having so much, or the larger of its two sides; 0 for NaN.

        Parameters
        ----------
        logs : signed logarithms of features, shape (rows, features).
        two_sided : whether having little is surprising, too.
        """
        result = np.zeros(logs.shape)
        for feature in range(logs.shape[1]):
            value = logs[:, feature]
            first, last = self.start[feature], self.start[feature + 1]
            knots = self.knots[first:last]
            # A feature has one step more than it has knots.
            up = self.up[first + feature :][np.searchsorted(knots, value, side="left")]
            down = self.down[first + feature :][np.searchsorted(knots, value, side="right")]
            (low, high), (below, above) = self.ends[:, feature], self.widths[:, feature]
            up += _BEYOND * np.log1p(np.maximum(value - high, 0.0) / above / _BEYOND)
            down += _BEYOND * np.log1p(np.maximum(low - value, 0.0) / below / _BEYOND)
            result[:, feature] = np.where(np.isnan(value), 0.0, np.maximum(up, down) if two_sided else up)
        return result


class PeerLookup:
    """The same tables for one row at a time, in plain lists: what a server asks while it verifies.

    Parameters
    ----------
    tables : one per context; the first is everybody's.
    top, decay, two_sided : as in :class:`~agentsim.risk.detectors.robust.RobustZ`.
    """

    def __init__(self, tables: Sequence[PeerTables], top: int, decay: float, *, two_sided: bool) -> None:
        self.top = top
        self.decay = decay
        self.two_sided = two_sided
        self._contexts = [_columns(each) for each in tables]

    def surprises(self, context: int, values: Sequence[float]) -> list[float]:
        """Surprise of each feature of one row, in the features' own units; 0 for NaN."""
        known = 0 <= context < len(self._contexts)
        columns = self._contexts[context if known else 0]
        two_sided = self.two_sided
        return [column.surprise(value, two_sided) for column, value in zip(columns, values, strict=True)]

    def score(self, context: int, values: Sequence[float]) -> float:
        """The sum of the ``top`` largest surprises: minus what ``RobustZ.score_samples`` gives the row."""
        return self.total(self.surprises(context, values))

    def total(self, surprises: Sequence[float]) -> float:
        """The score of a row from its surprises."""
        total = 0.0
        # From the smallest of those that count to the largest.
        for surprise in sorted(surprises)[-self.top :]:
            total = total * self.decay + surprise
        return total


@dataclass(frozen=True)
class _Column:
    """One feature of one group of peers."""

    knots: list[float]
    up: list[float]
    down: list[float]
    low: float
    high: float
    below: float
    above: float

    def surprise(self, value: float, two_sided: bool) -> float:
        if value != value:
            return 0.0
        value = _log_of(value)
        up = self.up[bisect_left(self.knots, value)]
        if value > self.high:
            up += _BEYOND * log1p((value - self.high) / self.above / _BEYOND)
        if not two_sided:
            return up
        down = self.down[bisect_right(self.knots, value)]
        if value < self.low:
            down += _BEYOND * log1p((self.low - value) / self.below / _BEYOND)
        return max(up, down)


def _columns(tables: PeerTables) -> list[_Column]:
    columns = []
    for feature in range(len(tables.start) - 1):
        first, last = int(tables.start[feature]), int(tables.start[feature + 1])
        steps = slice(first + feature, last + feature + 1)
        columns.append(
            _Column(
                tables.knots[first:last].tolist(),
                tables.up[steps].tolist(),
                tables.down[steps].tolist(),
                *tables.ends[:, feature].tolist(),
                *tables.widths[:, feature].tolist(),
            )
        )
    return columns


def _side(own: Tail, everybody: Tail, strength: float, knots: Floats) -> _Side:
    size, all_ = len(own.values), len(everybody.values)
    # Beyond the last knot there is nobody: so many rows can show no more than this.
    farthest = everybody.overtaken() + _NEVER
    share = np.append(1.0 + everybody.reaching(knots), farthest) / (1 + all_)
    count = np.append(own.reaching(knots), 0.0)
    mixed = (count + strength * share) / (size + strength) if size + strength > 0 else np.ones(len(count))
    surprise = -np.log10(np.clip(np.maximum(mixed, share[-1]), None, 1.0))
    known = own if size else everybody
    return _Side(
        surprise=surprise,
        end=float(known.values[-1]) if len(known.values) else np.inf,
        width=_width(own, everybody) * log(10),
    )


def _width(own: Tail, everybody: Tail) -> float:
    if (width := own.width) == width:
        return max(width, _WIDTH / 10)
    # What others do much of may vary little among them; for peers who never did it that says nothing.
    width = everybody.width
    return max(width, _WIDTH) if width == width else _WIDTH


def _percentiles(tail: Tail) -> Floats:
    if not len(tail.values):
        return np.full(3, np.nan)
    logs = np.quantile(tail.values, [0.01, 0.5, 0.99])
    result: Floats = np.sign(logs) * np.expm1(np.abs(logs))
    return result
