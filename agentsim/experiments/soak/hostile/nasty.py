"""What a stranger might write where a value is expected, and where it can be put."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

#: Values that programs stumble over, of every kind.
NASTY: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1 << 31,
    1 << 63,
    -(1 << 63),
    1 << 127,
    10**40,
    0.1,
    -0.0,
    1e308,
    -1e308,
    5e-324,
    float("inf"),
    float("nan"),
    "",
    " ",
    "\n",
    "\u202e",
    "\u0660\u0661",
    "\U0001f980" * 50,
    "x" * 5_000,
    "{}",
    "{0.__class__}",
    "%s%n",
    "../../../etc/passwd",
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "1e400",
    "5m",
    "-5m",
    "999999999999d",
    "0/s",
    "1/0",
    "2026-13-45",
    "9999-12-31",
    "0001-01-01",
    [],
    [None],
    [[]],
    ["x", "x"],
    {},
    {"": None},
    {"__class__": "x"},
    {1: 2},
)


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in nested data, the outermost first."""
    yield path
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from places(data[key], (*path, key))


def spoilt(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value at one place."""
    if not path:
        return value
    made = copy.deepcopy(data)
    holder = made
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return made
