from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from agentsim import risk
from agentsim.risk import budget_curve, read_attacks, report
from agentsim.risk.thresholds import Origin
from agentsim.risk.thresholds.cut import Cut, one_for_all


def test_an_attack_is_found_when_one_of_its_grants_is_an_alert(make_case):
    case = make_case([9, 0, 1, 9, 9, 0], theft_1=[0, 1], theft_2=[2], hijack_3=[3])
    found = report(one_for_all(5), case)
    assert found.recall.loc["theft", ["attacks", "found", "recall"]].tolist() == [2, 1, 0.5]
    assert found.recall.loc["hijack", "recall"] == 1
    assert found.recall.loc["all", ["attacks", "found"]].tolist() == [3, 2]
    assert found.precision.value == pytest.approx(2 / 3)
    # One of two honest tasks.
    assert found.false_alarms.value == 500
    assert any("theft (2)" in warning for warning in found.warnings)


def test_an_attack_is_found_by_its_tree_or_its_agent_as_well(make_case, make_scores):
    scored = pd.concat(
        [make_scores([0, 0]), make_scores([0, 9], kind="tree"), make_scores([0, 9], kind="agent")],
        ignore_index=True,
    )
    case = make_case(scored, theft_1=[1])
    rows = case.attacks.touched
    by_tree = replace(
        case, attacks=replace(case.attacks, touched=pd.concat([rows, rows.assign(kind="tree")]))
    )
    assert report(one_for_all(5), case).found == 0
    found = report(one_for_all(5), by_tree)
    assert (found.found, found.by_kind) == (1, {"grant": 0, "tree": 1, "agent": 1})
    # The tree is right, the agent is a false alarm, and honest tasks are grants.
    assert found.precision.value == 0.5
    assert found.false_alarms.value == 1000
    assert report(Cut({"agent": 5.0}), by_tree).alerts == 1


def test_an_attack_that_touched_nothing_scored_counts_as_missed(make_case):
    found = report(one_for_all(5), make_case([0, 9], theft_1=[77], theft_2=[]))
    assert found.recall.loc["theft", ["attacks", "found"]].tolist() == [2, 0]
    assert any("2 attacks left no trace" in warning for warning in found.warnings)


def test_alerts_are_scaled_to_a_day_with_an_interval(make_case):
    found = report(one_for_all(5), make_case([9, 9, 9, 0], days=0.5))
    assert found.alerts == 3
    assert found.alerts_per_day.value == 6
    assert found.alerts_per_day.low < 6 <= found.alerts_per_day.high
    assert np.isnan(found.recall.loc["all", "recall"])
    assert any("12.0 simulated hours" in warning for warning in found.warnings)


def test_alerts_of_one_tree_come_together_so_their_number_is_less_certain(make_case, make_scores):
    scattered = report(one_for_all(5), make_case(make_scores([9] * 40 + [0] * 360)))
    together = report(one_for_all(5), make_case(make_scores([9] * 40 + [0] * 360, tree=np.arange(400) // 20)))
    assert together.alerts_per_day.high > 1.5 * scattered.alerts_per_day.high


def test_without_a_clock_nothing_is_told_of_days(make_case):
    found = report(one_for_all(5), make_case([9, 0], days=np.nan))
    assert np.isnan(found.alerts_per_day.value)
    assert found.as_dict()["alerts_per_day"] == {"value": None, "low": None, "high": None}


def test_figures_of_the_very_run_that_was_chosen_on_are_called_flattery(make_case, make_scores):
    case = make_case([9, 0], theft_1=[0])
    same = replace(case, origin=Origin("demo", 1, "abc"))
    again = replace(case, origin=Origin("demo", 1, "abc"))
    other = replace(case, origin=Origin("demo", 2, "def"))
    for chosen_on, told in ((same, True), (other, False)):
        warnings = report(one_for_all(5), again, chosen_on=chosen_on).warnings
        assert any("very run" in warning for warning in warnings) == told


def test_what_is_disputed_is_neither_an_attack_nor_a_false_alarm(make_case):
    case = make_case([9, 9, 9, 0], theft_1=[0])
    disputed = pd.DataFrame({"tenant": [0], "kind": ["grant"], "entity": [1]})
    found = report(one_for_all(5), replace(case, attacks=replace(case.attacks, disputed=disputed)))
    assert found.precision.value == 0.5
    assert found.false_alarms.value == 500


def test_a_table_of_scores_that_lacks_something_is_refused(make_case, make_scores):
    with pytest.raises(ValueError, match="role"):
        make_case(make_scores([1.0]).drop(columns="role"))
    with pytest.raises(ValueError, match="finite"):
        make_case([1.0, np.nan])


SECOND = 1_000_000


@pytest.fixture
def stolen(world, tmp_path):
    """A token is used twice by a thief, then handed on, then used again; another grant is honest."""
    thief = world.grant(at=10 * SECOND)
    honest = world.grant(at=11 * SECOND)
    for second, reason in ((20, None), (30, "tool_not_granted"), (40, None)):
        world.verify(thief, "read", at=second * SECOND, reason=reason)
        row = world.rows["audit"][-1]
        world.label(thief, attack="theft", attack_id=1, log_id=row["log_id"], root_grant_id=thief)
        if second == 20:
            child = world.grant(parent=thief, at=25 * SECOND)
            world.grant(parent=child, at=35 * SECOND)
    for row in world.rows["tokens"]:
        issue = next(a for a in world.rows["audit"] if a["grant_id"] == row["grant_id"])
        row |= {"parent_grant_id": issue["parent_grant_id"], "issued_at": issue["timestamp"]}
    return world.write(tmp_path / "run"), thief, honest, world.owner_of[thief]


def test_what_an_attack_touched_is_read_from_labels_audit_and_tree(stolen):
    run, thief, _, agent = stolen
    read = read_attacks(run)
    assert read.touched[["kind", "entity"]].values.tolist() == [
        ["grant", thief],
        ["tree", thief],
        ["agent", agent],
    ]
    assert read.operations[["at", "honoured"]].values.tolist() == [
        [20 * SECOND, True],
        [30 * SECOND, False],
        [40 * SECOND, True],
    ]
    assert sorted(read.below["issued_at"]) == [25 * SECOND, 35 * SECOND]


@pytest.mark.parametrize(
    ("raised", "honoured", "descendants"), [(20, 0, 0), (26, 1, 1), (36, 1, 2), (41, 2, 2), (15, 0, 0)]
)
def test_how_far_an_attack_got_before_its_first_alert(stolen, make_scores, raised, honoured, descendants):
    run, thief, honest, agent = stolen
    scored = pd.concat(
        [
            make_scores([9.0], first=thief),
            make_scores([0.0], first=honest),
            make_scores([9.0], kind="agent", first=agent),
        ],
        ignore_index=True,
    ).assign(raised_at=[raised * SECOND, 12 * SECOND, 50 * SECOND])
    row = report(one_for_all(5), risk.make_case(run, scored)).recall.loc["theft"]
    assert (row["honoured"], row["descendants"]) == (honoured, descendants)
    assert row["microseconds"] == max(raised - 20, 0) * SECOND


def test_the_curve_counts_alerts_at_each_threshold():
    curve = budget_curve(np.array([3.0, 1.0, 3.0, 2.0]), np.array([True, False, False, True]), days=2.0)
    assert curve["threshold"].tolist() == [3, 2, 1]
    assert curve["alerts_per_day"].tolist() == [1, 1.5, 2]
    assert curve["recall"].tolist() == [0.5, 1, 1]
    assert curve["precision"].tolist() == pytest.approx([1 / 2, 2 / 3, 1 / 2])
