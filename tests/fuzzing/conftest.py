"""What a stranger might write where a value is expected, and sound inputs of which one place is spoilt."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import strategies as st

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

values = st.recursive(
    st.sampled_from(NASTY) | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
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


def spoilt_once(data: Any) -> st.SearchStrategy[Any]:
    """The data with one place spoilt, or with a member more."""
    everywhere = list(places(data))
    holders = [path for path in everywhere if isinstance(at(data, path), dict)]
    added = st.builds(
        lambda path, name, value: spoilt(data, (*path, name), value),
        st.sampled_from(holders or [()]),
        st.text(max_size=10) | st.sampled_from(["<<", "__init__", "extends"]),
        values,
    )
    replaced = st.builds(lambda path, value: spoilt(data, path, value), st.sampled_from(everywhere), values)
    return replaced | added if holders else replaced


def at(data: Any, path: tuple[Any, ...]) -> Any:
    """What is at a place."""
    for key in path:
        data = data[key]
    return data


@pytest.fixture(scope="session", name="spoilt_once")
def spoiler() -> Callable[[Any], st.SearchStrategy[Any]]:
    """See :func:`spoilt_once`."""
    return spoilt_once
