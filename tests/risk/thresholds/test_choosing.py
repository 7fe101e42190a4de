import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.risk import ThresholdError, ThresholdPolicy, alert_budget, choose
from agentsim.risk.thresholds import KINDS
from agentsim.settings.mending import validate

# Few distinct values, so that ties are the rule.
SOME = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 12).map(lambda n: n / 4)), min_size=1, max_size=60
)
# Small tables, but pandas takes its time with each.
FEW = settings(max_examples=30, deadline=None)
RATE = st.floats(0.01, 200)
DAYS = st.floats(0.05, 5)


def policy(**arguments):
    return ThresholdPolicy.model_validate(arguments)


def table(make_scores, rows):
    return make_scores([score for _, score in rows]).assign(kind=[kind for kind, _ in rows])


@FEW
@given(rows=SOME, rate=RATE, days=DAYS)
def test_the_budget_is_kept_where_it_was_chosen_and_used_up(make_case, make_scores, rows, rate, days):
    case = make_case(table(make_scores, rows), days)
    chosen = choose(alert_budget(rate), case)
    assert chosen.alerts == chosen.cut.alerts(case.scored).sum() <= rate * days + 1e-6
    # The next lower score would be too many.
    if (lower := case.score[case.score < chosen.cut.lowest]).size:
        assert (case.score >= lower.max()).sum() > rate * days - 1e-6


@FEW
@given(rows=SOME, rates=st.tuples(RATE, RATE), days=DAYS)
def test_a_larger_budget_never_raises_the_threshold(make_case, make_scores, rows, rates, days):
    case = make_case(table(make_scores, rows), days)
    small, large = (choose(alert_budget(rate), case).cut.lowest for rate in sorted(rates))
    assert large <= small


def test_analysts_with_their_minutes_are_a_budget(make_case):
    people = policy(by="budget", analysts=2.0, minutes_per_alert=20.0)
    assert people.budget == 2 * 8 * 60 / 20 == 48
    case = make_case(np.arange(1000.0))
    assert choose(people, case).cut == choose(alert_budget(48), case).cut


def test_a_score_that_most_share_cannot_be_cut(make_case):
    chosen = choose(alert_budget(50), make_case(np.ones(100)))
    assert chosen.cut.lowest == np.inf
    assert any("share one score" in warning for warning in chosen.warnings)


def test_a_run_that_is_too_short_for_its_budget_says_so(make_case):
    chosen = choose(alert_budget(2), make_case(np.arange(1000.0), days=0.1))
    assert chosen.alerts == 0
    assert any("allow none" in warning for warning in chosen.warnings)


def test_without_a_clock_there_are_no_alerts_a_day(make_case):
    with pytest.raises(ThresholdError, match="times mean nothing"):
        choose(alert_budget(2), make_case([1, 2, 3], days=np.nan))


def test_a_fixed_score_is_taken_as_it_is(make_case):
    chosen = choose(policy(by="fixed", score=2.0), make_case([1, 2, 3]))
    assert (chosen.cut.kinds, chosen.alerts) == ({"grant": 2.0}, 2)


def test_thresholds_stand_for_the_kinds_that_were_scored(make_case, make_scores):
    both = pd.concat([make_scores([1, 5]), make_scores([4, 2], kind="agent")], ignore_index=True)
    assert choose(policy(by="fixed", score=2.0), make_case(both)).cut.kinds == {"grant": 2.0, "agent": 2.0}


def test_a_floor_on_recall_is_reached_and_no_more_than_that(make_case):
    touched = {"theft_1": [9], "theft_2": [7], "theft_3": [4], "theft_4": [2], "hijack_1": [8, 1]}
    case = make_case(np.arange(10.0), **touched)
    assert choose(policy(by="recall", floors={"theft": 0.5}), case).cut.lowest == 7
    assert choose(policy(by="recall", floors={"theft": 0.51}), case).cut.lowest == 4
    # An attack is found by the most suspicious thing that it touched.
    assert choose(policy(by="recall", floors={"hijack": 1.0}), case).cut.lowest == 8
    assert choose(policy(by="recall", floors={"hijack": 1.0, "theft": 0.75}), case).cut.lowest == 4


def test_a_floor_that_cannot_be_reached_is_refused(make_case):
    case = make_case([1, 2, 3], theft_1=[2], theft_2=[99])
    with pytest.raises(ThresholdError, match="only 1 touched anything that is scored"):
        choose(policy(by="recall", floors={"theft": 1.0}), case)
    with pytest.raises(ThresholdError, match=r"'thief'.* did you mean 'theft'"):
        choose(policy(by="recall", floors={"thief": 1.0}), case)


@pytest.mark.parametrize(
    "way",
    [
        {"by": "recall", "floors": {"theft": 0.5}},
        {"by": "cost", "costs": {"missed_otherwise": 1.0, "false_alarm": 1.0}},
    ],
)
def test_what_reads_attacks_needs_some(make_case, way):
    with pytest.raises(ThresholdError, match="nobody attacked"):
        choose(policy(**way), make_case([1, 2, 3]))


def test_nothing_scored_is_nothing_to_choose_on(make_case):
    with pytest.raises(ThresholdError, match="nothing was scored"):
        choose(alert_budget(5), make_case([]))


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"by": "fixed"}, "score", "required where thresholds are chosen by fixed"),
        ({"by": "fixed", "score": 1.0, "share": 0.1}, "share", "means nothing"),
        ({"by": "budget"}, "alerts", "a budget is"),
        ({"by": "budget", "alerts": "5/day", "analysts": 2.0}, "alerts", "a budget is"),
        ({"by": "budget", "alerts": "5"}, "alerts", "50/day or 2/hour"),
        ({"by": "fdr", "share": 1.5}, "share", "must be less than 1"),
        ({"by": "recall", "floors": {"theft": 0.0}}, "floors.theft", "must be more than 0"),
        ({"by": "cost", "costs": {"missed_otherwise": 1.0}}, "costs.false_alarm", "missing"),
        ({"by": "luck"}, "by", "must be"),
    ],
)
def test_arguments_that_do_not_fit_the_way_are_told(given, path, message):
    made, faults = validate(ThresholdPolicy, given)
    assert made is None
    assert [fault.path for fault in faults] == [path]
    assert message in faults[0].message
