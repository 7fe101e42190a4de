"""Durations and rates as people write them: ``5m``, ``1h30m``, ``50/s``, ``50/day``.

A number without a unit is refused: nobody can tell whether ``300`` means seconds or microseconds.
"""

import re
from datetime import timedelta
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

#: Microseconds in one of each unit, longest first.
UNITS = {"d": 86_400_000_000, "h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1}

# Twelve digits are plenty, and more would overflow a float on the way.
_PART = re.compile(r"(\d{1,12}(?:\.\d+)?)\s*(us|ms|d|h|m|s)\s*", re.ASCII)
_DURATION = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_RATE = re.compile(r"(\d{1,12}(?:\.\d+)?)\s*/\s*(d(?:ay)?|h(?:our)?|m(?:inute)?|s(?:econd)?)", re.ASCII)


def parse_duration(value: Any) -> int:
    """Return microseconds of a text such as ``90s``, ``1h30m`` or ``250ms``, or of a timedelta.

    Raises
    ------
    ValueError
        If it is something else, a number without a unit for example.
    """
    if isinstance(value, timedelta):
        return value // timedelta(microseconds=1)
    if not isinstance(value, str):
        raise ValueError(f"a duration needs its unit, for example 5m, 90s or 1h30m, got {value!r}")
    if not _DURATION.fullmatch(value.strip()):
        raise ValueError(
            f"not a duration: {value!r}; write for example 5m, 90s, 1h30m or 250ms (units: d h m s ms us)"
        )
    total = sum(round(float(number) * UNITS[unit]) for number, unit in _PART.findall(value))
    if total >= 1 << 63:
        raise ValueError(f"longer than what can be kept: {value!r}")
    return total


def format_duration(microseconds: int) -> str:
    """Return the shortest text that :func:`parse_duration` reads back: ``5400000000`` is ``1h30m``."""
    parts = []
    for unit, size in UNITS.items():
        count, microseconds = divmod(microseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_rate(value: Any) -> float:
    """Return how many a second a text such as ``50/s``, ``600/h``, ``0.5/m`` or ``50/day`` means.

    Raises
    ------
    ValueError
        If it is something else.
    """
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"not a rate: {value!r}; write for example 50/s, 30/m or 600/h")
    return float(match[1]) / (UNITS[match[2][0]] / UNITS["s"])


def format_rate(per_second: float) -> str:
    """Return the text that :func:`parse_rate` reads back to the same number."""
    return f"{np.format_float_positional(per_second, trim='-')}/s"


#: A pydantic field written as a duration and held as integer microseconds.
Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": r"^(\d+(\.\d+)?\s*(us|ms|d|h|m|s)\s*)+$", "examples": ["1h30m"]}
    ),
]

#: A pydantic field written as a rate and held as a float per second.
Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate, return_type=str),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^\d+(\.\d+)?\s*/\s*(d(ay)?|h(our)?|m(inute)?|s(econd)?)$",
            "examples": ["50/s"],
        }
    ),
]
