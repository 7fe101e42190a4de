"""Which tools look and which act, told by their names."""

from __future__ import annotations

import re

#: Verbs of tools that change nothing. Looking about is what agents do anew all the time, whatever their task.
LOOKS = frozenset(
    "analyze browse calculate check compare count describe fetch find get has is list lookup plot query read search show "
    "summarize verify view visit".split()
)
_PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


def is_look(tool: str) -> bool:
    """Whether the first or the last word of a tool's name is one of ``LOOKS``: ``get_balance``, ``file.read``.

    A name that tells nothing is taken for an act.
    """
    parts = _PARTS.findall(tool)
    return bool(parts) and not LOOKS.isdisjoint({parts[0].lower(), parts[-1].lower()})
