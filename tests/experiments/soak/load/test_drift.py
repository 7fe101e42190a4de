"""Whether something grew: flat is said only where growth is ruled out."""

import numpy as np
import pandas as pd
import pytest

from agentsim.experiments.soak.load.drift import drift


def curve(seconds: int, per_hour: float, noise: float) -> pd.Series:
    at = np.arange(seconds)
    random = np.random.default_rng(3)
    return pd.Series(100 * (1 + per_hour * at / 3600) + random.normal(0, noise, seconds))


@pytest.mark.parametrize(
    ("seconds", "per_hour", "noise", "verdict"),
    [
        (3_600, 0.0, 1.0, "flat"),
        (3_600, -0.5, 1.0, "flat"),
        (3_600, 0.02, 0.1, "flat"),
        (3_600, 0.5, 1.0, "grows"),
        (900, 0.0, 30.0, "unclear"),
        (200, 5.0, 0.1, "too short"),
    ],
)
def test_it_is_flat_grows_or_nobody_can_tell(seconds, per_hour, noise, verdict):
    found = drift(curve(seconds, per_hour, noise))
    assert found.verdict == verdict
    assert found.low <= found.per_hour <= found.high


def test_only_the_second_half_counts_and_single_seconds_do_not_matter():
    warm = pd.Series(np.r_[np.linspace(10, 100, 1_800), np.full(1_800, 100.0)])
    warm.iloc[2_000] = 5_000.0
    warm.iloc[2_500] = np.nan
    found = drift(warm)
    assert (found.level, found.per_hour, found.verdict) == (100.0, 0.0, "flat")


@pytest.mark.parametrize("values", [[], [1.0] * 5, [np.nan] * 500, [0.0] * 500])
def test_of_too_little_nothing_is_said(values):
    assert drift(pd.Series(values, dtype=float)) is None
