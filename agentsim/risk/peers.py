"""What an entity did that its peers do not do: grants of its role, or of its task, in a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agentsim.risk.behaviour import Floats, Ints, tally
from agentsim.risk.items import task_kind
from agentsim.risk.states import OTHERS_CODE, Marks, States, name_code

#: Below this share of the peers, what was done is rare among them.
RARE = 0.01
#: What is compared, and with whom.
WHAT = ("tools", "resources", "transitions")
WHOSE = ("role", "task")


@dataclass(frozen=True)
class Habits:
    """How many grants of a context have each thing.

    Attributes
    ----------
    contexts, sizes : codes of contexts, sorted, and how many grants each has.
    things : codes of all things, sorted.
    keys, counts : ``place of the context * number of things + place of the thing``, sorted, and grants that have it.
    """

    contexts: Ints
    sizes: Ints
    things: Ints
    keys: Ints
    counts: Ints


@dataclass(frozen=True)
class Peers:
    """What the grants of a reference did, by role and by task.

    Attributes
    ----------
    tables : by what is compared and with whom: ``tools_role`` and so on.
    """

    tables: dict[str, Habits]

    @classmethod
    def of(cls, states: States, roles: Sequence[str], tasks: Sequence[str]) -> Peers:
        """Learn from grants."""
        contexts = context_codes(roles, tasks)
        return cls(
            {
                f"{what}_{whose}": _habits(_things(states, what), contexts[whose])
                for what in WHAT
                for whose in WHOSE
            }
        )

    def compare(
        self, states: States, roles: Sequence[str], tasks: Sequence[str], *, among: bool = False
    ) -> dict[str, Floats]:
        """Features of the family ``peer``; ``among``: the entities are the reference, and none is its own peer."""
        contexts = context_codes(roles, tasks)
        result: dict[str, Floats] = {}
        for what in WHAT:
            things = _things(states, what)
            for whose in WHOSE:
                share = _share(self.tables[f"{what}_{whose}"], things, contexts[whose], among=among)
                for how, unusual in (("new", share == 0), ("rare", share < RARE)):
                    result[f"{what}_{how}_{whose}"] = tally(things.holder[unusual], len(states))
        return result

    def oddities(self) -> dict[str, dict[int, dict[int, int]]]:
        """For one look-up at a time: by what and whose, context and thing: 1 where it is rare, 0 where it is not.

        What a context does not have there is new to it; contexts without peers are left out.
        """
        return {name: _oddities(table) for name, table in self.tables.items()}


def task_code(role: str, task: str) -> int:
    """A number for a task of a role: what differs in numbers alone, as cases do, is the same task."""
    return name_code(f"{role}\n{task_kind(task)}")


def context_codes(roles: Sequence[str], tasks: Sequence[str]) -> dict[str, Ints]:
    """A number per entity for its role and for its task; the same words under another role are another task."""
    pairs = list(zip(roles, tasks, strict=True))
    known = {pair: (name_code(pair[0]), task_code(*pair)) for pair in set(pairs)}
    codes = np.array([known[pair] for pair in pairs], np.int64).reshape(-1, 2)
    return {"role": codes[:, 0], "task": codes[:, 1]}


def _things(states: States, what: str) -> Marks:
    """Tools, resources or pairs of tools; what had no place in the state is left out."""
    marks: Marks = getattr(states, what)
    if what == "resources":
        return marks
    if what == "tools":
        known = marks.code != OTHERS_CODE
    else:
        known = ((marks.code >> 32) != (OTHERS_CODE & 0x7FFFFFFF)) & (
            (marks.code & 0xFFFFFFFF) != OTHERS_CODE
        )
    return Marks(marks.holder[known], marks.code[known], marks.times[known])


def _habits(things: Marks, context: Ints) -> Habits:
    contexts, sizes = np.unique(context, return_counts=True)
    known = np.unique(things.code)
    place = np.searchsorted(contexts, context)[things.holder]
    keys, counts = np.unique(place * len(known) + np.searchsorted(known, things.code), return_counts=True)
    return Habits(contexts, sizes, known, keys, counts)


def _share(table: Habits, things: Marks, context: Ints, *, among: bool) -> Floats:
    """Share of the peers that have each thing; 1 where there are no peers: then nothing can be new."""
    place, is_known = _find(table.contexts, context)
    size = np.where(is_known, table.sizes[place], 0)[things.holder] if len(table.sizes) else 0 * things.holder
    thing, met = _find(table.things, things.code)
    key, counted = _find(table.keys, place[things.holder] * len(table.things) + thing)
    counted &= met & is_known[things.holder]
    having = np.where(counted, table.counts[key], 0) if len(table.counts) else np.zeros(len(key), np.int64)
    others = size - among
    share = np.ones(len(things.holder))
    np.divide(having - among, others, out=share, where=others > 0)
    return share


def _oddities(table: Habits) -> dict[int, dict[int, int]]:
    result: dict[int, dict[int, int]] = {context: {} for context in table.contexts.tolist()}
    place, thing = np.divmod(table.keys, max(len(table.things), 1))
    rare = table.counts / table.sizes[place] < RARE
    for context, code, is_rare in zip(
        table.contexts[place].tolist(), table.things[thing].tolist(), rare.tolist(), strict=True
    ):
        result[context][code] = int(is_rare)
    return result


def _find(ordered: Ints, wanted: Ints) -> tuple[Ints, np.ndarray]:
    """Where each number stands in a sorted array, and whether it does."""
    if not len(ordered):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    place = np.minimum(np.searchsorted(ordered, wanted), len(ordered) - 1)
    return place, ordered[place] == wanted
