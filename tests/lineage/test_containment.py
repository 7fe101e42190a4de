"""Containment, on its own terms and against the server's own code."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.lineage.containment import covers, share_given_up, surplus, surplus_of_registration
from agentsim.server import scopes

segments = st.sampled_from(["a", "b", "ab", "a-b", "a.b"])
paths = st.lists(segments, min_size=1, max_size=3).map("/".join)
actions = st.sampled_from(["read", "write", "read-all"])
members = st.one_of(
    st.builds("{}:{}".format, actions, paths), st.sampled_from(["email.read", "email", "read"])
)
sets = st.lists(members, max_size=5).map(lambda some: " ".join(sorted(set(some))))


@pytest.mark.parametrize(
    ("held", "asked", "covered"),
    [
        ("file_read:github", "file_read:github", True),
        ("file_read:github", "file_read:github/specific", True),
        ("file_read:github", "file_read:github-evil", False),
        ("file_read:github", "file_read:github/../x", False),
        ("file_read:github", "file_read:github/", False),
        ("file_read:github", "file_read:github//x", False),
        ("file_read:github/specific", "file_read:github", False),
        ("file_read:github", "file_write:github", False),
        ("file_read:a:b", "file_read:a:b/c", True),
        ("email.read", "email.read", True),
        ("email", "email.read", False),
        ("email.read", "email.read:all", False),
        ("email.read:all", "email.read", False),
        ("github", "github/specific", True),
        ("github", "github-evil", False),
        ("github", "read:github", False),
    ],
)
def test_containment_is_by_whole_path_segments(held, asked, covered):
    assert covers(held, asked) is covered


@given(sets, sets)
def test_the_server_judges_the_same_excess(held, asked):
    assert surplus(held, asked) == scopes.excess(asked, held)


@given(sets, sets, sets)
def test_what_is_contained_in_the_contained_is_contained(first, second, third):
    if not surplus(first, second) and not surplus(second, third):
        assert not surplus(first, third)


@given(sets)
def test_a_set_contains_itself_and_nothing_is_given_up(some):
    assert not surplus(some, some)
    assert share_given_up(some, some) == 0


@given(st.lists(actions, max_size=2), st.lists(paths, max_size=2), sets, sets)
def test_a_registration_allows_each_tool_with_each_resource(tools, resources, extra, asked):
    tool_text, resource_text = " ".join(sorted(set(tools))), " ".join(sorted(set(resources)))
    allowed = scopes.union(scopes.product(tool_text, resource_text), extra)
    assert surplus_of_registration(tool_text, resource_text, extra, asked) == scopes.excess(asked, allowed)


def test_a_narrower_path_gives_the_wider_one_up():
    assert share_given_up("read:a write:a", "read:a/b write:a") == 0.5
    assert share_given_up("read:a write:a", "") == 1
    assert share_given_up("", "") == 0
