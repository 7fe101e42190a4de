"""What every detector is, and how evidence becomes the matrix that an estimator reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from agentsim.risk.behaviour import Floats
from agentsim.risk.catalogue import FEATURES, families
from agentsim.risk.evidence import Evidence

#: The plain features: what a grant did and had, without its peers. Outcomes are left out: whoever calls a tool
#: reports them, and an attacker who does not bother would be known by that alone.
COUNTS = ("count", "rate", "refusal", "diversity", "caller", "scope", "tree", "identity", "timing")


#: Features that honest work hardly ever moves: what is told by the one that is furthest out. Numbers that vary with the
#: length of a task are not among them: of so many, some honest grant leads in one or the other every day.
TELLING = (
    "refusal",
    "caller",
    "identity",
    "own_children",
    "grants",
    "foreign_lookups",
    "idle_refreshes",
    "refreshes",
    "tools_new_role",
    "tools_new_task",
    "tools_rare_task",
    "resources_new_role",
    "resources_new_task",
    "resources_rare_task",
    "transitions_new_role",
    "transitions_new_task",
)


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
    wanted : features, or families of them.

    Attributes
    ----------
    names_ : features that the evidence of fitting has, in the order of the columns.
    """

    def __init__(self, wanted: Sequence[str]) -> None:
        self.wanted = list(wanted)

    def fit(self, evidence: Evidence) -> RoleEncoder:
        """Learn which roles and features there are."""
        self.roles_ = {role: code for code, role in enumerate(sorted(set(evidence.role)), start=1)}
        self.names_ = present(evidence, self.wanted)
        return self

    def transform(self, evidence: Evidence) -> Floats:
        """The matrix, shape (rows, 1 + features); a feature that the evidence does not have is NaN."""
        code = [self.roles_.get(role, 0) for role in evidence.role]
        return np.column_stack([np.array(code, np.float64), features(evidence, self.names_)])


def present(evidence: Evidence, wanted: Sequence[str]) -> list[str]:
    """The features that the evidence has, of those that are named or whose family is, and a caller's own."""
    chosen = {*wanted, *families(*wanted)}
    return [name for name in evidence.features.columns if name in chosen or name not in FEATURES]


def features(evidence: Evidence, wanted: Sequence[str]) -> Floats:
    """The wanted features, shape (rows, features); NaN where the evidence does not have one (times of a replay)."""
    return evidence.features.reindex(columns=list(wanted)).to_numpy(np.float64)
