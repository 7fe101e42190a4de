"""Novelty of what was done and of the order in which it was done, in one: a variable-order Markov model.

A step is as surprising as its tool is for the task, and beyond that as the tool is after the one before it; a second use
of a tool as far as a second is rarer than a first. So each surprise is counted once (the chain rule), and what is not known
at the longer history backs off to the shorter (S. M. Katz, IEEE Trans. ASSP 35, 1987), and from the task to the role and
the organisation.
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import IntEnum

import numpy as np
from scipy import sparse

from agentsim.risk.acts import is_look
from agentsim.risk.behaviour import Floats, Ints
from agentsim.risk.evidence import Evidence
from agentsim.risk.items import REPEATS, ItemEncoder, Items
from agentsim.risk.surprise import ContextualSurprise

#: Weight of a surprise at a tool that looks, beside one at a tool that acts.
LOOK = 0.5
#: Weight of a surprise at the order, beside one at the tool.
ORDER = 0.5

_USE = re.compile(r"use (.*) #(\d+)", re.DOTALL)
_STEP = re.compile(r"then (.*) > (.*)", re.DOTALL)
_UNKNOWN = "?"


class WordKind(IntEnum):
    """What a word is about."""

    ACT = 0
    LOOK = 1
    ACT_AGAIN = 2
    LOOK_AGAIN = 3
    STEP_TO_ACT = 4
    STEP_TO_LOOK = 5
    OTHER = 6


_WEIGHTS = np.array([1.0, LOOK, 1.0, LOOK, ORDER, ORDER * LOOK, 1.0])


class ChainEncoder(ItemEncoder):
    """An :class:`ItemEncoder` under which a word that fitting never met keeps what is known of it.

    A step from anywhere to a known tool, another use of it, an unknown tool that acts and one that looks are words of their own.

    Attributes
    ----------
    shorter_, weights_ : per column after the context, as :class:`~agentsim.risk.surprise.ContextualSurprise` takes them.
    kinds_ : per column after the context, its :class:`WordKind`.
    """

    def fit(self, items: Items) -> ChainEncoder:
        """Learn vocabulary, roles and tasks, and what each word makes longer."""
        super().fit(items)
        self.tools_ = {used[1] for word in self.words_ if (used := _USE.fullmatch(word))}
        own = {_use(tool, number + 1) for tool in self.tools_ for number in range(REPEATS)}
        own |= {_step(_UNKNOWN, tool) for tool in self.tools_} | {
            _unknown(look=look) for look in (False, True)
        }
        self.words_ = (*self.words_, *sorted(own - set(self.words_)))
        self.columns_ = {word: self.known + place for place, word in enumerate(self.words_)}
        self.shorter_ = np.array([-1, *(self._shorter(word) for word in self.words_)], np.int64)
        self.kinds_ = np.array([WordKind.OTHER, *map(_kind, self.words_)])
        self.weights_ = _WEIGHTS[self.kinds_]
        return self

    def transform(self, items: Items) -> sparse.csr_array:
        """The matrix, shape (grants, 3 + words); what is beyond an unknown tool's first use is left out."""
        stand_in = [self._stand_in(word) for word in items.words]
        names = tuple(sorted({word for word in stand_in if word is not None}))
        place = {word: number for number, word in enumerate(names)}
        code = np.array([-1 if word is None else place[word] for word in stand_in], np.int64)[items.word]
        return super().transform(
            replace(items, grant=items.grant[code >= 0], word=code[code >= 0], words=names)
        )

    def _shorter(self, word: str) -> int:
        if (used := _USE.fullmatch(word)) and int(used[2]) > 1:
            return self.columns_[_use(used[1], int(used[2]) - 1)] - self.contexts
        if (step := _STEP.fullmatch(word)) and step[2] in self.tools_:
            return self.columns_[_use(step[2], 1)] - self.contexts
        return -1

    def _stand_in(self, word: str) -> str | None:
        if word in self.columns_:
            return word
        if used := _USE.fullmatch(word):
            return _unknown(look=is_look(used[1])) if used[2] == "1" else None
        if step := _STEP.fullmatch(word):
            return _step(_UNKNOWN, step[2]) if step[2] in self.tools_ else None
        return word


class ChainNovelty:
    """Surprise of the tools that a grant used, of using them again, and of their order, given its task.

    Surprises at tools that look weigh half, and so do those at the order.
    """

    def __init__(self) -> None:
        self.name = "novelty in sequence"
        self.encoder_ = ChainEncoder()

    def fit(self, evidence: Evidence) -> ChainNovelty:
        """Learn what each task, each role and the organisation does, and in which order."""
        words = words_in_order(evidence)
        self.encoder_.fit(words)
        self.estimator_ = ContextualSurprise(
            contexts=ChainEncoder.contexts, shorter=self.encoder_.shorter_, weights=self.encoder_.weights_
        ).fit(self.encoder_.transform(words))
        return self

    def score(self, evidence: Evidence) -> Floats:
        """Sum of the two largest surprises, in weighed nats; 0 for a grant that did nothing."""
        return -self.estimator_.score_samples(self.encoder_.transform(words_in_order(evidence)))


def words_in_order(evidence: Evidence) -> Items:
    """The words of what was done and of its order together."""
    items, order = evidence.items, evidence.order
    words = (*items.words, *order.words)
    grant = np.concatenate([items.grant, order.grant])
    word: Ints = np.concatenate([items.word, order.word + len(items.words)])
    return replace(items, grant=grant, word=word, words=words)


def _use(tool: str, number: int) -> str:
    return f"use {tool} #{number}"


def _step(before: str, tool: str) -> str:
    return f"then {before} > {tool}"


def _unknown(*, look: bool) -> str:
    return _use("? that looks" if look else "? that acts", 1)


def _kind(word: str) -> WordKind:
    if used := _USE.fullmatch(word):
        looks = word == _unknown(look=True) or is_look(used[1])
        if int(used[2]) > 1:
            return WordKind.LOOK_AGAIN if looks else WordKind.ACT_AGAIN
        return WordKind.LOOK if looks else WordKind.ACT
    if step := _STEP.fullmatch(word):
        return WordKind.STEP_TO_LOOK if is_look(step[2]) else WordKind.STEP_TO_ACT
    return WordKind.OTHER
