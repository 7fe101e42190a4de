"""One span of OTLP's JSON encoding as what is needed of it; nothing else is kept.

Attribute names, newest first: GenAI conventions v0.1.0 (of their own repository), those of OpenTelemetry 1.36 to 1.41,
and what SDKs wrote before. No provider, ``gen_ai.provider.name`` or ``gen_ai.system``, is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from agentsim.simulation.otlp.values import NOT_RECORDED, Measure, attributes, measure, name, printable

_AGENT_NAME = ("gen_ai.agent.name", "gen_ai.workflow.name")
_CONVERSATION = ("gen_ai.conversation.id", "gen_ai.thread.id")
_ARGUMENTS = ("gen_ai.tool.call.arguments", "gen_ai.tool.arguments")
_MCP = "mcp.method.name"
_TOOL_CALL = "tools/call"
_NANOSECONDS = re.compile(r"\d{1,19}", re.ASCII)
_FAILED = (2, "2", "STATUS_CODE_ERROR")


class Kind(Enum):
    """What a span is to a replay."""

    INVOKE = "an agent, or a workflow of agents, is at work"
    TOOL = "a tool is called"
    MODEL = "a model is asked"
    OTHER = "something else of the GenAI or MCP conventions"


_KINDS = {
    "invoke_agent": Kind.INVOKE,
    "invoke_workflow": Kind.INVOKE,
    "execute_tool": Kind.TOOL,
    _TOOL_CALL: Kind.TOOL,
    "chat": Kind.MODEL,
    "text_completion": Kind.MODEL,
    "generate_content": Kind.MODEL,
    "plan": Kind.MODEL,
}


class Agent(NamedTuple):
    """Who acts, as far as a span says so."""

    service: str
    id: str | None
    name: str | None

    def named(self) -> bool:
        """Whether the span itself names an agent."""
        return self.id is not None or self.name is not None

    def is_same(self, other: Agent) -> bool:
        """Whether both may be one agent: ids decide where both have one, else names."""
        if self.id is not None and other.id is not None:
            return self.id == other.id
        if self.name is None and other.name is None:
            return self.service == other.service and not self.named() and not other.named()
        return self.name == other.name


class Span(NamedTuple):
    """A span of the GenAI or MCP conventions; ``start`` in nanoseconds since 1970, ``line`` of the file."""

    line: int
    trace: str
    span: str
    parent: str | None
    start: int
    kind: Kind
    agent: Agent
    conversation: str | None
    session: str | None
    tool: str
    transfer: str | None
    caller: str | None
    failed: bool
    arguments: Measure
    result: Measure


def link(raw: Any) -> tuple[str, str, str | None]:
    """Trace, id and parent of a span of any kind.

    The ids are taken as they are: hexadecimal by OTLP, but some exporters write base64.

    Raises
    ------
    ValueError
        If the span does not say them.
    """
    if not isinstance(raw, Mapping):
        raise ValueError("must be a JSON object")
    trace, span, parent = raw.get("traceId"), raw.get("spanId"), raw.get("parentSpanId")
    lacking = [
        key
        for key, held in (("traceId", trace), ("spanId", span))
        if not (isinstance(held, str) and held.strip() and held.isprintable())
    ]
    if lacking:
        raise ValueError(f"has no {' and no '.join(lacking)}")
    return str(trace), str(span), parent if isinstance(parent, str) and parent.strip("0") else None


def parse(raw: Mapping[str, Any], service: str, line: int) -> Span | None:
    """What is needed of a span; None for one that is not about agents.

    Raises
    ------
    ValueError
        If its attributes are none, or if it does not say when it began.
    """
    held = attributes(raw.get("attributes"))
    if not any(key.startswith(("gen_ai.", "mcp.")) for key in held):
        return None
    operation, target = _operation(raw, held)
    kind = _KINDS.get(operation, Kind.OTHER)
    trace, span, parent = link(raw)
    is_tool = kind is Kind.TOOL
    agent_name = _first(held, _AGENT_NAME) or (target if kind is Kind.INVOKE else None)
    return Span(
        line=line,
        trace=trace,
        span=span,
        parent=parent,
        start=_start(raw),
        kind=kind,
        agent=Agent(service, name(held.get("gen_ai.agent.id")), agent_name),
        conversation=_first(held, _CONVERSATION),
        session=name(held.get("mcp.session.id")),
        tool=(name(held.get("gen_ai.tool.name")) or target or "unnamed") if is_tool else "",
        transfer=name(held.get("gen_ai.transfer.target.name")) if is_tool else None,
        caller=name(held.get("gen_ai.caller.name")) if kind is Kind.INVOKE else None,
        failed=_failed(raw, held),
        arguments=_measured(held, _ARGUMENTS) if is_tool else NOT_RECORDED,
        result=_measured(held, ("gen_ai.tool.call.result",)) if is_tool else NOT_RECORDED,
    )


def _operation(raw: Mapping[str, Any], held: Mapping[str, Any]) -> tuple[str, str | None]:
    """The operation, and the tool or agent that stands behind it in the span's name."""
    title = raw.get("name")
    first, _, rest = (title if isinstance(title, str) else "").partition(" ")
    method = name(held.get(_MCP))
    told = name(held.get("gen_ai.operation.name")) or (_TOOL_CALL if method == _TOOL_CALL else method)
    return told or first, printable(rest) if first in _KINDS else None


def _start(raw: Mapping[str, Any]) -> int:
    written = raw.get("startTimeUnixNano")
    if isinstance(written, str) and _NANOSECONDS.fullmatch(written):
        written = int(written)
    if type(written) is not int or not 0 < written < 2**63:
        raise ValueError("startTimeUnixNano must hold nanoseconds since 1970")
    return written


def _failed(raw: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
    status = raw.get("status")
    code = status.get("code") if isinstance(status, Mapping) else None
    return name(held.get("error.type")) is not None or (isinstance(code, int | str) and code in _FAILED)


def _first(held: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    return next((found for key in keys if (found := name(held.get(key)))), None)


def _measured(held: Mapping[str, Any], keys: tuple[str, ...]) -> Measure:
    return next((measure(held[key]) for key in keys if key in held), NOT_RECORDED)
