"""Detectors: what they learn from evidence, and the score they give a grant (higher is more suspicious).

Each wraps scikit-learn estimators, kept in attributes that end in an underscore.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from scipy import sparse
from sklearn.ensemble import ExtraTreesClassifier, IsolationForest
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer

from agentsim.risk.behaviour import Flags, Floats
from agentsim.risk.catalogue import families
from agentsim.risk.evidence import Evidence
from agentsim.risk.items import ItemEncoder, Items
from agentsim.risk.surprise import ContextualSurprise

#: The plain features: what a grant did and had, without its peers.
COUNTS = ("count", "rate", "refusal", "diversity", "caller", "scope", "tree", "timing")


class Detector(Protocol):
    """Learns what is usual, then scores grants."""

    name: str

    def fit(self, evidence: Evidence) -> Detector:
        """Learn from grants presumed benign."""
        ...

    def score(self, evidence: Evidence) -> Floats:
        """One score per grant; the higher, the more suspicious."""
        ...


def count_forest(seed: int, trees: int = 200) -> Pipeline:
    """Isolation forest over logarithms of features (F. T. Liu et al., ICDM 2008)."""
    # The forest cuts at uniform random places: without logarithms one huge count takes all the cuts.
    return make_pipeline(
        FunctionTransformer(_signed_log, feature_names_out="one-to-one"),
        IsolationForest(n_estimators=trees, random_state=seed),
    )


class Counts:
    """Isolation forest over features of some families."""

    def __init__(self, seed: int, *, wanted: Sequence[str] = COUNTS, name: str = "isolation forest, counts"):
        self.name = name
        self.wanted = families(*wanted)
        self.estimator_ = count_forest(seed)

    def fit(self, evidence: Evidence) -> Counts:
        """Learn the usual features."""
        self.estimator_.fit(self._matrix(evidence))
        return self

    def score(self, evidence: Evidence) -> Floats:
        """Minus the forest's own score: near 1 for what is cut off at once."""
        return -np.asarray(self.estimator_.score_samples(self._matrix(evidence)), dtype=np.float64)

    def _matrix(self, evidence: Evidence) -> Floats:
        kept = [name for name in self.wanted if name in evidence.features.columns]
        return evidence.features[kept].to_numpy(np.float64)


class Novelty:
    """Surprise of what a grant did, given its task, else its role, else the organisation.

    Parameters
    ----------
    order : read the order of tools instead of what was done.
    """

    def __init__(self, *, order: bool = False, name: str = "novelty for the task") -> None:
        self.name = name
        self.order = order
        self.encoder_ = ItemEncoder()
        self.estimator_ = ContextualSurprise(contexts=ItemEncoder.contexts)

    def fit(self, evidence: Evidence) -> Novelty:
        """Learn which words each task, role and the organisation know."""
        self.encoder_.fit(self._items(evidence))
        self.estimator_.fit(self._matrix(evidence))
        return self

    def score(self, evidence: Evidence) -> Floats:
        """Sum of the two largest surprises, in nats; 0 for a grant that did nothing."""
        return -self.estimator_.score_samples(self._matrix(evidence))

    def profile(self, evidence: Evidence) -> Floats:
        """The figures of :data:`agentsim.risk.surprise.PROFILE` per grant."""
        return self.estimator_.profile(self._matrix(evidence))

    def reasons(self, evidence: Evidence, count: int = 3) -> list[list[tuple[str, float]]]:
        """Per grant, its most surprising words with their surprise in nats, most surprising first."""
        row, column, surprise = self.estimator_.surprises(self._matrix(evidence))
        result: list[list[tuple[str, float]]] = [[] for _ in range(len(evidence))]
        for place in np.lexsort((-surprise, row)):
            words = result[row[place]]
            if len(words) < count:
                words.append((self.encoder_.name(int(column[place])), float(surprise[place])))
        return result

    def _items(self, evidence: Evidence) -> Items:
        return evidence.order if self.order else evidence.items

    def _matrix(self, evidence: Evidence) -> sparse.csr_array:
        return self.encoder_.transform(self._items(evidence))


class NoveltyForest:
    """Isolation forest over the profiles of surprise, of what was done and of its order."""

    def __init__(self, seed: int, *, name: str = "isolation forest, novelty") -> None:
        self.name = name
        self.parts_ = (Novelty(), Novelty(order=True))
        self.estimator_ = count_forest(seed)

    def fit(self, evidence: Evidence) -> NoveltyForest:
        """Learn the usual surprises, each grant's from the other half of the trees."""
        halves = _halves(evidence)
        profiles = []
        for learning, judged in (halves, halves[::-1]):
            for part in self.parts_:
                part.fit(evidence.take(learning))
            profiles.append(self._matrix(evidence.take(judged)))
        self.estimator_.fit(np.vstack(profiles))
        for part in self.parts_:
            part.fit(evidence)
        return self

    def score(self, evidence: Evidence) -> Floats:
        """Minus the forest's own score."""
        return -np.asarray(self.estimator_.score_samples(self._matrix(evidence)), dtype=np.float64)

    def _matrix(self, evidence: Evidence) -> Floats:
        return np.hstack([part.profile(evidence) for part in self.parts_])


class Combined:
    """The more alarming of several detectors, each in the ranks of benign grants that it has not seen.

    A score becomes -log10 of the share of held-out benign grants that score at least as high, so that a
    detector speaks up only where it is rarely wrong.
    """

    def __init__(self, seed: int, members: Sequence[Detector], *, name: str = "combined") -> None:
        self.name = name
        self.seed = seed
        self.members_ = tuple(members)

    def fit(self, evidence: Evidence) -> Combined:
        """Fit the members on part of the trees, rank on the others, then fit them on all."""
        learning, ranking = _halves(evidence)
        held_out = evidence.take(ranking)
        self.ranks_ = []
        for member in self.members_:
            self.ranks_.append(np.sort(member.fit(evidence.take(learning)).score(held_out)))
            member.fit(evidence)
        return self

    def score(self, evidence: Evidence) -> Floats:
        """The largest of the members' -log10 tail shares; ties are broken by their sum."""
        tails = []
        for member, known in zip(self.members_, self.ranks_, strict=True):
            above = len(known) - np.searchsorted(known, member.score(evidence), side="left")
            tails.append(-np.log10((1 + above) / (1 + len(known))))
        stacked = np.vstack(tails)
        result: Floats = stacked.max(axis=0) + 1e-3 * stacked.sum(axis=0)
        return result


class Supervised:
    """Extremely randomised trees over counts and surprise, for where labels exist (of other suites, or other seeds).

    It reads no sizes of arguments or results: in recorded benchmarks they give the injection away.
    """

    def __init__(self, seed: int, *, name: str = "supervised, no sizes") -> None:
        self.name = name
        self.estimator_ = ExtraTreesClassifier(n_estimators=300, min_samples_leaf=10, random_state=seed)
        self.wanted = families("count", "rate", "refusal", "diversity", "caller", "scope", "tree")

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


def _signed_log(values: Floats) -> Floats:
    result: Floats = np.sign(values) * np.log1p(np.abs(values))
    return result


def _halves(evidence: Evidence) -> tuple[Flags, Flags]:
    """Two halves of the grants; grants of one tree stay together."""
    first, _ = next(
        GroupShuffleSplit(1, train_size=0.5, random_state=0).split(evidence.tree, groups=evidence.tree)
    )
    chosen = np.zeros(len(evidence), bool)
    chosen[first] = True
    return chosen, ~chosen
