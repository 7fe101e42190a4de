"""Many thresholds at once say what each says alone."""

import numpy as np
import pandas as pd
import pytest

from agentsim.risk import report
from agentsim.risk.thresholds import operating_points
from agentsim.risk.thresholds.cut import one_for_all

MINUTE = 60_000_000


@pytest.fixture
def case(make_case, make_scores):
    """300 grants and 40 agents; attacks of two kinds, one of which touched nothing."""
    random = np.random.default_rng(5)
    scored = pd.concat(
        [
            make_scores(np.round(random.exponential(size=300), 2)),
            make_scores(np.round(random.exponential(size=40), 2), kind="agent"),
        ],
        ignore_index=True,
    )
    scored["raised_at"] = pd.array(random.integers(0, 60, len(scored)) * MINUTE, dtype="Int64")
    touched = {f"theft_{n}": random.integers(0, 300, 3).tolist() for n in range(20)}
    touched |= {f"hijack_{n}": random.integers(0, 300, 2).tolist() for n in range(9)}
    return make_case(scored, days=0.5, **touched, hijack_none=[])


def test_each_point_is_what_a_report_at_its_threshold_says(case):
    points = operating_points(case, keep=[1.2345, np.inf])
    assert {1.2345, np.inf} <= set(points.figures["threshold"])
    for place in (0, 1, 7, 40, 100, len(points.figures) - 1):
        row, told = points.figures.iloc[place], report(one_for_all(points.figures["threshold"][place]), case)
        assert row["alerts"] == told.alerts
        for name, value in (
            ("alerts_per_day", told.alerts_per_day.value),
            ("precision", told.precision.value),
            ("false_alarms", told.false_alarms.value),
            ("found", told.found),
            ("seconds", told.recall["microseconds"].get("all", np.nan) / 1e6),
        ):
            assert row[name] == pytest.approx(value, nan_ok=True), name
        for kind in ("theft", "hijack"):
            assert points.found[kind].iloc[place] == told.recall.loc[kind, "found"]
            assert points.attacks[kind] == told.recall.loc[kind, "attacks"]


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_what_is_asked_for(case):
    every, few = operating_points(case, points=10_000), operating_points(case, points=20, keep=[0.77])
    assert len(every.figures) == len(np.unique(case.score))
    assert len(few.figures) <= 20
    thresholds = few.figures["threshold"]
    assert 0.77 in thresholds.tolist()
    assert thresholds.is_monotonic_decreasing
    assert (thresholds.iloc[0], thresholds.iloc[-1]) == (case.score.max(), case.score.min())


def test_without_times_nothing_is_said_about_delays(make_case):
    points = operating_points(make_case([1, 2, 3], theft_1=[2]))
    assert points.figures["seconds"].isna().all()
    assert points.found["theft"].tolist() == [1, 1, 1]
