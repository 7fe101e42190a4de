"""What a key takes, in words, of its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from agentsim.cli.reference.markdown import code, codes
from agentsim.settings.durations import Duration, Rate

_PATTERNS = {
    TypeAdapter(Duration).json_schema()["pattern"]: "duration (`1h30m`)",
    TypeAdapter(Rate).json_schema()["pattern"]: "rate (`50/s`)",
}
_PLAIN = {"boolean": "true or false", "string": "text", "integer": "whole number", "number": "number"}
_FORMATS = {"date": "day (`2026-06-30`)", "date-time": "time with its zone (`2026-01-01T00:00:00Z`)"}


def takes(schema: dict[str, Any], links: Mapping[str, str]) -> str:
    """What a value must be; keys that stand below are a link to where they are told.

    Parameters
    ----------
    schema : of a value; references are by the names of models.
    links : to where each model is told.
    """
    model = schema.get("$ref", schema.get("title", "")).rpartition("/")[2]
    if "$ref" in schema or "properties" in schema:
        return links[model]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        # A key that may be left out may also say nothing.
        told = [takes(each, links) for each in choices if each != {"type": "null"}]
        return " or ".join(dict.fromkeys(told))
    if "const" in schema or "enum" in schema:
        return codes(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "array":
        places = schema.get("prefixItems")
        return f"list of {len(places)}" if places else f"list of {takes(schema.get('items', {}), links)}"
    if schema.get("type") == "object":
        values = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
        told = [takes(each, links) for each in values if isinstance(each, dict)]
        return f"mapping of names to {told[0] if told else 'anything'}"
    return _scalar(schema)


def _scalar(schema: dict[str, Any]) -> str:
    named = _PATTERNS.get(schema.get("pattern", "")) or _FORMATS.get(schema.get("format", ""))
    if named:
        return named
    if schema.get("type") == "string" and "examples" in schema:
        return f"text ({code(schema['examples'][0])})"
    plain = _PLAIN.get(schema.get("type", ""), "anything")
    return plain + _bounds(schema)


def _bounds(schema: dict[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    if above is not None and below is not None:
        return f" between {above:,} and {below:,}"
    told = {"at least": low, "more than": above, "at most": high, "less than": below}
    return "".join(f", {words} {bound:,}" for words, bound in told.items() if bound is not None)
