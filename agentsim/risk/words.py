"""What a grant's state tells, as words: what :class:`~agentsim.risk.surprise.ContextualSurprise` is surprised at.

A word is, say, ``use send_email #2`` (the second successful use of that tool) or ``refused not_granted #1``. Counting the
first and the second of the same thing apart lets a detector see that a task which pays once was made to pay twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from agentsim.risk.behaviour import Ints
from agentsim.risk.items import CHANGES, REPEATS, Items
from agentsim.risk.reasons import GROUPS
from agentsim.risk.states import Marks, States

_Words = tuple[Ints, Ints, list[str]]


def state_items(states: States, roles: Sequence[str], tasks: Sequence[str], channels: Sequence[str]) -> Items:
    """The words of every entity.

    Parameters
    ----------
    states : of entities of one kind.
    roles, tasks : of each; an empty task is unknown.
    channels : any of ``CHANNELS``: ``use``, ``transition``, ``resource``, ``refusal``, ``caller``.
    """
    holders: list[Ints] = []
    words: list[Ints] = []
    texts: list[str] = []
    for name in channels:
        holder, word, vocabulary = CHANNELS[name](states)
        holders.append(holder)
        words.append(word + len(texts))
        texts += vocabulary
    if not channels:
        return Items(np.zeros(0, np.int64), np.zeros(0, np.int64), (), tuple(roles), tuple(tasks))
    order = np.argsort(np.array(texts, dtype=object), kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    width = max(len(texts), 1)
    pair = np.unique(np.concatenate(holders) * width + rank[np.concatenate(words)])
    return Items(
        grant=pair // width,
        word=pair % width,
        words=tuple(texts[place] for place in order),
        role=tuple(roles),
        task=tuple(tasks),
    )


def _uses(states: States) -> _Words:
    """Tools that worked: a call that failed achieved nothing."""
    tools, failed = states.tools, states.failures
    codes, code = np.unique(tools.code, return_inverse=True)
    known = np.isin(failed.code, codes)
    key = failed.holder[known] * len(codes) + np.searchsorted(codes, failed.code[known])
    order = np.argsort(key)
    mine = tools.holder * len(codes) + code
    found = np.minimum(np.searchsorted(key[order], mine), len(key) - 1)
    lost = np.where(key[order][found] == mine, failed.times[known][order][found], 0) if len(key) else 0
    worked = tools.times - lost
    return _numbered(
        tools.holder, code, worked, [f"use {states.names[int(each)]}" for each in codes], REPEATS
    )


def _resources(states: States) -> _Words:
    return _named(states.resources, states, "on")


def _refusals(states: States) -> _Words:
    holder, group = np.nonzero(states.refused)
    texts = [f"refused {name}" for name in GROUPS]
    return _numbered(holder, group, states.refused[holder, group], texts, REPEATS)


def _callers(states: States) -> _Words:
    """``caller changed #2`` where a grant's tokens came back from elsewhere a second time: who it was is no word."""
    parts = [states.numbers["caller_changes"], states.numbers["address_changes"]]
    holder = np.concatenate([np.flatnonzero(part) for part in parts])
    which = np.repeat([0, 1], [int((part > 0).sum()) for part in parts])
    times = np.concatenate([part[part > 0] for part in parts])
    return _numbered(holder, which, times, ["caller changed", "source_ip changed"], CHANGES)


def _transitions(states: States) -> _Words:
    short = {0: "start"} | {code & 0x7FFFFFFF: name for code, name in states.names.items()}
    codes, code = np.unique(states.transitions.code, return_inverse=True)
    texts = [f"then {short[int(each) >> 32]} > {states.names[int(each) & 0xFFFFFFFF]}" for each in codes]
    return states.transitions.holder, code, texts


CHANNELS: dict[str, Callable[[States], _Words]] = {
    "use": _uses,
    "transition": _transitions,
    "resource": _resources,
    "refusal": _refusals,
    "caller": _callers,
}


def _named(marks: Marks, states: States, verb: str) -> _Words:
    codes, code = np.unique(marks.code, return_inverse=True)
    return marks.holder, code, [f"{verb} {states.names[int(each)]}" for each in codes]


def _numbered(holder: Ints, code: Ints, times: Ints, texts: list[str], most: int) -> _Words:
    """Words for the first, the second … up to ``most`` times."""
    holders, words = [], []
    for number in range(most):
        reached = times > number
        holders.append(holder[reached])
        words.append(code[reached] * most + number)
    vocabulary = [f"{text} #{number + 1}" for text in texts for number in range(most)]
    return np.concatenate(holders), np.concatenate(words), vocabulary
