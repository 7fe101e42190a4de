"""Works and calls as rows of the long format of traces (:mod:`agentsim.simulation.traces`).

==================  ==============================================================================================
``run_id``          the conversation, else the trace
``agent``           ``gen_ai.agent.id``; without one the service and ``gen_ai.agent.name``, unless a span of the run
                    says the id of that name; else the service
``suite``           the service in which the run began: replayed as the agents' role
``task_id``         the agent's name, with ``#2``, ``#3``, … where it is delegated to again in the same run; what an
                    agent does undelegated in a run is one task
``t``               seconds since the run's first span about agents
``label``           0 with the detail ``presumed benign``: spans carry no answers. As in the other tables without answers
==================  ==============================================================================================
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from agentsim.simulation.otlp.places import places
from agentsim.simulation.otlp.reading import SpanFile, read_file
from agentsim.simulation.otlp.spans import Agent, Span
from agentsim.simulation.otlp.works import Work, Works
from agentsim.simulation.trace_format import LONGEST_RUN, NO_CALL, SCHEMA, TraceError, check_rows

UNANSWERED = "presumed benign"
_SECOND = 1_000_000_000


def read_spans(path: Path) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read a file of spans.

    Returns
    -------
    Rows as :func:`agentsim.simulation.trace_format.read_rows` gives them, a row without a call where each task begins;
    and what a Run tells of its source: ``format``, ``semconv`` (schema URLs of the spans about agents, None where they
    have none), ``spans``, ``agent_spans``, ``repeated_spans``.

    Raises
    ------
    TraceError
        With everything that is wrong with the file.
    """
    held = read_file(path)
    # In which order exporters write is chance, and must not decide anything.
    spans = sorted(held.spans, key=lambda span: (span.start, span.kind.name, span.trace, span.span))
    works = Works(spans, places(spans, held.parents))
    if not works.works:
        told = f"there is no agent at work in its {len(held.parents)} spans"
        raise TraceError(path, [f"{told}: spans of gen_ai.operation.name or mcp.method.name are needed"])
    rows = _Rows(spans, works)
    faults = rows.faults()
    if faults:
        raise TraceError(path, faults)
    return check_rows(path, rows.table()), _source(held)


def _source(held: SpanFile) -> dict[str, Any]:
    return {
        "format": "otlp",
        "semconv": sorted(held.schemas) or None,
        "spans": len(held.parents),
        "agent_spans": len(held.spans),
        "repeated_spans": held.repeated,
    }


class _Rows:
    """The rows of all runs, and the names of agents and tasks in them."""

    def __init__(self, spans: list[Span], works: Works) -> None:
        self._works = sorted(works.works, key=lambda work: work.start)
        self._calls = works.calls
        self._ids = {
            (run, span.agent.service, span.agent.name): span.agent.id
            for run, span in zip(works.runs, spans, strict=True)
            if span.agent.id and span.agent.name
        }
        self._began: dict[str, int] = {}
        self._ended: dict[str, int] = {}
        for run, span in zip(works.runs, spans, strict=True):
            self._began[run] = min(span.start, self._began.get(run, span.start))
            self._ended[run] = max(span.start, self._ended.get(run, span.start))
        self._suites: dict[str, str] = {}
        for work in self._works:
            self._suites.setdefault(work.run, work.agent.service)
        self._tasks = self._named_tasks()

    def faults(self) -> list[str]:
        """Runs that are too long to be one."""
        return [
            f"run {run}: its first and last span are {lasted // (86_400 * _SECOND)} days apart, more than a year"
            for run in self._suites
            if (lasted := self._ended[run] - self._began[run]) > LONGEST_RUN * _SECOND
        ]

    def table(self) -> pa.Table:
        """All rows, run by run in order of time."""
        begun = [(work.start, 0, self._beginning(work)) for work in self._first_works()]
        called = [
            (
                call.span.start,
                1,
                self._row(call.work, call.agent, call.span.start)
                | {
                    # A tool that is called like the sign for no call is called all the same.
                    "tool": call.span.tool.replace(NO_CALL, "no_tool_call"),
                    "error": call.span.failed,
                    "args_digest": call.span.arguments.digest,
                    "n_args": call.span.arguments.entries,
                    "arg_chars": call.span.arguments.chars,
                    "result_chars": call.span.result.chars,
                },
            )
            for call in self._calls
        ]
        steps: Counter[str] = Counter()
        rows = []
        for _, _, row in sorted([*begun, *called], key=lambda entry: entry[:2]):
            rows.append(row | {"step": steps[row["run_id"]]})
            steps[row["run_id"]] += 1
        return pa.Table.from_pylist(rows, schema=SCHEMA)

    def _first_works(self) -> list[Work]:
        """Of each task the work that began it."""
        firsts: dict[tuple[str, str], Work] = {}
        for work in self._works:
            firsts.setdefault((work.run, self._tasks[id(work)]), work)
        return list(firsts.values())

    def _beginning(self, work: Work) -> dict[str, Any]:
        return self._row(work, work.agent, work.start) | {"tool": NO_CALL, "error": False}

    def _row(self, work: Work, agent: Agent, start: int) -> dict[str, Any]:
        return {
            "run_id": work.run,
            "agent": self._identity(work.run, agent),
            "suite": self._suites[work.run],
            "task_id": self._tasks[id(work)],
            "parent_task_id": None if work.above is None else self._tasks[id(work.above)],
            "t": (start - self._began[work.run]) / _SECOND,
            "label": 0,
            "label_detail": UNANSWERED,
        }

    def _identity(self, run: str, agent: Agent) -> str:
        known = agent.id or self._ids.get((run, agent.service, agent.name or ""))
        return known or (f"{agent.service}/{agent.name}" if agent.name else agent.service)

    def _named_tasks(self) -> dict[int, str]:
        """The task of each work, by the work's own number."""
        tasks: dict[int, str] = {}
        undelegated: dict[tuple[str, str], str] = {}
        used: set[tuple[str, str]] = set()
        times: Counter[tuple[str, str]] = Counter()
        for work in self._works:
            who = (work.run, self._identity(work.run, work.agent))
            if work.above is None and who in undelegated:
                tasks[id(work)] = undelegated[who]
                continue
            name = task = work.agent.name or work.agent.id or work.agent.service
            for count in itertools.count(times[work.run, name] + 1):
                task = name if count == 1 else f"{name} #{count}"
                if (work.run, task) not in used:
                    times[work.run, name] = count
                    break
            used.add((work.run, task))
            tasks[id(work)] = task
            if work.above is None:
                undelegated[who] = task
        return tasks
