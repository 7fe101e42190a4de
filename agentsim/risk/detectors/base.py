"""What every detector is, and how evidence becomes the matrix that an estimator reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from agentsim.risk.behaviour import Floats
from agentsim.risk.catalogue import FEATURES, families
from agentsim.risk.evidence import Evidence

#: The plain features: what it did and had, without its peers. Outcomes are left out: whoever calls a tool
#: reports them, and an attacker who does not bother would be known by that alone.
COUNTS = ("count", "rate", "refusal", "diversity", "caller", "scope", "tree", "identity", "timing")


class Detector(Protocol):
    """Learns what is usual, then scores grants (or trees, or agents); the higher, the more suspicious."""

    name: str

    def fit(self, evidence: Evidence) -> Detector:
        """Learn from evidence presumed benign."""
        ...

    def score(self, evidence: Evidence) -> Floats:
        """One score per row of the evidence."""
        ...


class RoleEncoder:
    """Puts a role's code before the features: 0 for a role that was not there in fitting.

    Parameters
    ----------
    wanted : families of features.

    Attributes
    ----------
    columns_ : the features of these families that the evidence had in fitting, and those of a caller's own, in the
        order of the matrix.
    """

    def __init__(self, wanted: Sequence[str]) -> None:
        self.wanted = list(wanted)

    def fit(self, evidence: Evidence) -> RoleEncoder:
        """Learn which features and which roles there are."""
        self.columns_ = columns(evidence, self.wanted)
        self.roles_ = {role: code for code, role in enumerate(sorted(set(evidence.role)), start=1)}
        return self

    def transform(self, evidence: Evidence) -> Floats:
        """The matrix, shape (rows, 1 + features); a feature that the evidence does not have is NaN."""
        code = [self.roles_.get(role, 0) for role in evidence.role]
        return np.column_stack([np.array(code, np.float64), matrix(evidence, self.columns_)])


def columns(evidence: Evidence, wanted: Sequence[str]) -> list[str]:
    """The features of some families that the evidence has, and after them what the catalogue does not know."""
    known = [name for name in families(*wanted) if name in evidence.features.columns]
    return known + [name for name in evidence.features.columns if name not in FEATURES]


def matrix(evidence: Evidence, names: Sequence[str]) -> Floats:
    """The named features, shape (rows, features); NaN where the evidence does not have one (times of a replay)."""
    return evidence.features.reindex(columns=list(names)).to_numpy(np.float64)
