"""Scores of several detectors on one scale: how rarely benign rows score as high.

A score's *rank* is -log10 of the share of benign rows that score at least as high: 3 means one in a thousand.
Where those become few, beyond their 95th percentile, the share is continued by an exponential tail (peaks over
threshold: J. Pickands, Annals of Statistics 3, 1975, with shape 0), so that what stands out further ranks higher.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.model_selection import GroupKFold
from sklearn.utils.validation import check_is_fitted, validate_data

from agentsim.risk.behaviour import Floats, Ints
from agentsim.risk.detectors.base import Detector
from agentsim.risk.detectors.peertables import Tail
from agentsim.risk.evidence import Evidence

_KNOTS = 4096
_FOLDS = 3
_OFFSET_PERCENTILE = 1.0


@dataclass(frozen=True)
class RankCurve:
    """From a score to its rank.

    Attributes
    ----------
    knots : scores of benign rows, rising; where there are many, not all of them.
    ranks : rank of each step: of a score that ``i`` knots are below; one more than there are knots.
    start : where the exponential tail begins.
    at : rank there.
    width : mean excess over ``start``, in units of the score.
    """

    knots: Floats
    ranks: Floats
    start: float
    at: float
    width: float

    @classmethod
    def of(cls, benign: Floats) -> RankCurve:
        """The curve of the scores of benign rows, which the detector has not learned from."""
        known = Tail.of(benign)
        knots, size, beyond = known.knots(_KNOTS), len(known.values), known.beyond
        # Where nothing lies beyond, all that is known of the scale is how the scores spread.
        width = beyond.mean() if len(beyond) else known.values.std()
        return cls(
            knots=knots,
            ranks=-np.log10((1 + np.append(known.reaching(knots), 0.0)) / (1 + size)),
            start=known.start,
            at=float(-np.log10((1 + len(beyond)) / (1 + size))),
            width=float(width) or 1.0,
        )

    def rank(self, score: Floats) -> Floats:
        """The ranks of some scores."""
        counted = self.ranks[np.searchsorted(self.knots, score, side="left")]
        smoothed = self.at + (score - self.start) / (self.width * np.log(10))
        return np.where(score > self.start, smoothed, np.minimum(counted, self.at))


class CalibratedRanks(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Combines scores of several detectors: the sum of the ``largest`` of their ranks, ranked once more.

    Parameters
    ----------
    largest : how many of the ranks count; 1 takes the most alarming alone.

    Attributes
    ----------
    curves_ : one :class:`RankCurve` per detector.
    total_ : the curve of the sums: without it several detectors raise more alarms than one.
    offset_ : score that one training row in a hundred stays below; see ``RobustZ``.
    """

    def __init__(self, *, largest: int = 1) -> None:
        self.largest = largest

    def fit(self, X: Any, y: Any = None) -> CalibratedRanks:  # noqa: N803
        """Learn the scale of each detector.

        Parameters
        ----------
        X : scores of benign rows, shape (rows, detectors), none by a detector that has learned from the row.
        y : ignored.
        """
        scores = validate_data(self, X, dtype=np.float64)
        self.curves_ = [RankCurve.of(column) for column in scores.T]
        self.total_ = RankCurve.of(self._sum(scores))
        self.offset_ = float(np.percentile(self.score_samples(X), _OFFSET_PERCENTILE))
        return self

    def score_samples(self, X: Any) -> Floats:  # noqa: N803
        """Minus the rank of each row's sum: the lower, the less usual."""
        check_is_fitted(self)
        return -self.total_.rank(self._sum(validate_data(self, X, dtype=np.float64, reset=False)))

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """Scores less ``offset_``: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Ints:  # noqa: N803
        """-1 for rows below ``offset_``, else 1."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def members(self, X: Any) -> Floats:  # noqa: N803
        """Each detector's rank of each row, shape (rows, detectors)."""
        check_is_fitted(self)
        return self._ranks(validate_data(self, X, dtype=np.float64, reset=False))

    def _ranks(self, scores: Floats) -> Floats:
        return np.column_stack(
            [curve.rank(column) for curve, column in zip(self.curves_, scores.T, strict=True)]
        )

    def _sum(self, scores: Floats) -> Floats:
        largest = np.sort(self._ranks(scores), axis=1)[:, -self.largest :]
        return np.asarray(largest.sum(axis=1))


class Combined:
    """Several detectors as one, by calibrated ranks.

    Parameters
    ----------
    seed : of the folds.
    members : what is combined.
    largest : as in :class:`CalibratedRanks`.
    """

    def __init__(
        self, seed: int, members: Sequence[Detector], *, largest: int = 1, name: str = "combined"
    ) -> None:
        self.name = name
        self.seed = seed
        self.members_ = list(members)
        self.estimator_ = CalibratedRanks(largest=largest)

    def fit(self, evidence: Evidence) -> Combined:
        """Take the scale from trees that members have not seen, fold by fold, then fit the members on all.

        Raises
        ------
        ValueError
            If the evidence is of fewer than two trees.
        """
        held_out = np.zeros((len(evidence), len(self.members_)))
        folds = GroupKFold(min(_FOLDS, len(np.unique(evidence.tree))), shuffle=True, random_state=self.seed)
        for _, others in folds.split(evidence.tree, groups=evidence.tree):
            judged = np.zeros(len(evidence), bool)
            judged[others] = True
            learned, unseen = evidence.take(~judged), evidence.take(judged)
            for place, member in enumerate(self.members_):
                held_out[judged, place] = member.fit(learned).score(unseen)
        self.estimator_.fit(held_out)
        for member in self.members_:
            member.fit(evidence)
        return self

    def score(self, evidence: Evidence) -> Floats:
        """-log10 of the share of benign rows that score as high."""
        return -self.estimator_.score_samples(self._scores(evidence))

    def ranks(self, evidence: Evidence) -> dict[str, Floats]:
        """The rank that each member gives each row, by the member's name; and ``score``, the combination's."""
        scores = self._scores(evidence)
        names = [member.name for member in self.members_]
        parts = dict(zip(names, self.estimator_.members(scores).T, strict=True))
        return {"score": -self.estimator_.score_samples(scores), **parts}

    def _scores(self, evidence: Evidence) -> Floats:
        return np.column_stack([member.score(evidence) for member in self.members_])
