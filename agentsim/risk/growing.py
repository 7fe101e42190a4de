"""Features that only grow, of one grant at a time and without arrays: what can be asked while a token is verified.

Since they never fall, a grant scores highest at its end: what share of honest grants ever reaches a score is known
from finished ones. They are the same as those of :func:`agentsim.risk.features.features`, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable

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


class Growing:
    """Makes the features ``GROWING`` of states.

    Parameters
    ----------
    peers : what grants are compared with.
    """

    def __init__(self, peers: Peers) -> None:
        self._oddities = peers.oddities()
        self._contexts: dict[tuple[str, str], tuple[int, int]] = {}
        self._codes: dict[str, int] = {}

    def of(self, state: GrantState, role: str, task: str) -> list[float]:
        """The features of one state, in the order of ``GROWING``."""
        refused = [0] * len(GROUPS)
        for reason, count in state.refused.items():
            refused[group_of(reason)] += count
        tools = state.tools
        return [
            state.verifications,
            state.refreshes,
            state.introspections,
            state.foreign_lookups,
            state.idle_refreshes,
            state.children,
            state.own_children,
            *refused,
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
            *self._compared(state, role, task),
        ]

    def _compared(self, state: GrantState, role: str, task: str) -> Iterable[int]:
        contexts = self._contexts_of(role, task)
        known = [self._code(tool) for tool in state.tools]
        things = {
            "tools": [code for tool, code in zip(state.tools, known, strict=True) if tool != OTHERS],
            "resources": [self._code(name) for name in state.resources],
            "transitions": self._transitions(state, known),
        }
        for what in WHAT:
            for whose, context in zip(WHOSE, contexts, strict=True):
                new = rare = 0
                table = self._oddities[f"{what}_{whose}"].get(context)
                # Where there are no peers, nothing can be new.
                if table is not None:
                    for thing in things[what]:
                        oddity = table.get(thing, 2)
                        new += oddity == 2
                        rare += oddity > 0
                yield new
                yield rare

    def _transitions(self, state: GrantState, known: list[int]) -> list[int]:
        others = list(state.tools).index(OTHERS) if OTHERS in state.tools else -2
        codes = [0, *known]
        return [
            ((codes[pair >> 6] & 0x7FFFFFFF) << 32) | codes[(pair & 63) + 1]
            for pair in state.pairs
            if (pair >> 6) - 1 != others and pair & 63 != others
        ]

    def _code(self, name: str) -> int:
        code = self._codes.get(name)
        if code is None:
            code = self._codes[name] = name_code(name)
        return code

    def _contexts_of(self, role: str, task: str) -> tuple[int, int]:
        contexts = self._contexts.get((role, task))
        if contexts is None:
            if len(self._contexts) > 100_000:
                self._contexts.clear()
            contexts = self._contexts[role, task] = name_code(role), task_code(role, task)
        return contexts
