import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agentsim.risk import budget_curve, choose_threshold, report_threshold


@settings(max_examples=80, deadline=None)
@given(
    score=hnp.arrays(float, st.integers(1, 80), elements=st.integers(0, 12).map(float)),
    budget=st.floats(0.5, 200),
)
def test_the_budget_is_kept_and_no_lower_threshold_would_keep_it(score, budget):
    # One day, so that a budget of N is N alerts.
    threshold = choose_threshold(score, alert_budget=budget, grants_per_day=len(score))
    assert (score >= threshold.value).sum() == threshold.chosen_alerts <= budget
    lower = score[score < threshold.value]
    if len(lower):
        assert (score >= lower.max()).sum() > budget


def test_a_choosing_run_of_another_size_allows_the_same_share():
    score = np.arange(1000.0)
    # A tenth of the judged organisation's grants in a day: 10 alerts of its 10,000 are 1 of these 1,000.
    threshold = choose_threshold(score, alert_budget=10, grants_per_day=10_000)
    assert threshold.value == 999
    assert any("rests on 1 alerts" in warning for warning in threshold.warnings)


def test_a_score_that_most_grants_share_cannot_be_cut():
    threshold = choose_threshold(np.ones(100), alert_budget=50, grants_per_day=100)
    assert threshold.value == np.inf
    assert any("share one score" in warning for warning in threshold.warnings)


@pytest.mark.parametrize(("budget", "rate"), [(0, 10), (-1, 10), (5, 0)])
def test_a_budget_is_more_than_nothing(budget, rate):
    with pytest.raises(ValueError, match="positive"):
        choose_threshold(np.ones(3), alert_budget=budget, grants_per_day=rate)


def attacks(*rows):
    return pd.DataFrame(rows, columns=["attack", "instance", "place"])


def report(score, attacked, table, days=1.0, at=5.0):
    threshold = choose_threshold(np.array([at]), alert_budget=1, grants_per_day=1)
    tree = np.arange(len(score))
    return report_threshold(threshold, np.array(score, float), np.array(attacked, bool), tree, days, table)


def test_an_attack_is_found_when_one_of_its_grants_is_an_alert():
    table = attacks(("theft", "0/1", 0), ("theft", "0/1", 1), ("theft", "0/2", 2), ("hijack", "0/3", 3))
    found = report([9, 0, 1, 9, 9, 0], [1, 1, 1, 1, 0, 0], table)
    assert found.recall.loc["theft", ["attacks", "found", "recall"]].tolist() == [2, 1, 0.5]
    assert found.recall.loc["hijack", "recall"] == 1
    assert found.recall.loc["all", ["attacks", "found"]].tolist() == [3, 2]
    assert found.precision.value == pytest.approx(2 / 3)
    assert found.false_alarm_share.value == pytest.approx(1 / 2)
    assert any("theft" in warning for warning in found.warnings)


def test_an_attack_that_touched_no_grant_counts_as_missed():
    # The last grant is an alert, for something else.
    found = report([0, 9], [0, 0], attacks(("theft", "0/1", -1)))
    assert found.recall.loc["theft", ["attacks", "found"]].tolist() == [1, 0]
    assert any("left no trace" in warning for warning in found.warnings)


def test_alerts_are_scaled_to_a_day_with_an_interval():
    found = report([9, 9, 9, 0], [0, 0, 0, 0], attacks(), days=0.5)
    assert found.alerts == 3
    assert found.alerts_per_day.value == 6
    assert found.alerts_per_day.low < 6 <= found.alerts_per_day.high
    assert np.isnan(found.recall.loc["all", "recall"])


def test_the_curve_counts_alerts_at_each_threshold():
    curve = budget_curve(np.array([3.0, 1.0, 3.0, 2.0]), np.array([True, False, False, True]), days=2.0)
    assert curve["threshold"].tolist() == [3, 2, 1]
    assert curve["alerts_per_day"].tolist() == [1, 1.5, 2]
    assert curve["recall"].tolist() == [0.5, 1, 1]
    assert curve["precision"].tolist() == pytest.approx([1 / 2, 2 / 3, 1 / 2])
