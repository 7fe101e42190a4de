"""How far a row lies outside what its peers do, feature by feature: the robust z of rows with many zeros.

Features of grants are counts. Most are the same for nearly all peers of a role, so that a median absolute
deviation is 0 and a z-score says nothing, just where a deviation is most telling. What is asked here instead is
which share of the peers lies at least as far out, on either side. Beyond the last peer that share is continued by
an exponential tail over the logarithm of the feature, as wide as the mean excess of the last twentieth (peaks over
threshold: J. Pickands, Annals of Statistics 3, 1975, with shape 0).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from agentsim.risk.behaviour import Floats, Ints
from agentsim.risk.detectors.peertables import PeerLookup, PeerTables, Tail, signed_log

_OFFSET_PERCENTILE = 1.0
#: Rows that are looked up together: what a feature's look-up touches then stays in the cache.
_CHUNK = 65_536


class Deviations(NamedTuple):
    """Each row's features beside those of its peers; all of shape (rows, features), NaN where the row has NaN.

    Attributes
    ----------
    surprise : -log10 of the share of peers that lie at least as far out; 0 where the row has NaN.
    actual : the features, in their own units.
    typical : median of the peers.
    least, most : 1st and 99th percentile of the peers.
    """

    surprise: Floats
    actual: Floats
    typical: Floats
    least: Floats
    most: Floats


class RobustZ(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Surprise of each feature of a row among its peers; a row's score is the sum of its ``top`` largest.

    Parameters
    ----------
    contexts : leading columns that hold codes of the context: 0 none, 1 role. Code 0 is unknown, as is any that
        fitting has not met; such rows are compared with everybody.
    top : a row's score is the sum of its ``top`` largest surprises.
    decay : each counts so much of the one before: little lets only the largest decide, and the others between equals.
    strength : weight, in rows, of the share among everybody against that among the role's own rows.
    knots : values of a feature that are told apart per role, at most; exact where it has fewer.
    two_sided : whether having less than others is surprising as well as having more.

    Attributes
    ----------
    tables_ : one :class:`PeerTables` per context; the first is everybody's.
    offset_ : score that one training row in a hundred stays below: what does is predicted as an outlier. A place
        to start from; a threshold is chosen elsewhere.
    """

    def __init__(
        self,
        *,
        contexts: int = 0,
        top: int = 2,
        decay: float = 1.0,
        strength: float = 1.0,
        knots: int = 256,
        two_sided: bool = True,
    ) -> None:
        self.contexts = contexts
        self.top = top
        self.decay = decay
        self.strength = strength
        self.knots = knots
        self.two_sided = two_sided

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def fit(self, X: Any, y: Any = None) -> RobustZ:  # noqa: N803
        """Count, per role and feature, how many rows lie beyond each value.

        Parameters
        ----------
        X : array, shape (rows, contexts + features); NaN where a feature has no meaning.
        y : ignored.
        """
        matrix = self._validated(X, ensure_min_features=self.contexts + 1)
        code, values = self._split(matrix)
        everybody = [Tail.of(column) for column in signed_log(values).T]
        self.tables_ = [PeerTables.of(everybody, everybody, 0.0, self.knots)]
        for role in range(1, int(code.max(initial=0)) + 1):
            own = [Tail.of(column) for column in signed_log(values[code == role]).T]
            self.tables_.append(PeerTables.of(own, everybody, self.strength, self.knots))
        self.offset_ = float(np.percentile(self.score_samples(X), _OFFSET_PERCENTILE))
        return self

    def score_samples(self, X: Any) -> Floats:  # noqa: N803
        """Minus the sum of the ``top`` largest surprises of each row: the lower, the less usual."""
        check_is_fitted(self)
        code, values = self._split(self._validated(X, reset=False))
        top = min(self.top, values.shape[1])
        weights = self.decay ** np.arange(top)[::-1]
        result = np.zeros(len(values))
        for rows, tables in self._parts(code):
            surprise = tables.surprises(signed_log(values[rows]), two_sided=self.two_sided)
            largest = np.sort(np.partition(surprise, -top, axis=1)[:, -top:], axis=1)
            result[rows] = -(largest @ weights)
        return result

    def surprises(self, X: Any) -> Floats:  # noqa: N803
        """Surprise of each feature of each row, shape (rows, features); 0 where the row has NaN."""
        check_is_fitted(self)
        code, values = self._split(self._validated(X, reset=False))
        result = np.zeros(values.shape)
        for rows, tables in self._parts(code):
            result[rows] = tables.surprises(signed_log(values[rows]), two_sided=self.two_sided)
        return result

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """Scores less ``offset_``: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Ints:  # noqa: N803
        """-1 for rows below ``offset_``, else 1."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def deviations(self, X: Any) -> Deviations:  # noqa: N803
        """Each feature of each row beside those of its peers, to explain a score."""
        check_is_fitted(self)
        code, values = self._split(self._validated(X, reset=False))
        least, typical, most = (np.zeros(values.shape) for _ in range(3))
        for rows, tables in self._parts(code):
            least[rows], typical[rows], most[rows] = tables.percentiles
        return Deviations(self.surprises(X), values, typical, least, most)

    def lookup(self) -> PeerLookup:
        """The same scores for one row at a time, without arrays."""
        check_is_fitted(self)
        return PeerLookup(self.tables_, self.top, self.decay, two_sided=self.two_sided)

    def _validated(self, X: Any, **how: Any) -> Floats:  # noqa: N803
        matrix: Floats = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", **how)
        return matrix

    def _split(self, matrix: Floats) -> tuple[Ints, Floats]:
        values = matrix[:, self.contexts :]
        if not self.contexts:
            return np.zeros(len(matrix), np.int64), values
        return np.nan_to_num(np.maximum(matrix[:, 0], 0.0)).astype(np.int64), values

    def _parts(self, code: Ints) -> Iterator[tuple[Ints, PeerTables]]:
        """Rows of one context at a time, not too many at once, with that context's tables."""
        known = np.where(code < len(self.tables_), code, 0)
        for role in np.unique(known):
            rows = np.flatnonzero(known == role)
            for first in range(0, len(rows), _CHUNK):
                yield rows[first : first + _CHUNK], self.tables_[role]
