import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from agentsim.risk import metrics
from agentsim.risk.metrics import (
    count_by_group,
    pr_auc,
    recall_at,
    roc_auc,
    share,
    within_base_rate,
    within_pr_auc,
    within_roc_auc,
)


def judged(size=400, seed=0):
    random = np.random.default_rng(seed)
    truth = random.random(size) < 0.2
    score = np.round(random.normal(size=size) + truth, 1)
    return truth, score, random.integers(0, 25, size), random.integers(0, 4, size)


def test_a_share_has_wilsons_interval():
    # R. G. Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
    assert share(81, 263) == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)
    assert np.isnan(share(0, 0).value)


def test_areas_are_scikit_learns_and_lie_within_their_intervals():
    truth, score, group, _ = judged()
    precision, area = pr_auc(truth, score, group), roc_auc(truth, score, group)
    assert precision.value == pytest.approx(average_precision_score(truth, score))
    assert area.value == pytest.approx(roc_auc_score(truth, score))
    for estimate in (precision, area):
        assert estimate.low < estimate.value < estimate.high


def test_replicates_are_scikit_learns_figures_under_the_drawn_weights():
    truth, score, group, _ = judged()
    drawn = metrics._draws(group.max() + 1, 0)[:, group]
    for own, reference in (
        (metrics._average_precision, average_precision_score),
        (metrics._area, roc_auc_score),
    ):
        expected = [reference(truth, score, sample_weight=weight) for weight in drawn]
        assert metrics._replicates(truth, score, group, 0, own) == pytest.approx(expected)


def test_within_agent_is_the_mean_over_agents_with_their_positives_as_weights():
    truth, score, group, agent = judged()
    areas = [roc_auc_score(truth[agent == a], score[agent == a]) for a in range(4)]
    weights = [truth[agent == a].sum() for a in range(4)]
    found = within_roc_auc(truth, score, agent, group)
    assert found.value == pytest.approx(np.average(areas, weights=weights))
    assert found.low < found.value < found.high


def test_precision_within_agent_is_weighted_the_same_way_and_chance_reaches_the_base_rate():
    truth, score, group, agent = judged()
    own = [agent == a for a in range(4)]
    expected = np.average(
        [average_precision_score(truth[rows], score[rows]) for rows in own],
        weights=[truth[rows].sum() for rows in own],
    )
    found = within_pr_auc(truth, score, agent, group)
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    nothing = within_pr_auc(truth, np.zeros(len(truth)), agent, group)
    assert nothing.value == pytest.approx(within_base_rate(truth, agent))


def test_knowing_the_agent_alone_is_worth_nothing_within_agents():
    truth, _, group, agent = judged()
    rate = np.array([truth[agent == a].mean() for a in range(4)])[agent]
    assert roc_auc(truth, rate, group).value > 0.5
    assert within_roc_auc(truth, rate, agent, group).value == 0.5


def test_an_agent_that_was_never_fooled_has_no_say():
    truth, score = np.array([True, False, False]), np.array([1.0, 0.0, 9.0])
    assert within_roc_auc(truth, score, np.array([0, 0, 1]), np.array([0, 1, 2])).value == 1.0


def test_fewer_and_larger_groups_leave_more_doubt():
    random = np.random.default_rng(1)
    alike = np.repeat(np.arange(10), 100)
    truth = random.random(1000) < 0.3
    # Whole groups score alike, as runs of one task do.
    score = random.normal(size=10)[alike] + truth
    grouped, single = roc_auc(truth, score, alike), roc_auc(truth, score, np.arange(1000))
    assert grouped.high - grouped.low > 1.5 * (single.high - single.low)


def test_counts_by_group_widen_where_alerts_come_in_one_tree():
    flags = np.zeros(1000, bool)
    flags[:100] = True
    together, spread = np.arange(1000) // 100, np.arange(1000) % 10
    one_tree, all_trees = count_by_group(flags, together), count_by_group(flags, spread)
    assert one_tree.value == all_trees.value == 100
    assert (one_tree.low, one_tree.high) == (0, pytest.approx(300, abs=100))
    assert (all_trees.low, all_trees.high) == (100, 100)


@settings(max_examples=60, deadline=None)
@given(
    score=hnp.arrays(float, st.integers(4, 60), elements=st.integers(0, 8).map(float)),
    seed=st.integers(0, 99),
    allowed=st.sampled_from([0.0, 0.01, 0.05, 0.3]),
)
def test_recall_is_read_where_false_alarms_stay_in_bounds(score, seed, allowed):
    truth = np.random.default_rng(seed).random(len(score)) < 0.4
    truth[:2] = [True, False]
    found = recall_at(truth, score, allowed, np.arange(len(score)))
    # The best that any threshold within the bound reaches.
    reachable = [
        (score[truth] > threshold).mean()
        for threshold in [-np.inf, *score]
        if (score[~truth] > threshold).mean() <= allowed
    ]
    assert found.value == pytest.approx(max(reachable))


def test_recall_is_more_in_doubt_where_positives_come_in_groups():
    random = np.random.default_rng(2)
    alike = np.repeat(np.arange(20), 50)
    truth = random.random(1000) < 0.3
    # In half of the groups the positives stand out.
    score = random.normal(size=1000) + 4 * truth * (alike % 2)
    grouped, single = recall_at(truth, score, 0.05, alike), recall_at(truth, score, 0.05, np.arange(1000))
    assert grouped.value == single.value
    assert grouped.high - grouped.low > 1.5 * (single.high - single.low)
