"""Drills: thresholds from where nobody attacks, figures from seeds that nobody has looked at."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from agentsim.cli import main
from agentsim.cli.drilled import print_drill
from agentsim.experiments.drill import DrillError, Plan, drill
from agentsim.experiments.drill.arena import Side
from agentsim.experiments.drill.judging import Trial, judge, judge_unmet, mean_share
from agentsim.experiments.drill.scorers import DEFAULT, SUPERVISED, labelled
from agentsim.experiments.giveaways import giveaways, separations
from agentsim.risk import Attacks, Case
from agentsim.run import Run
from agentsim.simulation import Scenario

pytestmark = pytest.mark.long

KINDS = ("scope_escalation", "token_theft")


def plan(**changed: object) -> Plan:
    scenario = Scenario.model_validate(
        {
            "schema": 1,
            "name": "small",
            "seed": 5,
            "population": {"agents": 200},
            "window": "30s",
            "workload": {"executor": "constant-arrival-rate", "duration": "15m"},
            "attacks": [{"kind": "long_lived", "prevalence": 0.5, "start": "2m"}],
        }
    )
    return replace(
        Plan(scenario, kinds=KINDS, stealth=0.0, sealed=1, rate=0.02, prevalence=0.1),
        **changed,  # type: ignore[arg-type]
    )


def entities(score, kind="grant", first=0):
    ids = np.arange(first, first + len(score))
    columns = {"kind": kind, "tenant": 0, "entity": ids, "tree": ids, "role": "clerk"}
    return pd.DataFrame({**columns, "score": np.asarray(score, float)})


def case(score, near=(), **touched):
    """Grants with scores; ``theft_1=[3]``: the first theft touched the fourth."""
    rows = [(name.split("_")[0], name, 0, "grant", entity) for name, of in touched.items() for entity in of]
    attacks = pd.DataFrame(rows, columns=["attack", "instance", "tenant", "kind", "entity"])
    beside = pd.DataFrame({"tenant": 0, "kind": "grant", "entity": np.asarray(near, np.int64)})
    return Case(
        entities(score),
        Attacks(
            operations=attacks[["attack", "instance"]].drop_duplicates().assign(at=0, honoured=True),
            touched=attacks,
            below=pd.DataFrame(columns=["instance", "grant_id", "issued_at"]),
            near=beside,
            disputed=beside[:0],
        ),
        1.0,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("drill")


@pytest.fixture(scope="module")
def held(folder):
    return drill(plan(), folder, stealths=(0.0, 1.0), corrupt=True, jobs=1)


def test_each_run_has_a_seed_of_its_own_and_nobody_attacks_where_something_is_learned(held, folder):
    assert set(held.seeds) == {"reference", "calibration", "choosing-0.00", "sealed-1-0.00"}
    assert len({5, *held.seeds.values()}) == 5
    for name, seed in held.seeds.items():
        run = Run(folder / "runs" / name)
        assert run.manifest.seed == seed
        assert set(run.frame("labels")["attack"].unique()) == (set() if "0.00" not in name else set(KINDS))
    # The judged scenario's own attacks are not played, but they begin when its own would.
    assert {attack.start for attack in plan().choosing.attacks} == {120_000_000}


def test_loud_attacks_are_found_and_the_figures_hang_together(held):
    best = held.found[DEFAULT]
    assert next(iter(held.found)) == DEFAULT
    assert best.mean_recall.value > 0.8
    assert best.mean_recall.value == pytest.approx(best.kinds["recall"].mean())
    assert (best.kinds["pr_auc"] > 5 * best.kinds["base_rate"]).all()
    assert best.kinds["attacks"].sum() == len(best.attacks)
    assert best.alarms["honest_tasks"].item() > 100
    table = held.detectors.set_index("detector")
    assert {"robust z, by role", "novelty for the task", "isolation forest, by role"} < set(table.index)
    assert set(held.found[SUPERVISED].kinds.index) == set(KINDS)


def test_all_of_it_is_kept(held, folder):
    kept = json.loads((folder / "summary.json").read_text())
    assert kept == held.as_dict()
    assert kept["verdict"].startswith("The simulator's own check has")
    assert kept["check_passed"] == (len(held.giveaways) == 0)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "kinds.parquet"), held.kinds)


def test_people_are_told_the_verdict_first_then_detectors_kinds_stealth_and_corruptions(held, folder, capsys):
    print_drill(held, folder)
    told = capsys.readouterr().out
    assert told.startswith(held.verdict)
    heads = ["Detector", "by stealth", "Corruption", str(folder)]
    places = [told.index(head) for head in heads]
    assert places == sorted(places)
    assert "scope escalation" in told
    assert "nan" not in told


def test_the_sweep_tells_of_every_kind_at_every_stealth_and_agrees_with_the_drill(held):
    table = held.sweep.set_index(["stealth", "attack"])["recall"].unstack()
    assert list(table.index) == [0.0, 1.0]
    assert table.loc[0.0].to_dict() == held.found[DEFAULT].kinds["recall"].to_dict()


def test_what_spoiled_data_costs_is_told_beside_clean_data(held):
    spoiled = held.corruptions.set_index(["detector", "corruption"])
    table = spoiled["mean_recall"]
    assert table[DEFAULT, "none"] == held.found[DEFAULT].mean_recall.value
    # Which way it goes is the drill's to tell, and loud attacks are found all the same; but each corruption reaches what is
    # learned from, or what is judged, so that no row is the clean one.
    figures = spoiled.loc[DEFAULT, ["mean_recall", "pr_auc", "false_alarms_per_1000"]]
    others = figures.drop(index="none")
    assert len(others) == 4
    changed = (others != figures.loc["none"]).any(axis=1)
    assert changed["each of them 5 times"]
    assert changed["work has drifted since, by 0.2"]
    assert {"5% of the labels are wrong", "each attack 5 times"} <= set(table[SUPERVISED].index)


def test_the_threshold_is_the_lowest_that_keeps_the_rate_where_nobody_attacks():
    quiet = pd.concat(
        [entities(range(1000)), entities([2000, 997.5], "tree", 5000), entities([999.0], "agent", 9000)]
    )
    # Three alarms for 1,000 tasks: 2000 and the two of 999; 998 would be a fourth.
    threshold = Trial(quiet, []).threshold(0.003)
    assert 998 < threshold <= 998.0001
    # Scores that are alike are all alarms, or none is.
    assert Trial(quiet, []).threshold(0.002) > 999
    assert Trial(quiet, []).threshold(0.0005) > 2000


def test_the_threshold_does_not_know_the_runs_that_are_judged():
    judged = case([5, 7, 7, 9, 0], theft_1=[3], theft_2=[4])
    found = judge(Trial(entities(range(8)), [judged, judged]), 0.2)
    assert 6 < found.threshold < 7
    assert found.kinds.loc["theft", ["attacks", "found"]].tolist() == [4, 2]
    assert found.alarms["false_alarms"].tolist() == [2, 2]
    assert found.false_alarms.value == pytest.approx(2 / 3)


def test_a_neighbour_in_an_attacked_tree_is_neither_found_nor_a_false_alarm():
    judged = case([0, 9, 9, 1], near=[0, 1], theft_1=[0])
    found = judge(Trial(entities(range(6)), [judged]), 0.17)
    assert found.kinds.loc["theft", "found"] == 0
    assert found.alarms[["false_alarms", "honest_tasks"]].values.tolist() == [[1, 2]]


def test_each_kind_counts_the_same_and_certainty_grows_with_attacks():
    assert mean_share(np.array([1, 50]), np.array([1, 100])).value == 0.75
    few, many = (mean_share(np.array([n, n]), np.array([2 * n, 2 * n])) for n in (3, 300))
    assert few.low < many.low < 0.5 < many.high < few.high


def test_who_never_met_a_kind_is_judged_on_that_kind_alone():
    quiet = entities(range(10))
    judged = [[9.5, 0, 0, 0], [0, 9.5, 0, 0]]
    trials = {
        kind: Trial(quiet, [case(score, theft_1=[0], hijack_1=[1])])
        for kind, score in zip(("theft", "hijack"), judged, strict=True)
    }
    assert judge_unmet(trials, 0.1).kinds["recall"].to_dict() == {"theft": 1.0, "hijack": 1.0}
    swapped = dict(zip(("hijack", "theft"), trials.values(), strict=True))
    assert judge_unmet(swapped, 0.1).kinds["recall"].to_dict() == {"hijack": 0.0, "theft": 0.0}


def test_neighbours_and_what_two_kinds_touched_teach_nothing(held, folder):
    side = Side.of(Run(folder / "runs" / "choosing-0.00"))
    evidence, attack = labelled(side)
    assert set(attack) == {"", *KINDS}
    touched = side.attacks.touched
    grants = touched[touched["kind"] == "grant"].drop_duplicates(["attack", "entity"])
    once = grants.drop_duplicates("entity", keep=False)
    assert set(evidence.features.index[attack != ""]) == set(once["entity"])
    near = side.attacks.near
    near = set(near.loc[near["kind"] == "grant", "entity"])
    assert near - set(grants["entity"])
    assert not near & set(evidence.features.index[attack == ""])


def test_what_gives_an_attack_away_is_found_unless_it_is_a_signal_of_it(held, folder):
    runs = [Run(folder / "runs" / "sealed-1-0.00")]
    table = separations([*runs, *runs], Run(folder / "runs" / "reference"))
    told = table.set_index(["attack", "kind", "feature"])
    # A loud thief comes from outside, and says so.
    assert told.loc[("token_theft", "grant", "source_ips"), "declared"]
    assert told.loc[("token_theft", "grant", "source_ips"), "roc_auc"] > 0.8
    undeclared = table.assign(declared=False, enough=True)
    assert ("token_theft", "grant", "source_ips") in giveaways(undeclared).set_index(
        ["attack", "kind", "feature"]
    ).index
    assert not giveaways(table)["declared"].any()
    # The same Run twice has twice the attacked entities, and tells the same.
    once = separations(runs, Run(folder / "runs" / "reference"))
    assert (table["attacked"] == 2 * once["attacked"]).all()
    assert np.allclose(table["roc_auc"], once["roc_auc"])


def test_what_cannot_be_drilled_is_told():
    for changed, told in (
        ({"stealth": 1.5}, "stealth is 0 to 1, got 1.5"),
        ({"rate": 0.0}, "rate"),
        ({"sealed": 0}, "nothing to judge"),
        ({"kinds": ("token_thief",)}, "token_theft"),
    ):
        with pytest.raises(DrillError, match=told):
            plan(**changed)


def test_the_command_tells_a_mistake_in_one_line(capsys, tmp_path):
    with pytest.raises(SystemExit) as left:
        main(["drill", "data/scenarios/demo.yaml", "--stealth", "2", "-o", str(tmp_path)])
    assert left.value.code == 2
    assert "stealth is 0 to 1" in capsys.readouterr().err
