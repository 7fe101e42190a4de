import numpy as np
import pytest

from agentsim.simulation.workload import ConstantRate, Profile, RampingRate

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
