"""What is more than noise, and what is none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.reporting.compare.measures import Measure
from agentsim.reporting.compare.noise import estimate, p_value, table, with_findings

NONE = (np.nan, np.nan)
positive = st.floats(0.01, 1e6)


def values(*numbers):
    return np.array(numbers, np.float64)


def p(one, other, errors=NONE, paired=False):
    return p_value(values(*one), values(*other), errors, paired=paired)


def test_single_runs_are_judged_by_what_they_tell_of_themselves():
    # Counts of independent things vary by their root.
    assert p([100], [110], (10, 10.5)) > 0.4
    assert p([100], [160], (10, 12.6)) < 0.001
    # Who comes in lumps varies more.
    assert p([100], [160], (40, 50)) > 0.3
    assert np.isnan(p([100], [160], (np.nan, 5)))


def test_replications_tell_noise_better_than_a_single_run_does():
    assert p([10, 11, 9], [20, 21, 19], (100, 100)) < 0.01
    assert p([10, 30, 20], [20, 40, 15], (0.01, 0.01)) > 0.3
    # One side alone has a spread: it stands for the other.
    assert p([10, 11, 9, 10], [30]) < 0.01


def test_the_same_seeds_are_compared_in_pairs():
    one, other = [10, 200, 3_000], [11.1, 200.9, 3_001]
    assert p(one, other) > 0.9
    assert p(one, other, paired=True) < 0.01


def test_without_any_spread_only_sameness_is_told():
    assert p([5, 5], [5, 5]) == 1
    assert np.isnan(p([5, 5], [6, 6]))
    assert np.isnan(p([5, 5], [6, 6], paired=True))
    # Nothing on both sides is no comparison.
    assert np.isnan(p([0], [0], (1, 1)))


def test_an_interval_comes_from_replications_or_from_the_run_itself():
    assert estimate(values(10), values(2)) == pytest.approx((10, 6.08, 13.92))
    mean, low, high = estimate(values(1, 2, 3), values(9, 9, 9))
    assert (mean, low, high) == pytest.approx((2, 0, 4.4841), abs=1e-3)
    mean, low, high = estimate(values(10), values(np.nan))
    assert mean == 10
    assert np.isnan([low, high]).all()


@given(st.lists(positive, min_size=1, max_size=4), positive)
def test_no_interval_reaches_below_nothing_or_misses_its_value(numbers, error):
    mean, low, high = estimate(np.array(numbers), np.full(len(numbers), error))
    assert 0 <= low <= mean * (1 + 1e-12)
    assert high >= mean * (1 - 1e-12)


def figures(**told):
    return [[Measure(name, value, error) for name, (value, error) in told.items()]]


def test_figures_stand_in_order_and_a_reason_that_never_came_is_zero():
    first = figures(a=(1, 1), z=(5, 1))
    other = [
        [
            Measure("a", 2, 1),
            Measure("refused as b, per 1,000 operations", 4, 2),
            Measure("z", 5, 1),
            Measure("new", 1, 1),
        ]
    ]
    frame = table([first, other], ["A", "B"], paired=False)
    assert frame["figure"].tolist()[::2] == ["a", "refused as b, per 1,000 operations", "z", "new"]
    reason = frame[frame["figure"].str.startswith("refused")]
    assert reason["value"].tolist() == [0, 4]
    assert reason["ratio"].isna().all()
    assert np.isnan(frame[frame["figure"] == "new"]["value"].iloc[0])
    assert frame[frame["figure"] == "a"]["ratio"].tolist() == [1, 2]


def test_how_large_a_run_is_is_never_a_finding():
    sides = [[[Measure("agents", 10, 0.1, size=True)]], [[Measure("agents", 99, 0.1, size=True)]]]
    frame = with_findings(table(sides, ["A", "B"], paired=False))
    assert not frame["beyond"].any()
    assert frame["p"].isna().all()


def test_of_many_comparisons_one_in_twenty_is_no_finding():
    """What a single test would call a finding, is none among twenty others."""
    frame = pd.DataFrame({"p": [np.nan, 0.04, *np.linspace(0.1, 1, 19)]})
    assert not with_findings(frame)["beyond"].any()
    assert with_findings(pd.DataFrame({"p": [0.04]}))["beyond"].all()
    assert with_findings(pd.DataFrame({"p": [1e-6, *np.linspace(0.1, 1, 19)]}))["beyond"].sum() == 1
