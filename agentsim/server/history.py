"""What a grant has done so far: a small state per grant, and the seam to whoever judges it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from agentsim.server.operations import Verify

#: How many different tools a state counts by name; the rest count as ``other``.
MOST_TOOLS = 32


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
        return {name: getattr(self, name) for name in self.__slots__} | {"tools": dict(self.tools)}


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a matcher says of a grant: the document's three members."""

    historical_pattern_match: bool
    execution_pattern: str
    risk_assessment: str


class PatternMatcher(Protocol):
    """Judges a grant by its state. The server knows nobody who does; it is handed one, or none."""

    def assess(self, role: str, state: GrantState, request: Verify | None) -> Assessment:
        """Judge the grant of an agent of this role, as it asks for this (None: as it stands)."""
