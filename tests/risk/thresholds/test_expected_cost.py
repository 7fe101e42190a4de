import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.risk import ThresholdPolicy, choose, report
from agentsim.risk.thresholds import Costs
from agentsim.risk.thresholds.cut import one_for_all
from agentsim.risk.thresholds.expected_cost import cost
from agentsim.risk.thresholds.policy import read_costs
from agentsim.settings.faults import SettingsError


def by_cost(**costs):
    return ThresholdPolicy(by="cost", costs=Costs(**costs))


@settings(max_examples=40, deadline=None)
@given(
    scores=st.lists(st.integers(0, 6), min_size=4, max_size=25),
    missed=st.floats(0, 50),
    false_alarm=st.floats(0.5, 10),
    prevalence=st.none() | st.floats(0.01, 0.9),
)
def test_no_other_threshold_is_cheaper(make_case, scores, missed, false_alarm, prevalence):
    case = make_case(scores, theft_1=[0], theft_2=[1, 2], hijack_1=[1])
    costs = Costs(
        missed={"theft": missed}, missed_otherwise=5.0, false_alarm=false_alarm, prevalence=prevalence
    )
    chosen = choose(ThresholdPolicy(by="cost", costs=costs), case).cut.lowest
    worst = case.worst.to_numpy()
    thresholds = {*map(float, scores), np.inf}
    spent = {t: cost(costs, case, case.score >= t, worst >= t) for t in thresholds}
    assert spent[chosen] == pytest.approx(min(spent.values()))
    # Of equals, the one with the fewest alerts.
    assert chosen >= max(t for t, each in spent.items() if each < min(spent.values()) + 1e-9) - 1e-12


def test_a_dear_attack_is_worth_more_alerts(make_case):
    case = make_case([9, 8, 7, 6, 5, 4, 3], theft_1=[0], hijack_1=[6])
    assert choose(by_cost(missed_otherwise=4.0, false_alarm=1.0), case).cut.lowest == 9
    assert (
        choose(by_cost(missed={"hijack": 6.0}, missed_otherwise=4.0, false_alarm=1.0), case).cut.lowest == 3
    )


def test_where_attacks_are_rare_fewer_alerts_are_worth_it(make_case):
    scores, touched = np.arange(1000.0), {f"theft_{n}": [1000 - 10 * n] for n in range(1, 20)}
    case = make_case(scores, **touched)
    often = choose(by_cost(missed_otherwise=100.0, false_alarm=1.0), case)
    rarely = choose(by_cost(missed_otherwise=100.0, false_alarm=1.0, prevalence=1e-4), case)
    assert (often.alerts, rarely.alerts) == (190, 0)
    assert any("no alert is worth" in warning for warning in rarely.warnings)


def test_what_was_missed_and_what_was_false_is_the_cost_of_a_day(make_case):
    case = make_case([9, 8, 7, 1], days=0.5, theft_1=[0], hijack_1=[3])
    costs = Costs(missed={"hijack": 100.0}, missed_otherwise=50.0, false_alarm=3.0)
    # Two false alarms and the hijack, in half a day.
    assert report(one_for_all(7), case, costs=costs).cost_per_day == 2 * (2 * 3 + 100)


def test_attacks_count_as_often_as_tasks_are_attacked(make_case):
    case = make_case([9, 8, 7, 1], theft_1=[0], hijack_1=[3])
    costs = Costs(missed_otherwise=10.0, false_alarm=1.0, prevalence=0.2)
    # Beside two honest tasks, a prevalence of one in five is half an attack, and there were two.
    assert report(one_for_all(99), case, costs=costs).cost_per_day == pytest.approx(0.25 * 20)


def test_all_faults_of_a_file_of_costs_are_told(tmp_path):
    path = tmp_path / "costs.yaml"
    path.write_text("missed: {token_theft: -5}\nfalse_alarms: 2\nprevalence: 1.5\n")
    with pytest.raises(SettingsError) as refused:
        read_costs(path)
    assert {fault.path for fault in refused.value.faults} == {
        "missed.token_theft",
        "missed_otherwise",
        "false_alarm",
        "false_alarms",
        "prevalence",
    }
