"""Detectors for where labels exist: of other suites, or of simulated runs of other seeds."""

from __future__ import annotations

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from agentsim.risk.behaviour import Flags, Floats
from agentsim.risk.catalogue import families
from agentsim.risk.detectors.novelty import Novelty
from agentsim.risk.evidence import Evidence


class Supervised:
    """Extremely randomised trees over counts and surprise, for where labels exist (of other suites, or other seeds).

    It reads no sizes of arguments or results: in recorded benchmarks they give the injection away.
    """

    def __init__(self, seed: int, *, name: str = "supervised, no sizes") -> None:
        self.name = name
        self.estimator_ = ExtraTreesClassifier(n_estimators=300, min_samples_leaf=10, random_state=seed)
        self.wanted = families(
            "count", "rate", "refusal", "diversity", "caller", "scope", "tree", kind="grant"
        )

    def table(self, evidence: Evidence, reference: Evidence) -> Floats:
        """What the forest reads: counts, and surprise measured against ``reference``."""
        parts = [Novelty().fit(reference), Novelty(order=True).fit(reference)]
        counts = evidence.features[self.wanted].to_numpy(np.float64)
        return np.hstack([counts, *(part.profile(evidence) for part in parts)])

    def fit(self, table: Floats, truth: Flags) -> Supervised:
        """Learn from labelled grants."""
        self.estimator_.fit(table, truth)
        return self

    def score(self, table: Floats) -> Floats:
        """Probability of an attack, as the forest sees it."""
        return np.asarray(self.estimator_.predict_proba(table)[:, 1], dtype=np.float64)
