"""Values of span attributes in OTLP's JSON encoding, and what is kept of those that hold content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

#: Longest name that is kept, in characters.
_LONGEST = 500
_INTEGER = re.compile(r"-?\d{1,20}", re.ASCII)


class Measure(NamedTuple):
    """What is kept of content: a digest, how many entries it has, how many characters it is long."""

    digest: str | None = None
    entries: int | None = None
    chars: int | None = None


NOT_RECORDED = Measure()


def attributes(entries: Any) -> dict[str, Any]:
    """Attributes by key, their values still as they are written.

    Raises
    ------
    ValueError
        If they are not the list of ``{"key": …, "value": …}`` that OTLP demands.
    """
    if entries is None:
        return {}
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError('attributes must be a list of {"key": …, "value": …}')
    return {key: entry.get("value") for entry in entries if isinstance(key := entry.get("key"), str)}


def plain(value: Any) -> Any:
    """What an ``AnyValue`` stands for; None for what is none."""
    if not isinstance(value, Mapping):
        return None
    for kind in ("stringValue", "boolValue", "doubleValue", "bytesValue"):
        if kind in value:
            return value[kind]
    if "intValue" in value:
        # 64-bit integers travel as text, for readers that only know floats.
        number = value["intValue"]
        return int(number) if isinstance(number, str) and _INTEGER.fullmatch(number) else number
    if "arrayValue" in value:
        return [plain(entry) for entry in _entries(value["arrayValue"])]
    if "kvlistValue" in value:
        pairs = [entry for entry in _entries(value["kvlistValue"]) if isinstance(entry, Mapping)]
        return {str(pair.get("key")): plain(pair.get("value")) for pair in pairs}
    return None


def _entries(holder: Any) -> list[Any]:
    values = holder.get("values") if isinstance(holder, Mapping) else None
    return values if isinstance(values, list) else []


def name(value: Any) -> str | None:
    """A name in one printable line, None where there is none: models make up names, control characters and all."""
    held = plain(value)
    if held is None or isinstance(held, list | dict):
        return None
    return printable(str(held))


def printable(text: str) -> str | None:
    """A text as one printable line of bounded length, None for an empty one."""
    line = text[:_LONGEST]
    if not line.isprintable():
        line = "".join(letter if letter.isprintable() else " " for letter in line)
    return line.strip() or None


def measure(value: Any) -> Measure:
    """Digest and size of arguments or of a result, which are a structure, its JSON as text, or any other text."""
    held = plain(value)
    if held is None:
        return NOT_RECORDED
    written = held if isinstance(held, str) else _canonical(held)
    if isinstance(held, str):
        try:
            found = orjson.loads(held)
            # A number or a word that happens to be JSON is a text that was given.
            if isinstance(found, list | dict):
                held, written = found, _canonical(found)
        except (orjson.JSONDecodeError, TypeError):
            pass
    entries = len(held) if isinstance(held, list | dict) else int(held != "")
    digest = hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return Measure(digest, entries, len(written))


def _canonical(held: Any) -> str:
    """JSON of which equal values have the same: sorted keys and no spaces; TypeError where it is nested too deeply."""
    return orjson.dumps(held, option=orjson.OPT_SORT_KEYS).decode()
