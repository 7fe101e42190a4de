"""What a grant has done so far: a small state per grant."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

#: How many different tools a state counts by name; the rest count as ``other``.
MOST_TOOLS = 32
#: What is no pattern of what a grant does.
_NOT_TOLD = frozenset(("held_at", "reauthorized_at"))


@dataclass(slots=True)
class GrantState:
    """Counts of what a grant did. Times are microseconds, 0 before the first verification."""

    verifications: int = 0
    refusals: int = 0
    refreshes: int = 0
    children: int = 0
    executions: int = 0
    first_at: int = 0
    last_at: int = 0
    tools: dict[str, int] = field(default_factory=dict)
    #: Since when it may not be used until somebody re-authorises it, and when somebody did; 0: it is not held, nobody has.
    held_at: int = 0
    reauthorized_at: int = 0

    @classmethod
    def from_json(cls, text: str) -> "GrantState":
        """Read a stored state."""
        return cls(**orjson.loads(text))

    def to_json(self) -> str:
        """As stored."""
        return orjson.dumps(self).decode()

    def note_verification(self, now: int, tools: Sequence[str], *, granted: bool) -> None:
        """Count one verification, granted or refused."""
        self.verifications += 1
        self.refusals += not granted
        self.first_at = self.first_at or now
        self.last_at = max(self.last_at, now)
        for tool in tools:
            name = tool if tool in self.tools or len(self.tools) < MOST_TOOLS else "other"
            self.tools[name] = self.tools.get(name, 0) + 1

    def patterns(self) -> dict[str, Any]:
        """As answered under ``execution_patterns``."""
        told = {name: getattr(self, name) for name in self.__slots__ if name not in _NOT_TOLD}
        return told | {"tools": dict(self.tools)}
