"""What happened in a grant as a set of words, and the matrix that a novelty detector reads.

A word is, say, ``use send_email #2`` (the second successful use of that tool) or ``refused
tool_not_granted``. Counting the first and the second of the same thing apart lets a detector see that a
task which pays once was made to pay twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import sparse

from agentsim.risk.behaviour import Behaviour, Flags, Ints, ordinal
from agentsim.risk.sequences import changes, codes, transitions

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


def grant_items(behaviour: Behaviour, channels: Sequence[str]) -> Items:
    """The words of every grant.

    Parameters
    ----------
    behaviour : what the grants did.
    channels : any of ``CHANNELS``: ``use``, ``transition``, ``resource``, ``refusal``, ``caller``.
    """
    parts = [CHANNELS[name](behaviour) for name in channels]
    grant = np.concatenate([holder for holder, _ in parts])
    word = pd.concat([text for _, text in parts], ignore_index=True).astype("category")
    width = max(len(word.cat.categories), 1)
    pair = np.unique(grant * width + codes(word))
    return Items(
        grant=pair // width,
        word=pair % width,
        words=tuple(word.cat.categories),
        role=tuple(behaviour.grants["role"]),
        task=tuple(behaviour.grants["task"]),
    )


_Words = tuple[Ints, "pd.Series[str]"]


def _uses(behaviour: Behaviour) -> _Words:
    # A call that failed achieved nothing: only what worked can be an attack that succeeded.
    uses = behaviour.uses[behaviour.uses["ok"]]
    return _numbered(uses["grant"], codes(uses["tool"]), uses["tool"], "use")


def _transitions(behaviour: Behaviour) -> _Words:
    grant, pair = transitions(behaviour)
    names = np.array(["start", *behaviour.uses["tool"].cat.categories], dtype=object)
    width = max(len(names) - 1, 1)
    known, inverse = np.unique(pair, return_inverse=True)
    text = np.array(
        [f"then {names[code // width]} > {names[code % width + 1]}" for code in known], dtype=object
    )
    return grant, pd.Series(text[inverse], dtype=object)


def _resources(behaviour: Behaviour) -> _Words:
    uses = behaviour.uses[behaviour.uses["ok"]]
    return uses["grant"].to_numpy(np.int64), _named(uses["resource"], "on ")


def _refusals(behaviour: Behaviour) -> _Words:
    events = behaviour.events
    refused = events[
        ~events["granted"] & (events["kind"] != "execute") & events["reason"].notna() & (events["grant"] >= 0)
    ]
    return _numbered(refused["grant"], codes(refused["reason"]), refused["reason"], "refused")


def _callers(behaviour: Behaviour) -> _Words:
    """``caller changed #2`` where a grant's tokens came back from elsewhere a second time: who it was is no word."""
    holders: list[Ints] = []
    texts: list[pd.Series[str]] = []
    for column in ("caller", "source_ip"):
        grant = changes(behaviour, column)
        number = np.minimum(ordinal(grant), CHANGES - 1) + 1
        holders.append(grant)
        texts.append(pd.Series([f"{column} changed #{n}" for n in number], dtype=object))
    return np.concatenate(holders), pd.concat(texts, ignore_index=True)


CHANNELS: dict[str, Callable[[Behaviour], _Words]] = {
    "use": _uses,
    "transition": _transitions,
    "resource": _resources,
    "refusal": _refusals,
    "caller": _callers,
}


def _numbered(grant: pd.Series, code: Ints, name: pd.Series, verb: str) -> _Words:
    holder = grant.to_numpy(np.int64)
    number = np.minimum(ordinal(holder * (int(code.max(initial=0)) + 1) + code), REPEATS - 1)
    # Text is made once for each name and number, then spread by code.
    names = np.array([f"{verb} {text}" for text in name.cat.categories], dtype=object)
    texts = np.array([f"{text} #{n + 1}" for text in names for n in range(REPEATS)], dtype=object)
    spread = texts[code * REPEATS + number] if len(texts) else np.zeros(0, object)
    return holder, pd.Series(spread, dtype=object)


def _named(column: pd.Series, prefix: str) -> pd.Series[str]:
    texts = np.array([f"{prefix}{text}" for text in column.cat.categories], dtype=object)
    return pd.Series(texts[codes(column)] if len(texts) else np.zeros(0, object), dtype=object)


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
