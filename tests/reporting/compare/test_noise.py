"""What is more than noise, and what is none."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.reporting.compare.measures import Measure
from agentsim.reporting.compare.noise import estimate, p_value, table, with_findings

positive = st.floats(0.01, 1e6)


def column(values, errors=None):
    """A figure in each Run of a side; without errors the Runs do not tell how much it varies."""
    return np.array(values, np.float64), np.array(errors or [np.nan] * len(values), np.float64)


def p(one, other, paired=False):
    return p_value(one, other, paired=paired)


def test_single_runs_are_judged_by_what_they_tell_of_themselves():
    # Counts of independent things vary by their root.
    assert p(column([100], [10]), column([110], [10.5])) > 0.4
    assert p(column([100], [10]), column([160], [12.6])) < 0.001
    # Who comes in lumps varies more.
    assert p(column([100], [40]), column([160], [50])) > 0.3
    assert np.isnan(p(column([100]), column([160], [5])))


def test_replications_are_believed_where_they_vary_more_than_the_runs_told():
    assert p(column([10, 11, 9], [1, 1, 1]), column([20, 21, 19], [1, 1, 1])) < 0.001
    assert p(column([0, 20, 10], [1, 1, 1]), column([10, 30, 20], [1, 1, 1])) > 0.1
    # Three that happen to lie close together do not vary less than each told.
    assert p(column([10, 10.1, 9.9], [9, 9, 9]), column([15, 15.1, 14.9], [9, 9, 9])) > 0.3


def test_of_what_no_run_tells_only_replications_tell_noise():
    assert p(column([10, 11, 9]), column([20, 21, 19])) < 0.01
    assert p(column([10, 30, 20]), column([20, 40, 15])) > 0.3
    # One side alone has a spread: it stands for the other.
    assert p(column([10, 11, 9, 10]), column([30])) < 0.01


def test_the_same_seeds_are_compared_in_pairs():
    one, other = column([10, 200, 3_000]), column([11.1, 200.9, 3_001])
    assert p(one, other) > 0.9
    assert p(one, other, paired=True) < 0.01


def test_without_any_spread_only_sameness_is_told():
    assert p(column([5, 5]), column([5, 5])) == 1
    assert np.isnan(p(column([5, 5]), column([6, 6])))
    assert np.isnan(p(column([5, 5]), column([6, 6]), paired=True))
    assert np.isnan(p(column([5]), column([5])))
    # Nothing on both sides is no comparison.
    assert np.isnan(p(column([0], [1]), column([0], [1])))


def test_an_interval_comes_from_the_runs_themselves_or_from_replications():
    assert estimate(*column([10], [2])) == pytest.approx((10, 6.08, 13.92))
    assert estimate(*column([9, 11], [2, 2])) == pytest.approx((10, 10 - 1.96 * 2**0.5, 10 + 1.96 * 2**0.5))
    assert estimate(*column([1, 2, 3])) == pytest.approx((2, 0, 4.4841), abs=1e-3)
    mean, low, high = estimate(*column([10]))
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
