"""The ``reliability`` report: what a served token server stood, and what went wrong."""

from agentsim.reporting.reliability.facts import Facts
from agentsim.reporting.reliability.pictures import asked, memory, waits
from agentsim.reporting.reliability.story import (
    limits,
    method,
    notes,
    numbers,
    tallies,
    tone,
    verdict,
    what_was_done,
)

__all__ = [
    "Facts",
    "asked",
    "limits",
    "memory",
    "method",
    "notes",
    "numbers",
    "tallies",
    "tone",
    "verdict",
    "waits",
    "what_was_done",
]
