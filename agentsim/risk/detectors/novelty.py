"""Novelty: surprise of what a grant did, and of the order in which it did so."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from agentsim.risk.behaviour import Floats
from agentsim.risk.evidence import Evidence
from agentsim.risk.items import ItemEncoder, Items
from agentsim.risk.surprise import ContextualSurprise


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
