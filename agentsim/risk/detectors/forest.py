"""Isolation forests: over plain features, and over how far features lie outside what a role does.

A forest over plain features takes a rare role for an attack and hardly sees a count that only this role never
has. Over surprises, roles are alike and an attack is what is far out in several features at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from agentsim.risk.behaviour import Floats
from agentsim.risk.detectors.base import COUNTS, RoleEncoder, features, present
from agentsim.risk.detectors.peertables import signed_log
from agentsim.risk.detectors.robust import RobustZ
from agentsim.risk.evidence import Evidence

#: Rows that a tree over surprises is grown from, at most: with the usual 256, one row in a thousand is in no tree.
_SAMPLES = 4096


def count_forest(seed: int, trees: int = 200) -> Pipeline:
    """Isolation forest over logarithms of features (F. T. Liu et al., ICDM 2008)."""
    # The forest cuts at uniform random places: without logarithms one huge count takes all the cuts.
    return make_pipeline(
        FunctionTransformer(signed_log, feature_names_out="one-to-one"),
        IsolationForest(n_estimators=trees, random_state=seed),
    )


class Counts:
    """Isolation forest over features of some families."""

    def __init__(self, seed: int, *, wanted: Sequence[str] = COUNTS, name: str = "isolation forest, counts"):
        self.name = name
        self.wanted = list(wanted)
        self.estimator_ = count_forest(seed)

    def fit(self, evidence: Evidence) -> Counts:
        """Learn the usual features."""
        self.names_ = present(evidence, self.wanted)
        self.estimator_.fit(self._matrix(evidence))
        return self

    def score(self, evidence: Evidence) -> Floats:
        """Minus the forest's own score: near 1 for what is cut off at once."""
        return -_scores(self.estimator_, self._matrix(evidence))

    def _matrix(self, evidence: Evidence) -> Floats:
        return features(evidence, self.names_)


class DeviationForest:
    """Isolation forest over the surprise of each feature among a role's rows.

    Parameters
    ----------
    seed : of the forest.
    wanted : families of features.
    trees : in the forest.
    """

    def __init__(self, seed: int, *, wanted: Sequence[str] = COUNTS, trees: int = 100) -> None:
        self.name = "isolation forest, by role"
        self.encoder_ = RoleEncoder(wanted)
        self.surprise_ = RobustZ(contexts=1)
        self.estimator_ = IsolationForest(n_estimators=trees, max_samples=_SAMPLES, random_state=seed)

    def fit(self, evidence: Evidence) -> DeviationForest:
        """Learn what each role does, then how far its rows usually lie outside."""
        matrix = self.encoder_.fit(evidence).transform(evidence)
        surprises = self.surprise_.fit(matrix).surprises(matrix)
        self.estimator_.set_params(max_samples=min(_SAMPLES, len(surprises)))
        self.estimator_.fit(surprises)
        return self

    def score(self, evidence: Evidence) -> Floats:
        """Minus the forest's own score: near 1 for what is cut off at once."""
        return -_scores(self.estimator_, self.surprise_.surprises(self.encoder_.transform(evidence)))


def _scores(estimator: Any, matrix: Floats) -> Floats:
    return np.asarray(estimator.score_samples(matrix), dtype=np.float64)
