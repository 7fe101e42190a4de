"""Ids grow strictly, whatever the clock does, and no two writers ever make the same one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.server.ids import END_OF_TIME, WRITERS, IdGenerator

MOMENTS = st.integers(-(10**18), END_OF_TIME - 10**12)
EPOCH = 1_577_836_800_000_000


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.lists(MOMENTS, min_size=2, max_size=60), st.integers(0, WRITERS - 1))
def test_ids_grow_whatever_the_clock_does(moments: list[int], writer: int) -> None:
    ids = IdGenerator(writer)
    made = [ids.next(now) for now in moments]
    assert made == sorted(set(made))
    assert all(0 < value < 1 << 63 for value in made)
    assert {value >> 10 & (WRITERS - 1) for value in made} == {writer}


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.lists(MOMENTS, min_size=1, max_size=20),
    st.lists(MOMENTS, min_size=1, max_size=20),
    st.integers(0, WRITERS - 1),
    st.integers(0, WRITERS - 1),
)
def test_a_writer_goes_on_after_another(first: list[int], second: list[int], one: int, other: int) -> None:
    ids = IdGenerator(one)
    last = [ids.next(now) for now in first][-1]
    later = IdGenerator(other)
    later.pass_by(last)
    assert later.next(second[0]) > last
    if one == other:
        assert IdGenerator(one, last).next(second[0]) > last


def test_many_ids_in_one_millisecond_borrow_from_the_next() -> None:
    ids = IdGenerator(3)
    made = [ids.next(EPOCH + 10**9) for _ in range(5_000)]
    assert made == sorted(set(made))
    assert (made[0] >> 22, made[-1] >> 22) == (10**6, 10**6 + 4)
    assert ids.next(EPOCH + 2 * 10**9) >> 22 == 2 * 10**6


def test_passing_by_an_old_id_changes_nothing() -> None:
    ids = IdGenerator()
    newest = ids.next(EPOCH + 10**12)
    ids.pass_by(IdGenerator(9).next(EPOCH))
    assert ids.next(EPOCH) == newest + 1


@pytest.mark.parametrize("writer", [-1, WRITERS])
def test_there_are_only_so_many_writers(writer: int) -> None:
    with pytest.raises(ValueError, match="writer"):
        IdGenerator(writer)


def test_ids_end_before_they_overflow() -> None:
    ids = IdGenerator(WRITERS - 1)
    assert ids.next(END_OF_TIME - 1) < 1 << 63
    with pytest.raises(ValueError, match="ids end"):
        IdGenerator().next(END_OF_TIME)
