import pandas as pd

from agentsim.risk.thresholds import compare
from agentsim.risk.thresholds.cut import Cut, one_for_all


def test_alerts_gained_and_lost_are_counted_by_role_and_by_attack(make_case, make_scores):
    table = pd.concat(
        [make_scores([9, 8, 2]), make_scores([7, 6, 1], role="lead", first=3)], ignore_index=True
    )
    case = make_case(table, theft_1=[1], theft_2=[3], hijack_1=[4])
    # Workers are alerts from 9 on instead of 8, leads from 6 on instead of never.
    old = Cut({"grant": 8.0}, {"lead": {"grant": float("inf")}})
    new = Cut({"grant": 9.0}, {"lead": {"grant": 6.0}})
    told = compare(old, case, new, case)
    columns = ["old", "new", "gained", "gained_right", "lost", "lost_right"]
    assert told.by_role.loc[("grant", "worker"), columns].tolist() == [2, 1, 0, 0, 1, 1]
    assert told.by_role.loc[("grant", "lead"), columns].tolist() == [0, 2, 2, 2, 0, 0]
    assert told.by_attack.loc["theft"].tolist() == [2, 1, 1, 1, 1]
    assert told.by_attack.loc["hijack"].tolist() == [1, 0, 1, 1, 0]
    assert told.gained["entity"].tolist() == [3, 4]
    assert told.lost["entity"].tolist() == [1]
    assert (told.old.alerts, told.new.alerts) == (2, 3)


def test_two_models_are_compared_each_by_its_own_scores(make_case, make_scores):
    old_case = make_case([9, 1, 1], theft_1=[1])
    new_case = make_case(make_scores([1, 9, 9]).iloc[::-1].reset_index(drop=True), theft_1=[1])
    told = compare(one_for_all(5), old_case, one_for_all(5), new_case)
    assert told.gained[["entity", "old_score", "new_score", "attacked"]].values.tolist() == [
        [1, 1.0, 9.0, True],
        [2, 1.0, 9.0, False],
    ]
    assert told.lost["entity"].tolist() == [0]


def test_the_same_thresholds_change_nothing(make_case):
    case = make_case([9, 8, 1], theft_1=[2])
    told = compare(one_for_all(5), case, one_for_all(5), case)
    assert told.gained.empty
    assert told.lost.empty
    assert told.as_dict()["by_attack"] == [
        {"attack": "theft", "attacks": 1, "old": 0, "new": 0, "gained": 0, "lost": 0}
    ]
