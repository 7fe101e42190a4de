"""What a stranger might write where a value is expected, and sound inputs of which one place is spoilt."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import strategies as st

from agentsim.experiments.soak.hostile.nasty import NASTY, places, spoilt

values = st.recursive(
    st.sampled_from(NASTY) | st.integers(-(1 << 70), 1 << 70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


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
