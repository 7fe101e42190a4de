"""Spans by hand, as SDKs and the collector's file exporter write them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: When the stories begin, in nanoseconds.
BEGIN = 1_790_000_000_000_000_000


def any_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case dict():
            pairs = [{"key": key, "value": any_value(held)} for key, held in value.items()]
            return {"kvlistValue": {"values": pairs}}
        case list():
            return {"arrayValue": {"values": [any_value(held) for held in value]}}
    return {"stringValue": value}


def make_span(
    number: int,
    at: float,
    name: str,
    parent: int | None = None,
    trace: int = 1,
    failed: bool = False,
    **named: Any,
) -> dict[str, Any]:
    """A span ``at`` seconds; attributes have ``__`` where their names have dots, ``gen_ai__tool__name``."""
    made = {
        "traceId": f"{trace:032x}",
        "spanId": f"{number:016x}",
        "parentSpanId": "" if parent is None else f"{parent:016x}",
        "name": name,
        "kind": 1,
        "startTimeUnixNano": str(BEGIN + round(at * 1e9)),
        "endTimeUnixNano": str(BEGIN + round(at * 1e9) + 1_000_000),
        "attributes": [
            {"key": key.replace("__", "."), "value": any_value(value)} for key, value in named.items()
        ],
        "status": {"code": 2} if failed else {},
    }
    return made


def invoke(number: int, at: float, agent: str, **more: Any) -> dict[str, Any]:
    attributes = {"gen_ai__operation__name": "invoke_agent", "gen_ai__agent__name": agent, **more}
    return make_span(number, at, f"invoke_agent {agent}", **attributes)


def execute(number: int, at: float, tool: str, **more: Any) -> dict[str, Any]:
    attributes = {"gen_ai__operation__name": "execute_tool", "gen_ai__tool__name": tool, **more}
    return make_span(number, at, f"execute_tool {tool}", **attributes)


def request(*spans: Any, service: str | None = "shop", schema: str | None = None) -> dict[str, Any]:
    named = [] if service is None else [{"key": "service.name", "value": {"stringValue": service}}]
    scope = {"scope": {"name": "by hand"}, "spans": list(spans)}
    if schema:
        scope["schemaUrl"] = schema
    return {"resourceSpans": [{"resource": {"attributes": named}, "scopeSpans": [scope]}]}


class Otlp:
    """What stories are written with."""

    span = staticmethod(make_span)
    invoke = staticmethod(invoke)
    execute = staticmethod(execute)
    request = staticmethod(request)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, *spans: Any, **more: Any) -> Path:
        """A file with one line of the spans."""
        return self.lines(request(*spans, **more))

    def lines(self, *objects: Any) -> Path:
        """A file with an object a line; texts as they are."""
        path = self.folder / "spans.jsonl"
        path.write_text("\n".join(o if isinstance(o, str) else json.dumps(o) for o in objects) + "\n")
        return path

    def zipped(self, path: Path) -> Path:
        target = path.with_name(f"{path.name}.gz")
        target.write_bytes(gzip.compress(path.read_bytes()))
        return target


@pytest.fixture
def otlp(tmp_path: Path) -> Otlp:
    return Otlp(tmp_path)


@pytest.fixture(scope="session")
def requested() -> Callable[..., dict[str, Any]]:
    return request
