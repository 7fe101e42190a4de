"""Robust z by role: the detector whose scores are table look-ups."""

from __future__ import annotations

from collections.abc import Sequence

from agentsim.risk.behaviour import Floats
from agentsim.risk.detectors.base import TELLING, RoleEncoder
from agentsim.risk.detectors.robust import Deviations, RobustZ
from agentsim.risk.evidence import Evidence


class Deviating:
    """How far features lie outside what the role's others do, in the ``top`` features furthest out.

    Parameters
    ----------
    wanted : features, or families of them.
    top : how many features count.
    decay : each counts so much of the one before. Features go up and down together: where all counted alike, what is odd in
        one alone would be hidden.
    two_sided : whether having little of something is odd, too. Not where features only grow: whoever has just begun has
        less than others.
    """

    def __init__(
        self, *, wanted: Sequence[str] = TELLING, top: int = 3, decay: float = 0.1, two_sided: bool = False
    ) -> None:
        self.name = "robust z, by role"
        self.encoder_ = RoleEncoder(wanted)
        self.estimator_ = RobustZ(contexts=1, top=top, decay=decay, two_sided=two_sided)

    def fit(self, evidence: Evidence) -> Deviating:
        """Learn what each role does."""
        self.estimator_.fit(self.encoder_.fit(evidence).transform(evidence))
        return self

    def score(self, evidence: Evidence) -> Floats:
        """Sum of the largest surprises, each -log10 of the share of the role's rows that lie as far out."""
        return -self.estimator_.score_samples(self.encoder_.transform(evidence))

    def deviations(self, evidence: Evidence) -> Deviations:
        """Each row's features beside those of its role; columns in the order of ``encoder_.names_``."""
        return self.estimator_.deviations(self.encoder_.transform(evidence))
