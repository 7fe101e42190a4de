"""How surprising is what a grant did, for its task, else for its role, else for the organisation.

A word that the task's earlier grants had is as likely as their share. For one that none of them had, the
right question is not how common the word is, but how often it turns up in a task that did not have it
before: searching again is such a thing all the time, paying is not. That rate is estimated as Good and
Turing do, from the words that exactly one grant of a task has (I. J. Good, Biometrika 40, 1953).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from agentsim.risk.behaviour import Flags, Floats, Ints, tally

#: The columns of :meth:`ContextualSurprise.profile`.
PROFILE = ("largest", "top", "total", "mean", "unseen")

_OFFSET_PERCENTILE = 1.0


class ContextualSurprise(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Surprise of the words of a row, given the context that its first columns name.

    Parameters
    ----------
    contexts : leading columns that hold codes of the context: 0 none, 1 role, 2 task and role. Code 0 is unknown.
    strength : weight, in grants, of what is expected in general where a task's grants have a word themselves.
    credit : weight, in grants, of the general rate of new words against a word's own.
    min_task : a task with fewer grants than this is treated as unknown.
    top : a row's score is the sum of its ``top`` largest surprises.
    shorter : per word, the place of the word that it makes longer (the second use of a tool: its first; a step from one
        tool to another: the use of that other), -1 for none. Only what it is more surprising than the shorter one counts,
        so that nothing is counted twice, and it counts for nothing where the shorter one is not there. None: no word has one.
    weights : per word, what a surprise at it weighs; all 1 when None.

    Attributes
    ----------
    offset_ : score that one training row in a hundred stays below: what does is predicted as an outlier. A place
        to start from; an alert budget sets the threshold that is used.
    """

    def __init__(
        self,
        *,
        contexts: int = 0,
        strength: float = 3.0,
        credit: float = 5.0,
        min_task: int = 5,
        top: int = 2,
        shorter: Ints | None = None,
        weights: Floats | None = None,
    ) -> None:
        self.contexts = contexts
        self.strength = strength
        self.credit = credit
        self.min_task = min_task
        self.top = top
        self.shorter = shorter
        self.weights = weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def fit(self, X: Any, y: Any = None) -> ContextualSurprise:  # noqa: N803
        """Count words per task and per role.

        Parameters
        ----------
        X : array or sparse matrix, shape (grants, contexts + words); a word is there where it is positive.
        y : ignored.
        """
        matrix = validate_data(self, X, accept_sparse="csr", ensure_min_features=self.contexts + 1)
        words, task, role = self._split(matrix)
        present = sparse.csr_array(
            ((words.data > 0).astype(float), words.indices, words.indptr), shape=words.shape
        )
        self.roles_ = int(role.max(initial=0)) + 1
        self.role_size_, by_role = _grouped(present, role, self.roles_)
        self.role_count_ = by_role.toarray()
        self.size_ = len(task)
        self.share_ = (self.role_count_.sum(axis=0) + 0.5) / (self.size_ + 1)
        self.task_size_, self.task_count_ = _grouped(present, task, int(task.max(initial=0)) + 1)
        self.new_share_ = self._new_share(task, role)
        self.offset_ = float(np.percentile(self.score_samples(X), _OFFSET_PERCENTILE))
        return self

    def score_samples(self, X: Any) -> Floats:  # noqa: N803
        """Minus the sum of the ``top`` largest surprises of each row: the lower, the less usual."""
        return -self._cells(X).largest(self.top)

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """Scores less ``offset_``: negative for outliers."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Ints:  # noqa: N803
        """-1 for rows below ``offset_``, else 1."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def profile(self, X: Any) -> Floats:  # noqa: N803
        """Largest, ``top`` largest, total and mean surprise, and words never seen in the context, per row."""
        cells = self._cells(X)
        total = tally(cells.row, cells.size, cells.surprise * cells.times)
        number = tally(cells.row, cells.size, cells.times)
        unseen = tally(cells.row, cells.size, cells.times * cells.unseen)
        mean = np.divide(total, number, out=np.zeros(cells.size), where=number > 0)
        return np.column_stack([cells.largest(1), cells.largest(self.top), total, mean, unseen])

    def surprises(self, X: Any) -> tuple[Ints, Ints, Floats]:  # noqa: N803
        """Row, column of ``X`` and surprise (nats) of every word that is there."""
        cells = self._cells(X)
        return cells.row, cells.column + self.contexts, cells.surprise

    def _split(self, matrix: Any) -> tuple[sparse.csr_array, Ints, Ints]:
        matrix = sparse.csr_array(matrix)
        codes = [
            np.maximum(matrix[:, [i]].toarray().ravel().astype(np.int64), 0) for i in range(self.contexts)
        ]
        nothing = np.zeros(matrix.shape[0], np.int64)
        role = codes[-1] if codes else nothing
        task = codes[0] if self.contexts > 1 else nothing
        return sparse.csr_array(matrix[:, self.contexts :]), task, role

    def _new_share(self, task: Ints, role: Ints) -> Floats:
        """How often a grant has a word that no other grant of its task has, per role and word."""
        tasks = len(self.task_size_)
        role_of = np.zeros(tasks, np.int64)
        role_of[task] = role
        # Tasks of one grant have no others to compare with; code 0 is no task.
        usable = (self.task_size_ >= 2) & (np.arange(tasks) > 0)
        exposed = tally(role_of, self.roles_, self.task_size_ * usable)
        cells = self.task_count_.tocoo()
        kept = usable[cells.row]
        row, column, count = cells.row[kept], cells.col[kept], cells.data[kept]
        shape = (self.roles_, self.task_count_.shape[1])
        single, hidden = np.zeros(shape), np.zeros(shape)
        np.add.at(single, (role_of[row], column), count == 1)
        np.add.at(hidden, (role_of[row], column), self.task_size_[row] - (count == 1))
        chances = exposed[:, None] - hidden
        overall = (single.sum(axis=0) + 0.5) / (chances.sum(axis=0) + 1.0)
        result: Floats = (single + self.credit * overall) / (chances + self.credit)
        return np.maximum(result, _least(chances))

    def _cells(self, X: Any) -> _Cells:  # noqa: N803
        check_is_fitted(self)
        words, task, role = self._split(validate_data(self, X, accept_sparse="csr", reset=False))
        cells = words.tocoo()
        there = cells.data > 0
        row, column = cells.row[there].astype(np.int64), cells.col[there].astype(np.int64)
        task = np.where(task < len(self.task_size_), task, 0)[row]
        role = np.where(role < self.roles_, role, 0)[row]
        count, seen = _lookup(self.task_count_, task, column), self.role_count_[role, column]
        expected = self.new_share_[role, column]
        # For a word new to the task its grants have had their say already: they are the chances in `expected`.
        of_task = (count + self.strength * expected) / (self.task_size_[task] + self.strength)
        of_task = np.where(count > 0, of_task, expected)
        of_role = (seen + self.strength * self.share_[column]) / (self.role_size_[role] + self.strength)
        of_role = np.maximum(of_role, _least(self.role_size_[role]))
        known = (task > 0) & (self.task_size_[task] >= self.min_task)
        surprise = -np.log(np.where(known, of_task, of_role))
        if self.shorter is not None:
            surprise = _beyond_shorter(row, column, surprise, np.asarray(self.shorter), words.shape)
        if self.weights is not None:
            surprise = surprise * np.asarray(self.weights)[column]
        return _Cells(
            size=words.shape[0],
            row=row,
            column=column,
            times=np.maximum(np.round(cells.data[there]), 1.0),
            surprise=surprise,
            unseen=np.where(known, count, seen) == 0,
        )


class _Cells(NamedTuple):
    """The words that are there, one entry each."""

    size: int
    row: Ints
    column: Ints
    times: Floats
    surprise: Floats
    unseen: Flags

    def largest(self, top: int) -> Floats:
        """Per row, the sum of its ``top`` largest surprises."""
        order = np.lexsort((-self.surprise, self.row))
        row, times = self.row[order], self.times[order]
        before = np.cumsum(times) - times
        first = np.searchsorted(row, row, side="left")
        counted = np.clip(top - (before - before[first]), 0.0, times) if len(row) else times
        return tally(row, self.size, self.surprise[order] * counted)


def _beyond_shorter(
    row: Ints, column: Ints, surprise: Floats, shorter: Ints, shape: tuple[int, int]
) -> Floats:
    """What each word is more surprising than the shorter word in its row."""
    wanted = shorter[column]
    longer = wanted >= 0
    # One is added, so that a word that is there and expected is told from one that is not there.
    there = sparse.coo_array((surprise + 1.0, (row, column)), shape=shape).tocsr()
    known = _lookup(there, row[longer], wanted[longer])
    result = surprise.copy()
    result[longer] = np.where(known > 0, np.maximum(surprise[longer] - (known - 1.0), 0.0), 0.0)
    return result


def _least(chances: Floats) -> Floats:
    """So many chances cannot show that something is less likely than this (Jeffreys' half a case)."""
    result: Floats = 0.5 / (chances + 1.0)
    return result


def _grouped(present: sparse.csr_array, group: Ints, groups: int) -> tuple[Floats, sparse.csr_array]:
    """Rows per group, and rows per group that have each word."""
    size = len(group)
    member = sparse.csr_array((np.ones(size), (group, np.arange(size))), shape=(groups, size))
    counts = sparse.csr_array(member @ present)
    # A product's columns come in any order; sorted, each look-up is a binary search.
    counts.sort_indices()
    return tally(group, groups), counts


def _lookup(matrix: sparse.csr_array, row: Ints, column: Ints) -> Floats:
    if not len(row):
        return np.zeros(0)
    return np.asarray(matrix[row, column], dtype=float).ravel()
