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

#: The plain features: what a grant did and had, without its peers. Outcomes are left out: whoever calls a tool
#: reports them, and an attacker who does not bother would be known by that alone.
COUNTS = ("count", "rate", "refusal", "diversity", "caller", "scope", "tree", "timing")

_TAIL = 0.05


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
        self.wanted = families(*wanted, kind="grant")
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

    def __init__(self, *, order: bool = False) -> None:
        self.name = "novelty of the order" if order else "novelty for the task"
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
        items = self._items(evidence)
        row, column, surprise = self.estimator_.surprises(self.encoder_.transform(items))
        unknown = self.encoder_.unknown(items)
        result: list[list[tuple[str, float]]] = [[] for _ in range(len(evidence))]
        for place in np.lexsort((-surprise, row)):
            grant, known = int(row[place]), int(column[place]) - self.encoder_.known
            # All that fitting never met is one column; each of its words is as surprising as the others.
            names = unknown[grant] if known < 0 else [self.encoder_.words_[known]]
            room = count - len(result[grant])
            result[grant] += [(name, float(surprise[place])) for name in names[:room]]
        return result

    def _items(self, evidence: Evidence) -> Items:
        return evidence.order if self.order else evidence.items

    def _matrix(self, evidence: Evidence) -> sparse.csr_array:
        return self.encoder_.transform(self._items(evidence))


def explain(reference: Evidence, evidence: Evidence, count: int = 3) -> list[list[tuple[str, float]]]:
    """What was most unusual about each grant, in what it did and in which order, measured against a reference.

    Returns
    -------
    Per grant of ``evidence``, up to ``count`` pairs of a word and its surprise in nats, most surprising first.
    """
    parts = [Novelty(order=order).fit(reference).reasons(evidence, count) for order in (False, True)]
    return [
        sorted(done + order, key=lambda reason: -reason[1])[:count]
        for done, order in zip(*parts, strict=True)
    ]


class Combined:
    """The more alarming of several detectors, each on the scale of how rarely benign grants score as high.

    The share of benign grants above a score is counted on trees that the detector has not seen; where those
    become few, beyond their 95th percentile, it is continued by an exponential tail (peaks over threshold:
    J. Pickands, Annals of Statistics 3, 1975, with shape 0), so that what stands out further ranks higher.
    """

    def __init__(self, seed: int, members: Sequence[Detector], *, name: str = "combined") -> None:
        self.name = name
        self.seed = seed
        self.members_ = tuple(members)

    def fit(self, evidence: Evidence) -> Combined:
        """Fit the members on half of the trees, take the tails from the others, then fit the members on all."""
        learning, others = _halves(evidence, self.seed)
        held_out = evidence.take(others)
        self.known_ = []
        for member in self.members_:
            self.known_.append(np.sort(member.fit(evidence.take(learning)).score(held_out)))
            member.fit(evidence)
        return self

    def score(self, evidence: Evidence) -> Floats:
        """The largest -log10 of a member's share of benign grants that score as high."""
        tails = [
            _rarity(known, member.score(evidence))
            for member, known in zip(self.members_, self.known_, strict=True)
        ]
        return np.asarray(np.max(tails, axis=0))


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


def _signed_log(values: Floats) -> Floats:
    result: Floats = np.sign(values) * np.log1p(np.abs(values))
    return result


def _rarity(known: Floats, score: Floats) -> Floats:
    """-log10 of the share of ``known`` (sorted) that is at least as high, its last twentieth smoothed."""
    counted: Floats = -np.log10(
        (1 + len(known) - np.searchsorted(known, score, side="left")) / (1 + len(known))
    )
    start = np.quantile(known, 1 - _TAIL)
    beyond = known[known > start]
    if not len(beyond):
        return counted
    smoothed: Floats = -np.log10(_TAIL) + (score - start) / ((beyond - start).mean() * np.log(10))
    return np.where(score > start, smoothed, np.minimum(counted, -np.log10(_TAIL)))


def _halves(evidence: Evidence, seed: int) -> tuple[Flags, Flags]:
    """Two halves of the grants; grants of one tree stay together."""
    parts = GroupShuffleSplit(1, train_size=0.5, random_state=seed).split(evidence.tree, groups=evidence.tree)
    chosen = np.zeros(len(evidence), bool)
    chosen[next(parts)[0]] = True
    return chosen, ~chosen
