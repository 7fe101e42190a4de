"""What grants did, told relative to a reference of the same tasks: figures that mean the same in every suite.

A detector that learned from the labels of one suite can read them in another, whose tools it has never heard of.
"""

from __future__ import annotations

import numpy as np

from agentsim.risk.behaviour import Floats, Ints, tally
from agentsim.risk.chain import ChainEncoder, ChainNovelty, WordKind, words_in_order
from agentsim.risk.detectors import Novelty
from agentsim.risk.evidence import Evidence
from agentsim.risk.surprise import ContextualSurprise

#: The columns of :meth:`Relative.table`, in nats unless said otherwise: the score of :class:`~agentsim.risk.chain.ChainNovelty`;
#: the two largest surprises of what was done; the largest surprise at words of each kind; the largest and the two largest of
#: the order; how many of the task's usual standard deviations more it used tools, and acted; the share of what most grants
#: of its task do that it did not do.
COLUMNS = (
    "chain",
    "done_first",
    "done_second",
    "act",
    "look",
    "act_again",
    "look_again",
    "step_to_act",
    "step_to_look",
    "order_first",
    "order_second",
    "more_uses",
    "more_acts",
    "missing",
)

_KINDS = tuple(kind for kind in WordKind if kind is not WordKind.OTHER)
#: Half a use: tasks whose grants all did the same number of things are not told apart by a hair.
_SPREAD = 0.5


class Relative:
    """Learns from a reference of never-attacked grants, and tells others relative to it."""

    def fit(self, reference: Evidence) -> Relative:
        """Learn what each task of the reference needs."""
        self._chain = ChainNovelty().fit(reference)
        self._novelties = Novelty().fit(reference), Novelty(order=True).fit(reference)
        encoder = self._chain.encoder_
        words = encoder.transform(words_in_order(reference))
        # Without weights: those of acts and looks are what is to be learned.
        self._surprise = ContextualSurprise(contexts=encoder.contexts, shorter=encoder.shorter_).fit(words)
        context = self._contexts(reference)
        size = np.maximum(tally(context, self._groups), 1.0)
        self._usual = []
        for amount in self._amounts(reference):
            mean = tally(context, self._groups, amount) / size
            square = tally(context, self._groups, amount**2) / size
            self._usual.append((mean, np.sqrt(np.maximum(square - mean**2, 0.0)) + _SPREAD))
        counts = np.zeros((self._groups, words.shape[1] - encoder.contexts))
        cells = words.tocoo()
        there = cells.col >= encoder.contexts
        np.add.at(counts, (context[cells.row[there]], cells.col[there] - encoder.contexts), 1.0)
        self._needed = (counts / size[:, None] > 0.5) & self._first_uses()
        return self

    def table(self, evidence: Evidence) -> Floats:
        """The figures of :data:`COLUMNS`, shape (grants, columns)."""
        encoder = self._chain.encoder_
        words = encoder.transform(words_in_order(evidence))
        row, column, surprise = self._surprise.surprises(words)
        kind = encoder.kinds_[column - encoder.contexts]
        done, order = (novelty.profile(evidence)[:, :2] for novelty in self._novelties)
        context = self._contexts(evidence)
        more = [
            (amount - mean[context]) / spread[context]
            for amount, (mean, spread) in zip(self._amounts(evidence), self._usual, strict=True)
        ]
        needed = self._needed[context].sum(axis=1)
        had = tally(row, len(evidence), self._needed[context[row], column - encoder.contexts].astype(float))
        return np.column_stack(
            [
                self._chain.score(evidence),
                done[:, 0],
                done[:, 1] - done[:, 0],
                *(_largest(row[kind == one], surprise[kind == one], len(evidence)) for one in _KINDS),
                order[:, 0],
                order[:, 1] - order[:, 0],
                *more,
                1.0 - np.divide(had, needed, out=np.ones(len(evidence)), where=needed > 0),
            ]
        )

    @property
    def _tasks(self) -> int:
        return sum(map(len, self._chain.encoder_.tasks_.values()))

    @property
    def _groups(self) -> int:
        return self._tasks + len(self._chain.encoder_.roles_) + 1

    def _contexts(self, evidence: Evidence) -> Ints:
        """A code per grant for its task, else for its role, else 0."""
        encoder = self._chain.encoder_
        task, role = encoder.codes(evidence.items)
        return np.where(task > 0, task, np.where(role > 0, role + self._tasks, 0))

    def _amounts(self, evidence: Evidence) -> tuple[Floats, Floats]:
        """How many uses of tools, and acts, each grant has; a third use of the same tool is not counted."""
        words = self._chain.encoder_.transform(words_in_order(evidence)).tocoo()
        there = words.col >= ChainEncoder.contexts
        row, times = words.row[there], words.data[there]
        kind = self._chain.encoder_.kinds_[words.col[there] - ChainEncoder.contexts]
        acts = (kind == WordKind.ACT) | (kind == WordKind.ACT_AGAIN)
        uses = acts | (kind == WordKind.LOOK) | (kind == WordKind.LOOK_AGAIN)
        return tally(row, len(evidence), times * uses), tally(row, len(evidence), times * acts)

    def _first_uses(self) -> np.ndarray:
        kinds = self._chain.encoder_.kinds_
        return np.asarray((kinds == WordKind.ACT) | (kinds == WordKind.LOOK))


def _largest(row: Ints, surprise: Floats, size: int) -> Floats:
    result = np.zeros(size)
    np.maximum.at(result, row, surprise)
    return result
