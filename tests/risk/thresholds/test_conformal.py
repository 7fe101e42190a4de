import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from agentsim.risk import ThresholdError, ThresholdPolicy, choose
from agentsim.risk.thresholds.conformal import by_discovery_rate, p_values

TEN_PERCENT = ThresholdPolicy(by="fdr", share=0.1)


@given(
    seed=st.integers(0, 2**32), known=st.integers(1, 60), level=st.floats(0.01, 0.99), rounded=st.booleans()
)
@settings(max_examples=40, deadline=None)
def test_p_values_of_benign_scores_are_never_small_too_often(seed, known, level, rounded):
    # Exchangeable scores: of many draws, at most a share of `level` may have a p-value that small. Ties as well.
    random = np.random.default_rng(seed)
    drawn = random.normal(size=(400, known + 1))
    drawn = np.round(drawn) if rounded else drawn
    p = np.array([p_values(row[1:], row[:1])[0] for row in drawn])
    assert (p <= level).mean() <= level + 5 * np.sqrt(level * (1 - level) / len(p))


@settings(max_examples=40, deadline=None)
@given(
    known=st.lists(st.integers(0, 9), max_size=30).map(lambda xs: np.array(xs, float)),
    scores=st.lists(st.integers(0, 12), min_size=1, max_size=30).map(lambda xs: np.array(xs, float)),
    share=st.floats(0.01, 0.9),
)
def test_a_threshold_alarms_exactly_what_the_procedure_rejects(make_scores, known, scores, share):
    judged = make_scores(scores)
    cut, _ = by_discovery_rate(share, judged, make_scores(known), expected=1)
    rejected = false_discovery_control(p_values(known, scores)) <= share
    assert cut.alerts(judged).tolist() == rejected.tolist()


def world(make_case, make_scores, random, *, judged=10_000, attacked=20, far=6.0, calibrated=1_000):
    scores = random.normal(size=judged)
    scores[:attacked] += far
    case = make_case(make_scores(scores), **{f"theft_{n}": [n] for n in range(attacked)})
    return case, make_scores(random.normal(size=calibrated))


def test_a_calibration_that_is_too_small_finds_nothing_and_says_how_many_are_needed(make_case, make_scores):
    case, calibration = world(make_case, make_scores, np.random.default_rng(1), calibrated=1_000)
    chosen = choose(TEN_PERCENT, case, calibration=calibration)
    assert chosen.alerts == 0
    (warning,) = [text for text in chosen.warnings if "too few trees" in text]
    # m / (alpha k) - 1 = 10,000 / (0.1 x 20) - 1
    assert "4,999" in warning
    assert "worker (grant): 1,000" in warning


def test_a_calibration_that_is_large_enough_finds_them(make_case, make_scores):
    case, calibration = world(make_case, make_scores, np.random.default_rng(1), calibrated=20_000)
    chosen = choose(TEN_PERCENT, case, calibration=calibration)
    alerts = chosen.cut.alerts(case.scored)
    assert alerts[:20].sum() >= 18
    assert not any("too few trees" in text for text in chosen.warnings)


def test_the_share_of_false_alerts_stays_within_bounds(make_case, make_scores):
    false = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        case, calibration = world(
            make_case, make_scores, random, judged=1_000, attacked=50, far=3.0, calibrated=2_000
        )
        alerts = choose(TEN_PERCENT, case, calibration=calibration).cut.alerts(case.scored)
        false.append((alerts & case.benign).sum() / max(alerts.sum(), 1))
    error = np.std(false) / np.sqrt(len(false))
    assert 0.02 < np.mean(false) < 0.1 + 3 * error


def test_each_role_is_judged_by_its_own_kind(make_case, make_scores):
    random = np.random.default_rng(3)
    loud = make_scores(random.normal(10, 1, 4_000), role="loud")
    quiet = make_scores(random.normal(0, 1, 4_000), role="quiet", first=10_000)
    calibration = pd.concat([loud, quiet], ignore_index=True)
    # Ten is nothing for the loud ones, and unheard of for the quiet ones.
    judged = pd.concat(
        [
            make_scores([10.0] * 500, role="loud"),
            make_scores([10.0] * 5 + [0.0] * 495, role="quiet", first=10_000),
        ],
        ignore_index=True,
    )
    cut = choose(TEN_PERCENT, make_case(judged), calibration=calibration).cut
    assert np.flatnonzero(cut.alerts(judged)).tolist() == [500, 501, 502, 503, 504]


def test_a_large_tree_counts_once(make_scores):
    # One benign tree of a thousand grants that score 9, and ninety-nine of one grant that score 0.
    benign = [9.0] * 1000 + [0.0] * 99
    judged = make_scores([9.0] + [0.0] * 9)
    one_tree = make_scores(benign, tree=[0] * 1000 + list(range(1, 100)))
    cut, _ = by_discovery_rate(0.5, judged, one_tree, expected=1)
    assert cut.alerts(judged).sum() == 1
    # Were they a thousand trees, nine would be nothing unusual.
    cut, _ = by_discovery_rate(0.5, judged, make_scores(benign), expected=1)
    assert cut.alerts(judged).sum() == 0


def test_a_role_that_was_never_seen_is_judged_like_all_others(make_case, make_scores):
    judged = make_scores([9.0, *np.zeros(50)], role="new")
    chosen = choose(TEN_PERCENT, make_case(judged), calibration=make_scores(np.linspace(-1, 1, 999)))
    assert chosen.cut.alerts(judged).sum() == 1
    assert any("new (grant)" in text and "no tree" in text for text in chosen.warnings)


def test_it_needs_scores_of_a_run_without_attacks(make_case):
    with pytest.raises(ThresholdError, match="without attacks"):
        choose(TEN_PERCENT, make_case([1, 2, 3]))
