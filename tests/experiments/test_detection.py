import shutil

import numpy as np
import pandas as pd
import pytest

from agentsim.errors import UserError
from agentsim.experiments import judge
from agentsim.experiments.companions import companion_seed, make_companions
from agentsim.experiments.recorded import HEADLINE
from agentsim.risk import read_attacks
from agentsim.run import Run, save_manifest
from agentsim.simulation import Scenario, replay, simulate
from tests.traces import attacked, write

pytestmark = pytest.mark.long

AGENTS = 500
KINDS = {"scope_escalation", "token_theft", "refresh_replay", "task_hijack"}


def scenario(*, attacked: bool = True) -> Scenario:
    attacks = (
        [{"kind": kind, "prevalence": 0.05, "stealth": 0.2} for kind in sorted(KINDS)] if attacked else []
    )
    return Scenario.model_validate(
        {
            "schema": 1,
            "name": "small",
            "seed": 5,
            "population": {"agents": AGENTS},
            "workload": {"executor": "constant-arrival-rate", "duration": "30m"},
            "attacks": attacks,
        }
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return simulate(scenario(), tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="module")
def result(run):
    return judge(run, alert_budget=2000, companion_agents=AGENTS)


def test_nothing_is_learned_or_chosen_on_the_run_that_is_judged(run, result):
    assert result.seeds["judged"] == run.manifest.seed
    assert len(set(result.seeds.values())) == 3
    folder = run.path.with_name("small-companions")
    reference, choosing = Run(folder / f"reference-{AGENTS}"), Run(folder / f"choosing-{AGENTS}")
    assert not len(reference.frame("labels"))
    assert len(choosing.frame("labels"))
    # Beside the labels, a companion differs from the run in its seed alone.
    assert {**choosing.manifest.source, "seed": 5} == run.manifest.source


def test_seeds_of_companions_do_not_meet_those_of_neighbours():
    seeds = [companion_seed(seed, purpose) for seed in range(50) for purpose in ("reference", "choosing")]
    assert len({*seeds, *range(50)}) == 150


def test_companions_are_reused_only_for_the_same_scenario(run, result, tmp_path):
    folder = run.path.with_name("small-companions")
    assert make_companions(run, agents=AGENTS, folder=folder).reused == 2
    copy = tmp_path / "companions"
    shutil.copytree(folder, copy)
    changed = Run(copy / f"reference-{AGENTS}")
    changed.manifest.source["window"] = "7s"
    save_manifest(changed)
    again = make_companions(run, agents=AGENTS, folder=copy)
    assert again.reused == 1
    assert again.reference.manifest.digests() == Run(folder / f"reference-{AGENTS}").manifest.digests()


def test_attacks_are_found_and_the_figures_hang_together(run, result):
    table = result.detectors.set_index("detector")
    assert table.loc[result.chosen, "roc_auc"] > 0.8
    assert table.loc[result.chosen, "pr_auc"] > 5 * table.loc[result.chosen, "base_rate"]
    recall = result.recall.set_index(["detector", "attack"])
    assert {attack for _, attack in recall.index} == KINDS | {"all"}
    own = recall.loc[result.chosen]
    assert own.loc["all", "attacks"] == own.drop(index="all")["attacks"].sum() == result.report.attacks
    score, threshold = result.scores[result.chosen], result.threshold
    alerts = result.scores[score >= threshold]
    assert len(alerts) == result.report.alerts
    # What an attack does to its neighbours is neither right nor wrong.
    near = pd.MultiIndex.from_frame(read_attacks(run).near[["kind", "entity"]])
    doubtful = pd.MultiIndex.from_frame(alerts[["kind", "entity"]]).isin(near) & ~alerts["attacked"]
    assert result.report.precision.value == pytest.approx(alerts["attacked"][~doubtful].mean())
    assert result.report.alerts_per_day.value == pytest.approx(len(alerts) / result.days)
    keys = ["tenant", "kind", "entity"]
    assert set(map(tuple, alerts[keys].to_numpy())) == set(map(tuple, result.alerts[keys].to_numpy()))
    assert f"{result.report.found} of {result.report.attacks} attacks" in result.verdict
    assert [number.label for number in result.numbers] == [
        "attacks found",
        "alerts that are attacks",
        "alerts a day",
    ]


def test_grants_trees_and_agents_are_scored_and_each_detector_stands_beside_the_model(result):
    assert result.scores["kind"].value_counts().index.sort_values().tolist() == ["agent", "grant", "tree"]
    beside = set(result.detectors["detector"]) - {result.chosen}
    assert beside == {"robust z, by role", "novelty for the task", "isolation forest, counts"}
    # What reads words scores grants alone.
    scored = result.scores.groupby("kind")[["robust z, by role", "novelty for the task"]].count()
    assert (scored["robust z, by role"] > 0).all()
    assert (scored.loc[["agent", "tree"], "novelty for the task"] == 0).all()


def test_labels_are_in_no_alert(result):
    assert not {"attack", "attacked", "label"} & set(result.alerts)
    attacked = result.scores[result.scores["attacked"]]
    assert (attacked["attack"] != "").all()


def test_a_run_of_an_hour_says_that_it_is_no_day(result):
    assert result.days < 0.25
    assert any("simulated hours" in warning for warning in result.warnings)
    assert any("too few attacks to tell" in warning for warning in result.warnings)


def test_a_larger_budget_finds_no_fewer_attacks(run, result):
    more = judge(run, alert_budget=20_000, companion_agents=AGENTS)
    small, large = (each.recall.set_index(["detector", "attack"])["found"] for each in (result, more))
    assert (large >= small).all()
    assert large.sum() > small.sum()


def test_judging_twice_gives_the_same(run, result):
    again = judge(run, alert_budget=2000, companion_agents=AGENTS)
    assert again.verdict == result.verdict
    pd.testing.assert_frame_equal(again.scores, result.scores)
    pd.testing.assert_frame_equal(again.alerts, result.alerts)


def test_a_run_that_nobody_attacked_is_judged_by_its_alerts(tmp_path):
    calm = judge(
        simulate(scenario(attacked=False), tmp_path / "calm"), alert_budget=2000, companion_agents=AGENTS
    )
    assert calm.verdict.startswith("Nobody attacked")
    assert not calm.scores["attacked"].any()
    assert np.isnan(calm.report.precision.value) or calm.report.precision.value == 0


@pytest.mark.parametrize("budget", [0, -3])
def test_a_budget_without_alerts_is_refused(run, budget):
    with pytest.raises(UserError, match="more than 0 alerts a day"):
        judge(run, alert_budget=budget)


@pytest.fixture
def replayed(tmp_path):
    traces = write(tmp_path / "made.parquet", attacked(("bank", "shop"), 240))
    return replay(traces, tmp_path / "replayed")


def test_a_replay_is_judged_by_real_labels(replayed):
    result = judge(replayed, alert_budget=50)
    assert result.kind == "replay"
    assert result.chosen == HEADLINE
    assert set(result.detectors["suite"]) == {"bank", "shop"}
    assert "alerts_per_day" not in result.curve
    assert len(result.numbers) == 3
    assert any("no days" in warning for warning in result.warnings)
