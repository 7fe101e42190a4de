import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.simulation.workload import ConstantRate, Profile, RampingRate
from agentsim.simulation.workload.executor import places

SECOND = 1_000_000


def draw(profile: Profile, count: int = 20_000, share: float = 1.0) -> np.ndarray:
    return profile.arrivals(count, share, np.random.default_rng(7)) / SECOND


def ramp(*stages: tuple[str, object], start: object = None) -> Profile:
    data = {
        "executor": "ramping-arrival-rate",
        "stages": [{"for": length, "to": to} for length, to in stages],
    }
    return RampingRate.model_validate({**data, **({} if start is None else {"start": start})}).profile


def constant(**keys: str) -> Profile:
    return ConstantRate.model_validate({"executor": "constant-arrival-rate", **keys}).profile


def test_within_a_duration_trees_arrive_evenly() -> None:
    times = draw(constant(duration="100s"))
    assert (np.diff(times) >= 0).all()
    assert times[0] >= 0
    assert times[-1] <= 100
    shares = np.histogram(times, bins=4, range=(0, 100))[0] / len(times)
    assert shares == pytest.approx(0.25, abs=0.02)


def test_at_a_rate_the_time_follows() -> None:
    times = draw(constant(rate="50/s"))
    assert times[-1] == pytest.approx(20_000 / 50, rel=0.05)
    assert np.diff(times).mean() == pytest.approx(1 / 50, rel=0.05)


def test_a_tenant_has_its_share_of_the_rate() -> None:
    assert draw(constant(rate="50/s"), share=0.25)[-1] == pytest.approx(20_000 / 12.5, rel=0.05)


def test_numbers_are_a_shape() -> None:
    profile = ramp(("10s", 1), ("10s", 3), ("10s", 3), start=1)
    assert profile.duration == 30 * SECOND
    times = draw(profile)
    shares = np.histogram(times, bins=3, range=(0, 30))[0] / len(times)
    assert shares == pytest.approx(np.array([1, 2, 3]) / 6, abs=0.02)
    assert draw(profile, 100)[-1] <= 30


def test_a_ramp_from_nothing_rises_with_the_square_of_time() -> None:
    times = draw(ramp(("100s", 1)))
    assert (times < 50).mean() == pytest.approx(0.25, abs=0.02)


def test_nobody_arrives_while_the_rate_is_nothing() -> None:
    times = draw(ramp(("10s", 0), ("10s", 0), ("10s", 2), start=1))
    assert not ((times > 10) & (times < 20)).any()
    assert times.max() <= 30


def test_the_last_rate_holds_until_all_have_arrived() -> None:
    profile = ramp(("10s", "100/s"), ("10s", "200/s"))
    assert profile.duration is None
    times = draw(profile)
    # 500 while it rises to 100, 1500 while it rises to 200, the rest at 200.
    assert (times < 10).sum() == pytest.approx(500, rel=0.15)
    assert (times < 20).sum() == pytest.approx(2000, rel=0.1)
    assert times[-1] == pytest.approx(20 + 18_000 / 200, rel=0.05)


def test_what_finds_no_room_is_dropped() -> None:
    load = ConstantRate.model_validate(
        {"executor": "constant-arrival-rate", "rate": "1/s", "max_in_flight": 3}
    )
    lengths = np.full(500, 20 * SECOND)
    begin, begun = load.schedule(lengths, 0, (1,), np.random.default_rng(7))
    assert 0 < begun.sum() < 500
    for moment, admitted in zip(begin, begun, strict=True):
        under_way = (begin[begun] < moment) & (moment < begin[begun] + 20 * SECOND)
        assert under_way.sum() <= 3
        # It is dropped for want of room and for nothing else.
        assert admitted == (under_way.sum() < 3)


def test_a_limit_moves_no_arrival_and_a_wide_one_drops_nothing() -> None:
    lengths = np.full(500, 20 * SECOND)
    keys = {"executor": "constant-arrival-rate", "duration": "100s"}
    schedules = [
        ConstantRate.model_validate(keys | limit).schedule(lengths, 0, (1,), np.random.default_rng(7))
        for limit in ({}, {"max_in_flight": 2}, {"max_in_flight": 500})
    ]
    assert (schedules[0].begin == schedules[1].begin).all()
    assert schedules[0].begun.all()
    assert schedules[2].begun.all()
    assert not schedules[1].begun.all()


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=9), more=st.integers(0, 40))
def test_each_place_belongs_to_one_tenant(sizes: list[int], more: int) -> None:
    count = len(sizes) + more
    dealt = [places(count, sizes, tenant) for tenant in range(len(sizes))]
    assert sorted(np.concatenate(dealt).tolist()) == list(range(count))
    # Of the first places each has one, and of any number of them its part.
    assert all(mine[0] < len(sizes) for mine in dealt)
    for first in range(len(sizes), count):
        for mine, size in zip(dealt, sizes, strict=True):
            assert (mine < first).sum() <= np.ceil(first * size / sum(sizes))
