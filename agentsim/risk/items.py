"""What happened in a grant as a set of words, and the matrix that a novelty detector reads.

A word is, say, ``use send_email #2`` (the second successful use of that tool) or ``refused
tool_not_granted``. Counting the first and the second of the same thing apart lets a detector see that a
task which pays once was made to pay twice.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from agentsim.risk.behaviour import Flags, Ints

#: A move to another host is one change; a stolen token goes to and fro.
CHANGES = 4
#: A third use of a tool counts as a second: how often a loop runs says little.
REPEATS = 2


@dataclass(frozen=True)
class Items:
    """Words of a set of grants.

    Attributes
    ----------
    grant, word : one entry per distinct pair: position of the grant, position in ``words``.
    words : the vocabulary.
    role, task : of each grant, in words; an empty task is unknown.
    """

    grant: Ints
    word: Ints
    words: tuple[str, ...]
    role: tuple[str, ...]
    task: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.role)

    def take(self, mask: Flags) -> Items:
        """The grants where ``mask`` holds."""
        place = np.cumsum(mask) - 1
        kept = mask[self.grant]
        chosen = np.flatnonzero(mask)
        return replace(
            self,
            grant=place[self.grant[kept]],
            word=self.word[kept],
            role=tuple(self.role[i] for i in chosen),
            task=tuple(self.task[i] for i in chosen),
        )


def task_kind(task: str) -> str:
    """A task's text without its numbers: *review change 17* and *review change 18* are of one kind."""
    return _NUMBER.sub("#", task)


_NUMBER = re.compile(r"\d+")


class ItemEncoder:
    """Turns words into a sparse matrix: task, role, words never seen, then a column per known word.

    The first two columns are codes (0: not known from fitting). The third counts the words that fitting
    has not met, the others hold 1 where the grant has the word.
    """

    #: Leading columns that are the context, not words.
    contexts = 2
    #: The first column of a known word.
    known = contexts + 1
    #: A task with fewer grants in fitting is known only by its kind.
    min_task = 5

    def fit(self, items: Items) -> ItemEncoder:
        """Learn the vocabulary, the roles and the tasks."""
        present = np.unique(items.word)
        self.words_ = tuple(items.words[i] for i in present)
        self.columns_ = {word: self.known + i for i, word in enumerate(self.words_)}
        self.roles_ = {role: i + 1 for i, role in enumerate(sorted(set(items.role)))}
        often = Counter(zip(items.role, items.task, strict=True))
        exact = {pair for pair, count in often.items() if pair[1] and count >= self.min_task}
        kinds = {(role, task_kind(task)) for role, task in often if task and (role, task) not in exact}
        # Not by pairs: a saved model holds dictionaries by text alone.
        self.tasks_: dict[str, dict[str, int]] = {role: {} for role in self.roles_}
        for code, (role, task) in enumerate(sorted(exact | kinds), start=1):
            self.tasks_[role][task] = code
        return self

    def transform(self, items: Items) -> sparse.csr_array:
        """The matrix, shape (grants, 3 + words)."""
        size = len(items)
        task, role = self.codes(items)
        column = np.array([self.columns_.get(word, self.contexts) for word in items.words], np.int64)
        everyone = np.arange(size)
        rows = np.concatenate([everyone, everyone, items.grant])
        columns = np.concatenate([np.zeros(size, np.int64), np.ones(size, np.int64), column[items.word]])
        values = np.concatenate([task, role, np.ones(len(items.grant))])
        shape = (size, self.known + len(self.words_))
        matrix = sparse.coo_array((values, (rows, columns)), shape=shape).tocsr()
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        return matrix

    def codes(self, items: Items) -> tuple[Ints, Ints]:
        """Codes of each grant's task and of its role."""
        task = [self._task(*pair) for pair in zip(items.role, items.task, strict=True)]
        role = [self.roles_.get(name, 0) for name in items.role]
        return np.array(task, np.int64), np.array(role, np.int64)

    def _task(self, role: str, task: str) -> int:
        known = self.tasks_.get(role, {})
        return known.get(task) or known.get(task_kind(task), 0)

    def unknown(self, items: Items) -> dict[int, list[str]]:
        """The words of each grant that fitting has not met."""
        result: dict[int, list[str]] = {}
        new = np.array([word not in self.columns_ for word in items.words], bool)
        for place in np.flatnonzero(new[items.word]) if len(new) else ():
            result.setdefault(int(items.grant[place]), []).append(items.words[items.word[place]])
        return result
