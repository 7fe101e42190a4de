"""The workbench for thresholds, without a browser: what its controls ask and show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from agentsim.experiments.containment.attackers import attacks_of
from agentsim.reporting import TuningParameters, tuning
from agentsim.reporting.kernel import execute
from agentsim.reporting.notebooks import find_notebook, read_notebook
from agentsim.reporting.tuning import tables
from agentsim.reporting.tuning.reach import Attackers
from agentsim.risk import ThresholdPolicy, alert_budget, report
from agentsim.risk.thresholds import load_thresholds
from agentsim.risk.thresholds.cut import one_for_all


@pytest.fixture(scope="module")
def parameters(run, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "thresholds.yaml"
    return TuningParameters(run=str(run.path), budget=2000, agents=250, out=str(out))


@pytest.fixture(scope="module")
def bench(parameters):
    return tuning.open_bench(parameters)


@pytest.fixture
def workbench(bench, parameters):
    return tuning.Workbench(bench, parameters)


def test_it_begins_with_the_budget_chosen_on_the_run_and_told_on_another(workbench, bench, run):
    assert workbench.outcome.choice.policy == alert_budget(2000)
    assert workbench.outcome.choice == bench.scene.choose(alert_budget(2000))[0]
    assert bench.scene.reported.manifest.seed != run.manifest.seed
    assert not any("very run" in warning for warning in workbench.outcome.report.warnings)


def test_moving_the_threshold_shows_what_the_package_computes(workbench, bench):
    score = bench.thresholds[5]
    workbench.threshold.value = score
    assert workbench.outcome.choice.policy == ThresholdPolicy(by="fixed", score=score)
    told = report(one_for_all(score), bench.scene.judged, costs=workbench.costs)
    assert workbench.outcome.report.as_dict() | {"warnings": []} == told.as_dict() | {"warnings": []}
    for figure in tables.figures(workbench.outcome).values():
        assert figure in workbench.figures.value
    spent = workbench.outcome.report.cost_per_day
    workbench.missed.value *= 2
    assert workbench.outcome.report.cost_per_day > spent
    assert workbench.outcome.score == score


def test_moving_the_budget_moves_the_threshold_along_and_keeps_the_policy(workbench, bench):
    workbench.budget.value = 500.0
    assert workbench.outcome.choice.policy == alert_budget(500)
    assert abs(workbench.threshold.value - workbench.outcome.score) == min(
        abs(np.asarray(bench.thresholds) - workbench.outcome.score)
    )
    workbench.cheapest.click()
    assert workbench.outcome.choice.policy.by == "cost"


def test_without_alerts_attackers_reach_all_that_they_did_and_what_is_seen_at_once_reaches_nothing(bench):
    attacks, judged = attacks_of(bench.scene.reported), bench.scene.judged
    attackers = Attackers.of(bench.scene.reported)
    nothing, everything = (np.full(len(judged.scored), alert) for alert in (False, True))
    never = attackers.reach(judged, nothing)
    assert never.grants == pytest.approx(attacks["grants_reached"].sum() / len(judged.worst))
    assert never.resources == pytest.approx(attacks["resources_reached"].sum() / len(judged.worst))
    assert never.grants > 0
    at_once = replace(judged, scored=judged.scored.assign(raised_at=0))
    assert attackers.reach(at_once, everything) == (0, 0)
    assert attackers.reach(at_once, nothing) == never


def test_what_is_kept_is_compared_with_what_is_shown(workbench, bench):
    workbench.threshold.value = bench.thresholds[3]
    workbench.keep.click()
    assert "0 alerts gained, 0 lost" in workbench.comparison.value
    workbench.threshold.value = bench.thresholds[-1]
    more = workbench.outcome.report.alerts - workbench.kept.report.alerts
    assert f"{more:,} alerts gained, 0 lost" in workbench.comparison.value


def test_saving_says_where_and_a_place_that_cannot_be_written_is_told(workbench, parameters, tmp_path):
    workbench.save.click()
    assert f"Written: {parameters.out}" in workbench.saved.value
    file = load_thresholds(Path(parameters.out))
    assert file.chosen == workbench.outcome.choice.policy
    assert file.cut.lowest == workbench.outcome.score
    (tmp_path / "file").write_text("no directory")
    workbench.path.value = str(tmp_path / "file" / "<b>thresholds.yaml")
    workbench.save.click()
    assert "Not done" in workbench.saved.value
    assert "&lt;b&gt;" in workbench.saved.value


def test_wrong_parameters_are_told(parameters):
    with pytest.raises(ValidationError, match="budget"):
        TuningParameters(budget=0)
    with pytest.raises(ValidationError, match="out"):
        TuningParameters(out="")


def test_the_notebook_runs_without_anybody_to_move_anything(bench, parameters):
    done = execute(read_notebook(find_notebook("threshold-tuning")), parameters.model_dump())
    outputs = [output for cell in done.cells for output in cell.get("outputs", [])]
    views = [
        output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    assert len(views) == 3
    assert "chosen for 2,000 alerts a day" in str(done.metadata.get("widgets", ""))
