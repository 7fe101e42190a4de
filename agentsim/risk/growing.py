"""Features that only grow, of one grant at a time and without arrays: what can be asked while a token is verified.

Since they never fall, a grant scores highest at its end: what share of honest grants ever reaches a score is known
from finished ones. They are the same as those of :func:`agentsim.risk.features.features`, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from agentsim.risk.peers import WHAT, WHOSE, Peers, task_code
from agentsim.risk.reasons import GROUPS, group_of
from agentsim.risk.states import name_code
from agentsim.server.history import OTHERS, GrantState

GROWING = (
    "verifies",
    "refreshes",
    "introspections",
    "foreign_lookups",
    "idle_refreshes",
    "children",
    "own_children",
    *(f"refused_{group}" for group in GROUPS),
    "excess_asked",
    "tools",
    "resources",
    "most_repeats",
    "longest_run",
    "transitions",
    "callers",
    "source_ips",
    "caller_changes",
    "address_changes",
    "caller_returns",
    "address_returns",
    *(f"{what}_{how}_{whose}" for what in WHAT for whose in WHOSE for how in ("new", "rare")),
)

#: Tasks, and contexts with what was met there, that are remembered: those asked for longest ago are forgotten.
_MOST_TASKS = 65_536
_MOST_CONTEXTS = 512
#: Tools, resources and pairs that are remembered of a context.
_MOST_THINGS = 1_024
#: Members of a set are counted in one sum, a byte for each of WHOSE and of new and rare: no set of a state is so large
#: that a byte overflows.
_BYTES = 2 * len(WHOSE)
_NO_REFUSALS = (0,) * len(GROUPS)
_Thing = TypeVar("_Thing", str, tuple[str, str])
#: Codes of a role and of a task; None where there are no peers.
_Contexts = tuple[int | None, ...]


class Growing:
    """Makes the features ``GROWING`` of states.

    Parameters
    ----------
    peers : what grants are compared with.
    """

    def __init__(self, peers: Peers) -> None:
        self._tables = peers.oddities()
        self._contexts = lru_cache(_MOST_TASKS)(self._find_contexts)
        self._oddities = lru_cache(_MOST_CONTEXTS)(self._open)

    def of(self, state: GrantState, role: str, task: str) -> tuple[int, ...]:
        """The features of one state, in the order of ``GROWING``."""
        tools = state.tools
        odd_tools, odd_resources, odd_pairs = self._oddities(self._contexts(role, task))
        names = ("", *tools)
        return (
            state.verifications,
            state.refreshes,
            state.introspections,
            state.foreign_lookups,
            state.idle_refreshes,
            state.children,
            state.own_children,
            *(_by_group(state.refused) if state.refused else _NO_REFUSALS),
            state.excess,
            len(tools),
            len(state.resources),
            max(tools.values(), default=0),
            state.longest_run,
            len(state.pairs),
            len(state.callers),
            len(state.addresses),
            state.caller_changes,
            state.address_changes,
            state.caller_returns,
            state.address_returns,
            *sum(map(odd_tools.__getitem__, tools)).to_bytes(_BYTES, "little"),
            *sum(map(odd_resources.__getitem__, state.resources)).to_bytes(_BYTES, "little"),
            *sum([odd_pairs[names[pair >> 6], names[(pair & 63) + 1]] for pair in state.pairs]).to_bytes(
                _BYTES, "little"
            ),
        )

    def _find_contexts(self, role: str, task: str) -> _Contexts:
        """The codes of what a grant is compared with; None where there are no peers, whatever it is called."""
        codes = name_code(role), task_code(role, task)
        return tuple(
            code if code in self._tables[f"{WHAT[0]}_{whose}"] else None
            for whose, code in zip(WHOSE, codes, strict=True)
        )

    def _open(self, contexts: _Contexts) -> tuple[_Odd[str], _Odd[str], _Odd[tuple[str, str]]]:
        """What is odd among ``WHAT``, by names."""

        def odd(what: str, name: str) -> int:
            return self._odd(what, contexts, name_code(name))

        def pair(names: tuple[str, str]) -> int:
            before, after = map(name_code, names)
            code = ((before & 0x7FFFFFFF) << 32) | after
            return 0 if OTHERS in names else self._odd("transitions", contexts, code)

        return (
            _Odd(lambda name: 0 if name == OTHERS else odd("tools", name)),
            _Odd(lambda name: odd("resources", name)),
            _Odd(pair),
        )

    def _odd(self, what: str, contexts: _Contexts, thing: int) -> int:
        """A byte for each of WHOSE that says whether a thing is new there, and one that says whether it is rare."""
        told: list[bool] = []
        for whose, context in zip(WHOSE, contexts, strict=True):
            # Where there are no peers, nothing can be new.
            oddity = 0 if context is None else self._tables[f"{what}_{whose}"][context].get(thing, 2)
            told += (oddity == 2, oddity > 0)
        return int.from_bytes(bytes(told), "little")


class _Odd(dict[_Thing, int]):
    """How odd things are, as far as somebody has asked."""

    def __init__(self, find: Callable[[_Thing], int]) -> None:
        super().__init__()
        self._find: Callable[[_Thing], int] = find

    def __missing__(self, thing: _Thing) -> int:
        if len(self) >= _MOST_THINGS:
            self.clear()
        odd = self[thing] = self._find(thing)
        return odd


def _by_group(refused: dict[str, int]) -> list[int]:
    counts = [0] * len(GROUPS)
    for reason, count in refused.items():
        counts[group_of(reason)] += count
    return counts
