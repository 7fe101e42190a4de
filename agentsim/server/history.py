"""What a grant has done so far: a small state of integers and capped sets.

The state is a fold of audit rows: whoever reads the rows later can make the same one again. Whole trees and agents have
such a state, too, where somebody follows the rows; the server keeps those of grants.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Protocol, TypeVar
from zlib import crc32

import orjson

#: How many different tools a state counts by name; the rest count together. No tool has a blank in its name.
MOST_TOOLS = 32
OTHERS = "other tools"
#: How many different resources, pairs of tools, callers and addresses a state remembers; further ones are not counted.
MOST_RESOURCES = 64
MOST_PAIRS = 64
MOST_PARTIES = 16
#: A pause that is longer counts as this long, milliseconds: an hour.
LONGEST_PAUSE_MS = 3_600_000
#: How much of a task's description is kept, and of the names of the resources of a call.
TASK_TEXT = 200
RESOURCE_TEXT = 200

#: Events that are a grant's own doing, beside its issue. What happens to it because somebody ended it is not.
DOINGS = frozenset(
    {"token_verified", "task_execution", "child_token_issued", "token_refreshed", "token_introspected"}
)


class Event(Protocol):
    """An audit row, or one in the making."""

    event_type: str
    timestamp: int
    source_ip: str | None
    status: str
    reason: str | None
    details: dict[str, Any]


@dataclass(slots=True)
class GrantState:
    """Counts of what a grant did. Times are microseconds, 0 before the first event.

    Tools and resources are of granted verifications, in the order in which they were first met; so are ``callers`` and
    ``addresses``, as CRC-32 of their names. A pair of tools that followed each other is ``(1 + place of the one before)
    * 64 + place of the one after``, by their places in ``tools``; the first tool follows nothing, at place -1.
    """

    #: What it was given.
    issued_at: int = 0
    depth: int = 0
    granted_tools: int = 0
    granted_resources: int = 0
    parent_tools: int = 0
    elder_siblings: int = 0
    task: str = ""
    #: Grants made within it: a tree's, an agent's.
    grants: int = 0
    #: What was asked of the server about it, refusals among it.
    decisions: int = 0
    verifications: int = 0
    #: Verifications that were refused.
    refusals: int = 0
    refreshes: int = 0
    introspections: int = 0
    children: int = 0
    #: Children that the agent of the grant itself took, or was refused.
    own_children: int = 0
    executions: int = 0
    errors: int = 0
    #: Names asked for and not allowed.
    excess: int = 0
    cost: int = 0
    first_at: int = 0
    last_at: int = 0
    pauses: int = 0
    pause_ms: int = 0
    #: Sum of their squares.
    pause_ms2: int = 0
    #: Introspections by callers that it was not given for.
    foreign_lookups: int = 0
    #: Refreshes after which, or after its issue, nothing was used before the next one.
    idle_refreshes: int = 0
    has_been_used: bool = False
    #: Calls of the same tool on the same resources one after the other: just now, and the most so far.
    run: int = 0
    longest_run: int = 0
    caller_changes: int = 0
    address_changes: int = 0
    #: Changes back to one that was there before.
    caller_returns: int = 0
    address_returns: int = 0
    last_caller: int = 0
    last_address: int = 0
    #: One more than its place in ``tools``; and CRC-32 of the resources.
    last_tool: int = 0
    last_where: int = 0
    #: What only agents have: registered under a name that was taken, tools used that were withdrawn, grants of others
    #: that it ended.
    namesakes: int = 0
    withdrawn_uses: int = 0
    ended_others: int = 0
    #: Since when the grant may not be used until somebody re-authorises it, and when somebody did; 0: it is not held,
    #: nobody has. No part of what it does.
    held_at: int = 0
    reauthorized_at: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    tools: dict[str, int] = field(default_factory=dict)
    #: Executions of tools that failed.
    failures: dict[str, int] = field(default_factory=dict)
    resources: list[str] = field(default_factory=list)
    pairs: list[int] = field(default_factory=list)
    callers: list[int] = field(default_factory=list)
    addresses: list[int] = field(default_factory=list)

    @classmethod
    def from_json(cls, text: str) -> "GrantState":
        """Read a stored state."""
        return cls(**orjson.loads(text))

    def to_json(self) -> str:
        """As stored: what is nothing is left out."""
        return orjson.dumps(
            {name: value for name in self.__slots__ if (value := getattr(self, name))}
        ).decode()

    def begin(self, event: Event, parent: "GrantState | None") -> None:
        """Take in the issue of the grant."""
        details = event.details
        self.issued_at = event.timestamp
        self.granted_tools, self.granted_resources = len(details["tools"]), len(details["resources"])
        self.task = details.get("task", "")
        if parent is not None:
            self.depth, self.parent_tools = parent.depth + 1, parent.granted_tools
            self.elder_siblings = parent.children

    def note(self, event: Event) -> None:
        """Take in one of :data:`DOINGS`."""
        granted, details = event.status == "granted", event.details
        if event.event_type == "task_execution":
            self._note_execution(details.get("tool", ""), failed=details.get("outcome") == "error")
            return
        self.decisions += 1
        self._note_time(event.timestamp)
        # Children ask for themselves, and resource servers look up, from wherever they are.
        if event.event_type not in ("child_token_issued", "token_introspected"):
            self._note_parties(details.get("caller"), event.source_ip)
        if not granted:
            self._note_refusal(event.reason or "", details.get("excess"))
        match event.event_type:
            case "token_verified":
                self.verifications += 1
                self.refusals += not granted
                if granted:
                    self.cost += details.get("cost", 0)
                    self._note_use(details["tools"], details["resources"])
            case "child_token_issued":
                self.children += granted
                self.own_children += "by_parent" in details
            case "token_refreshed":
                self.refreshes += granted
                if granted:
                    self.idle_refreshes += not self.has_been_used
                    self.has_been_used = False
            case "token_introspected":
                self.introspections += 1
                self.foreign_lookups += "foreign" in details

    def note_refused(self, event: Event) -> None:
        """Take in a refusal that is about no grant."""
        self.decisions += 1
        self._note_time(event.timestamp)
        self._note_parties(event.details.get("caller"), event.source_ip)
        self._note_refusal(event.reason or "", event.details.get("excess"))

    def after(self, event: Event) -> "GrantState":
        """The state as it would be after one of :data:`DOINGS`; this one stays as it is."""
        state = GrantState(*_values(self))
        # All that a note changes in place.
        state.refused, state.tools, state.failures = (
            self.refused.copy(),
            self.tools.copy(),
            self.failures.copy(),
        )
        state.resources, state.pairs = self.resources.copy(), self.pairs.copy()
        state.callers, state.addresses = self.callers.copy(), self.addresses.copy()
        state.note(event)
        return state

    def patterns(self) -> dict[str, Any]:
        """As answered under ``execution_patterns``."""
        return {
            "verifications": self.verifications,
            "refusals": self.refusals,
            "refreshes": self.refreshes,
            "children": self.children,
            "executions": self.executions,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "tools": dict(self.tools),
        }

    def _note_time(self, now: int) -> None:
        if self.first_at:
            pause = min(max(now - self.last_at, 0) // 1000, LONGEST_PAUSE_MS)
            self.pauses += 1
            self.pause_ms += pause
            self.pause_ms2 += pause * pause
        else:
            self.first_at = now
        self.last_at = max(self.last_at, now)

    def _note_parties(self, caller: str | None, address: str | None) -> None:
        if caller is not None:
            code = crc32(caller.encode())
            if self.last_caller not in (0, code):
                self.caller_changes += 1
                self.caller_returns += code in self.callers
            self.last_caller = code
            _remember(self.callers, code, MOST_PARTIES)
        if address is not None:
            code = crc32(address.encode())
            if self.last_address not in (0, code):
                self.address_changes += 1
                self.address_returns += code in self.addresses
            self.last_address = code
            _remember(self.addresses, code, MOST_PARTIES)

    def _note_refusal(self, reason: str, excess: Any) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
        if isinstance(excess, list):
            self.excess += len(excess)

    def _note_use(self, tools: Sequence[str], resources: Sequence[str]) -> None:
        """A use is one tool of a call, with all resources of the call."""
        where = " ".join(sorted(resources))[:RESOURCE_TEXT]
        code = crc32(where.encode())
        self.has_been_used = True
        for tool in tools:
            name = tool if tool in self.tools or len(self.tools) < MOST_TOOLS else OTHERS
            self.tools[name] = self.tools.get(name, 0) + 1
            place = list(self.tools).index(name)
            _remember(self.pairs, self.last_tool * 64 + place, MOST_PAIRS)
            is_same = self.last_where == code and self.last_tool == place + 1
            self.run = self.run + 1 if is_same else 1
            if self.run > self.longest_run:
                self.longest_run = self.run
            self.last_tool, self.last_where = place + 1, code
            _remember(self.resources, where, MOST_RESOURCES)

    def _note_execution(self, tool: str, *, failed: bool) -> None:
        self.executions += 1
        if failed:
            self.errors += 1
            name = tool if tool in self.tools else OTHERS
            self.failures[name] = self.failures.get(name, 0) + 1


_values = attrgetter(*GrantState.__slots__)
_Name = TypeVar("_Name", int, str)


def _remember(known: list[_Name], name: _Name, most: int) -> None:
    if name not in known and len(known) < most:
        known.append(name)
