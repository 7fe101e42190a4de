"""Closed loads: so many users, each of whom runs one tree after the other."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.simulation.workload import ConstantUsers, RampingUsers, Schedule

SECOND = 1_000_000
RNG = np.random.default_rng(0)
LENGTHS = st.lists(st.integers(1, 100), min_size=1, max_size=60)


def constant(**keys: Any) -> ConstantUsers:
    return ConstantUsers.model_validate({"executor": "constant-vus", **keys})


def ramping(*stages: tuple[str, int], **keys: Any) -> RampingUsers:
    told = [{"for": length, "to": to} for length, to in stages]
    return RampingUsers.model_validate({"executor": "ramping-vus", "stages": told, **keys})


def run(
    load: ConstantUsers | RampingUsers, seconds: list[int], tenant: int = 0, sizes: Any = (1,)
) -> Schedule:
    return load.schedule(np.array(seconds, np.int64) * SECOND, tenant, sizes, RNG)


def begins(load: ConstantUsers | RampingUsers, seconds: list[int]) -> list[float]:
    schedule = run(load, seconds)
    return (schedule.begin[schedule.begun] / SECOND).tolist()


def under_way(schedule: Schedule, seconds: list[int], moment: float) -> int:
    begin = schedule.begin[schedule.begun]
    end = begin + np.array(seconds)[schedule.begun] * SECOND
    return int(((begin <= moment) & (moment < end)).sum())


def test_a_user_begins_the_next_tree_when_its_last_is_done() -> None:
    assert begins(constant(vus=1), [3, 1, 2]) == [0, 3, 4]


def test_a_user_pauses_between_two_trees() -> None:
    assert begins(constant(vus=1, pause="10s"), [3, 1, 2]) == [0, 13, 24]


def test_whoever_is_free_first_takes_the_next_tree() -> None:
    assert begins(constant(vus=2), [10, 1, 1, 1]) == [0, 0, 1, 2]


@given(seconds=LENGTHS, vus=st.integers(1, 10), pause=st.integers(0, 20))
def test_never_more_trees_are_under_way_than_there_are_users(
    seconds: list[int], vus: int, pause: int
) -> None:
    schedule = run(constant(vus=vus, pause=f"{pause}s"), seconds)
    assert schedule.begun.all()
    assert (np.diff(schedule.begin) >= 0).all()
    at_each_start = [under_way(schedule, seconds, moment) for moment in schedule.begin]
    assert max(at_each_start) <= vus
    if not pause:
        # Nobody is idle while there is something to do.
        ends = (schedule.begin + np.array(seconds) * SECOND).tolist()
        assert all(moment in ends for moment in schedule.begin[vus:].tolist())


def test_what_no_user_comes_to_is_not_begun() -> None:
    schedule = run(constant(vus=1, duration="10s"), [4, 4, 4, 4, 4])
    assert schedule.begun.tolist() == [True, True, True, False, False]
    assert (schedule.begin[~schedule.begun] <= 10 * SECOND).all()


def test_a_ramp_brings_one_user_after_the_other() -> None:
    # The number passes 0, 1, 2, 3 after 0, 10, 20, 30 seconds.
    assert begins(ramping(("40s", 4)), [1000] * 4) == [0, 10, 20, 30]


def test_a_user_who_is_ramped_down_finishes_its_tree() -> None:
    load = ramping(("10s", 2), ("10s", 0), start=2)
    schedule = run(load, [8, 14, 14, 8, 8])
    # The second user leaves after 15 seconds, the first after 20, in the middle of the trees that they began.
    assert (schedule.begin[schedule.begun] / SECOND).tolist() == [0, 0, 8, 14]
    assert schedule.begun.sum() == 4


def test_users_come_back_with_the_next_ramp() -> None:
    load = ramping(("10s", 0), ("10s", 0), ("10s", 1), start=1)
    assert begins(load, [10, 5, 5]) == [0, 20, 25]


LEVELS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 8)), min_size=1, max_size=5)


@given(seconds=LENGTHS, start=st.integers(1, 8), levels=LEVELS)
def test_nothing_begins_while_there_is_nobody(
    seconds: list[int], start: int, levels: list[tuple[int, int]]
) -> None:
    load = ramping(*((f"{length}s", level) for length, level in levels), start=start)
    schedule = run(load, seconds)
    ends = np.cumsum([0, *(length for length, _ in levels)]) * SECOND
    numbers = [start, *(level for _, level in levels)]
    for moment in schedule.begin[schedule.begun]:
        assert under_way(schedule, seconds, moment) <= load.most
        # A microsecond later: the first user of a ramp comes when the number leaves 0.
        assert np.interp(moment + 1, ends, numbers) > 0
    assert schedule.begun.all() or not numbers[-1]


@given(seconds=LENGTHS, vus=st.integers(1, 8), length=st.integers(1, 60))
def test_a_ramp_that_changes_nothing_is_a_constant_number(seconds: list[int], vus: int, length: int) -> None:
    flat = run(ramping((f"{length}s", vus), start=vus), seconds)
    assert (flat.begin == run(constant(vus=vus), seconds).begin).all()


@given(sizes=st.lists(st.integers(1, 50), min_size=1, max_size=6), more=st.integers(0, 30))
def test_all_users_are_dealt_to_the_tenants_and_each_has_one(sizes: list[int], more: int) -> None:
    vus = len(sizes) + more
    seconds = [1] * 200
    at_once = [
        int((run(constant(vus=vus), seconds, tenant, sizes).begin == 0).sum()) for tenant in range(len(sizes))
    ]
    assert sum(at_once) == vus
    for count, size in zip(at_once, sizes, strict=True):
        assert 1 <= count <= np.ceil(vus * size / sum(sizes))


def test_the_end_is_known_where_users_leave() -> None:
    assert constant(vus=1).end is None
    assert constant(vus=1, duration="5s").end == 5 * SECOND
    assert ramping(("10s", 2)).end is None
    assert ramping(("10s", 2), ("5s", 0)).end == 15 * SECOND


def test_someone_has_to_come() -> None:
    with pytest.raises(ValueError, match="at least must be above 0"):
        ramping(("10s", 0))
