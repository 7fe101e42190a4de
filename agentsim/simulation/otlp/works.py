"""Works of agents: what is begun by a span, by whom, in which run, and who delegated it.

A run is a conversation, or a trace that belongs to none. Delegation is told by what is above a span; by a transfer
(``gen_ai.transfer.target.name``) where the agent that was handed over to works beside the one that did it; and by a
remote call that names its caller (``gen_ai.caller.name``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from agentsim.simulation.otlp.places import Place
from agentsim.simulation.otlp.spans import Agent, Kind, Span


@dataclass
class Work:
    """A work of an agent. ``above`` is the work that delegated it, None for none; ``start`` in nanoseconds."""

    run: str
    agent: Agent
    start: int
    above: Work | None = None


@dataclass
class Call:
    """A call of a tool, within a work, by an agent that need not be the one whose work it is."""

    span: Span
    work: Work
    agent: Agent


class Works:
    """All works and calls of spans in order of time; ``runs`` has the run of each span."""

    def __init__(self, spans: Sequence[Span], places: Sequence[Place]) -> None:
        self._spans, self._places = spans, places
        self.runs = _runs(spans, places)
        self._last: dict[tuple[str, str], Work] = {}
        self._begun: dict[int, Work] = {}
        self._implied: dict[tuple[str, Agent], Work] = {}
        # Transfers that nobody has followed yet, by run and name of whom was handed over to.
        self._handed: dict[tuple[str, str], list[Work]] = defaultdict(list)
        self.works: list[Work] = []
        self.calls: list[Call] = []
        for number, place in enumerate(places):
            if place.counts:
                if spans[number].kind is Kind.INVOKE:
                    self._work(number)
                else:
                    self._call(number)
        self._idle()

    def _work(self, number: int) -> Work:
        """The work that a span begins."""
        waiting = []
        upper = number
        while upper >= 0 and upper not in self._begun:
            waiting.append(upper)
            upper = self._places[upper].around
        # Works above it may begin later, by another clock.
        while waiting:
            self._begin(waiting.pop())
        return self._begun[number]

    def _begin(self, number: int) -> None:
        span, run = self._spans[number], self.runs[number]
        work = self._begun[number] = Work(run, span.agent, span.start)
        work.above = self._handed_by(run, span.agent) or self._around(number) or self._caller(run, span)
        self._add(work)

    def _call(self, number: int) -> None:
        span, run = self._spans[number], self.runs[number]
        around = self._around(number)
        if around is None:
            work = self._by_name(run, span)
        elif not span.agent.named() or span.agent.is_same(around.agent):
            work = around
        else:
            # Another agent's call in the midst of this work: of a work of its own only if that was handed over.
            handed = (run, span.agent) in self._implied or self._handed.get((run, span.agent.name or ""))
            work = self._by_name(run, span) if handed else around
        same = not span.agent.named() or span.agent.is_same(work.agent)
        self.calls.append(Call(span, work, work.agent if same else span.agent))
        if span.transfer:
            self._handed[run, span.transfer].append(work)

    def _by_name(self, run: str, span: Span) -> Work:
        """The work of an agent that only its calls tell of."""
        key = (run, span.agent)
        if key not in self._implied:
            above = self._handed_by(run, span.agent)
            self._implied[key] = self._add(Work(run, span.agent, span.start, above))
        return self._implied[key]

    def _handed_by(self, run: str, agent: Agent) -> Work | None:
        """Who last handed over to an agent; that is then followed."""
        waiting = self._handed.get((run, agent.name or ""))
        return waiting.pop() if waiting else None

    def _around(self, number: int) -> Work | None:
        """The work that a work is begun in, or a call is made in."""
        upper = self._places[number].around
        return self._work(upper) if upper >= 0 and self.runs[upper] == self.runs[number] else None

    def _caller(self, run: str, span: Span) -> Work | None:
        """The last work of the agent that a remote call names as its caller."""
        return self._last.get((run, span.caller)) if span.caller else None

    def _add(self, work: Work) -> Work:
        self.works.append(work)
        self._last[work.run, work.agent.name or ""] = work
        return work

    def _idle(self) -> None:
        """Runs that only ask a model: no tool was called, and no agent's work is told of."""
        known = {work.run for work in self.works}
        for run, span in zip(self.runs, self._spans, strict=True):
            if span.kind is Kind.MODEL and run not in known:
                known.add(run)
                self._add(Work(run, span.agent, span.start))


def _runs(spans: Sequence[Span], places: Sequence[Place]) -> list[str]:
    """The run of each span."""
    told: dict[str, set[str]] = defaultdict(set)
    for span, place in zip(spans, places, strict=True):
        if place.conversation:
            told[span.trace].add(place.conversation)
    # What stands above the only conversation of its trace is part of it.
    only = {trace: next(iter(names)) for trace, names in told.items() if len(names) == 1}
    return [
        place.conversation or only.get(span.trace, span.trace)
        for span, place in zip(spans, places, strict=True)
    ]
