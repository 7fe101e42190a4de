"""Where each span stands: in whose work, in which conversation, inside which call of a tool.

All of it comes down from the spans above, those of other kinds (HTTP, databases) passed over. What is above a span may
be in another file or was never recorded; then the span stands at the top.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agentsim.simulation.otlp.spans import Kind, Span


class Place(NamedTuple):
    """What holds for a span and what is below it.

    conversation : the outermost that a span on the way names: sub-agents may have conversations of their own.
    work : number of the span that began the work which holds for what is below; -1 for none.
    around : the same for the span itself: another one where it begins a work of its own.
    tool : the call around it, "" for none since that work began.
    counts : whether the span begins a work or a call, and does not tell again of the one around it.
    """

    conversation: str | None = None
    work: int = -1
    around: int = -1
    tool: str = ""
    counts: bool = False


_TOP = Place()
_Key = tuple[str, str]


def places(spans: Sequence[Span], parents: Mapping[_Key, str | None]) -> list[Place]:
    """The place of each span about agents, ``parents`` being those of all spans."""
    above = _nearest_above(spans, parents)
    below: list[list[int]] = [[] for _ in spans]
    for number, upper in enumerate(above):
        if upper >= 0:
            below[upper].append(number)
    found: list[Place | None] = [None] * len(spans)
    # Spans that are above each other in a circle stand at the top like those with nothing above them.
    tops = [number for number, upper in enumerate(above) if upper < 0]
    for top in [*tops, *range(len(spans))]:
        if found[top] is None:
            found[top] = _place(_TOP, top, spans)
            _go_down(top, below, spans, found)
    return [place or _TOP for place in found]


def _go_down(
    top: int, below: Sequence[Sequence[int]], spans: Sequence[Span], found: list[Place | None]
) -> None:
    waiting = deque([top])
    while waiting:
        upper = waiting.popleft()
        for number in below[upper]:
            if found[number] is None:
                found[number] = _place(found[upper] or _TOP, number, spans)
                waiting.append(number)


def _place(upper: Place, number: int, spans: Sequence[Span]) -> Place:
    span = spans[number]
    session = span.session if upper == _TOP else None
    conversation = upper.conversation or span.conversation or session
    if span.kind is Kind.INVOKE:
        # A client's span and the agent's own, or a wrapper's, tell of the same work.
        again = upper.work >= 0 and not upper.tool and span.agent.is_same(spans[upper.work].agent)
        return Place(conversation, upper.work if again else number, upper.work, "", not again)
    if span.kind is Kind.TOOL:
        # The framework's span, the MCP client's and the MCP server's tell of the same call.
        return Place(conversation, upper.work, upper.work, span.tool, span.tool != upper.tool)
    return upper._replace(conversation=conversation, around=upper.work, counts=False)


def _nearest_above(spans: Sequence[Span], parents: Mapping[_Key, str | None]) -> list[int]:
    """The nearest span about agents above each; -1 for none."""
    numbers = {(span.trace, span.span): number for number, span in enumerate(spans)}
    known: dict[_Key, int] = {}
    nearest = []
    for span in spans:
        passed: list[_Key] = []
        key: _Key | None = (span.trace, span.parent) if span.parent else None
        while key is not None and key not in numbers and key not in known:
            # Spans may be above each other in a circle: what was passed leads nowhere, unless it is found to below.
            known[key] = -1
            passed.append(key)
            parent = parents.get(key)
            key = (key[0], parent) if parent else None
        found = -1 if key is None else numbers.get(key, known.get(key, -1))
        known.update(dict.fromkeys(passed, found))
        nearest.append(found)
    return nearest
