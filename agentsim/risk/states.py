"""States of many entities as arrays, so that one function makes features of them.

Over a whole Run they are made from columns (:mod:`agentsim.risk.folding`), online they are collected from states that
were made event by event.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple
from zlib import crc32

import numpy as np

from agentsim.risk.behaviour import Flags, Ints
from agentsim.risk.reasons import GROUPS, group_of
from agentsim.server.history import OTHERS, GrantState

#: What has a state: a grant, a lineage tree, an agent.
EntityKind = Literal["grant", "tree", "agent"]
KINDS: tuple[EntityKind, ...] = ("grant", "tree", "agent")

#: The plain numbers of a state, by the names of its fields.
NUMBERS = (
    "issued_at",
    "depth",
    "granted_tools",
    "granted_resources",
    "parent_tools",
    "elder_siblings",
    "grants",
    "decisions",
    "verifications",
    "refreshes",
    "introspections",
    "children",
    "own_children",
    "executions",
    "errors",
    "excess",
    "cost",
    "first_at",
    "last_at",
    "pauses",
    "pause_ms",
    "pause_ms2",
    "foreign_lookups",
    "idle_refreshes",
    "longest_run",
    "caller_changes",
    "address_changes",
    "caller_returns",
    "address_returns",
    "namesakes",
    "withdrawn_uses",
    "ended_others",
)


class Marks(NamedTuple):
    """What the members of a state's set are: one entry per member, in the order in which they were first met.

    Attributes
    ----------
    holder : position of the entity.
    code : a number for the name, the same in every Run.
    times : how often, where that is known; else 1.
    """

    holder: Ints
    code: Ints
    times: Ints

    def take(self, mask: Flags) -> Marks:
        """The members of the entities where ``mask`` holds."""
        kept = mask[self.holder]
        return Marks((np.cumsum(mask) - 1)[self.holder[kept]], self.code[kept], self.times[kept])


@dataclass(frozen=True)
class States:
    """States of entities of one kind.

    Attributes
    ----------
    numbers : by name of :data:`NUMBERS`, and ``callers``, ``addresses`` (distinct ones, capped), ``pairs`` (distinct
        pairs of tools, capped).
    refused : refusals by group of :data:`agentsim.risk.reasons.GROUPS`, shape (entities, groups).
    tools : by name; :data:`~agentsim.server.history.OTHERS` among them.
    failures : tools whose executions failed, in no order.
    resources, transitions : resources of calls, and pairs of tools (see :func:`pair_code`).
    names : the text behind the codes of tools and resources.
    """

    numbers: dict[str, Ints]
    refused: Ints
    tools: Marks
    failures: Marks
    resources: Marks
    transitions: Marks
    names: dict[int, str]

    def __len__(self) -> int:
        return len(self.refused)


def name_code(name: str) -> int:
    """A number for a name, the same in every Run."""
    return crc32(name.encode())


def pair_code(before: Ints, after: Ints) -> Ints:
    """A number for two tools that followed each other, from their codes; nothing before is 0."""
    return np.asarray(((before & 0x7FFFFFFF) << 32) | after, np.int64)


OTHERS_CODE = name_code(OTHERS)


def collect(states: Sequence[GrantState]) -> States:
    """The same from states that were made event by event."""
    numbers: dict[str, Ints] = {
        name: np.array([getattr(state, name) for state in states], np.int64).reshape(-1) for name in NUMBERS
    }
    for name in ("callers", "addresses", "pairs"):
        numbers[name] = np.array([len(getattr(state, name)) for state in states], np.int64)
    refused = np.zeros((len(states), len(GROUPS)), np.int64)
    for place, state in enumerate(states):
        for reason, count in state.refused.items():
            refused[place, group_of(reason)] += count
    names = {name_code(name): name for state in states for name in (*state.tools, *state.resources)}
    return States(
        numbers=numbers,
        refused=refused,
        tools=_marks(
            (place, name_code(name), count)
            for place, state in enumerate(states)
            for name, count in state.tools.items()
        ),
        failures=_marks(
            (place, name_code(name), count)
            for place, state in enumerate(states)
            for name, count in state.failures.items()
        ),
        resources=_marks(
            (place, name_code(name), 1) for place, state in enumerate(states) for name in state.resources
        ),
        transitions=_marks(_pairs(states)),
        names=names,
    )


def _pairs(states: Sequence[GrantState]) -> Iterable[tuple[int, int, int]]:
    for place, state in enumerate(states):
        codes = [0, *map(name_code, state.tools)]
        for pair in state.pairs:
            before, after = codes[pair // 64], codes[pair % 64 + 1]
            yield place, ((before & 0x7FFFFFFF) << 32) | after, 1


def _marks(entries: Iterable[tuple[int, int, int]]) -> Marks:
    table = np.array(list(entries), np.int64).reshape(-1, 3)
    return Marks(table[:, 0], table[:, 1], table[:, 2])
