"""Roles fitted to traces: what is known comes back, what is not like the model is told."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agentsim.cli import main
from agentsim.lineage import check
from agentsim.simulation import TraceError, load_scenario, simulate
from agentsim.simulation.calibration import Calibration, calibrate
from agentsim.simulation.calibration.judging import Distance
from agentsim.simulation.calibration.observed import observe
from agentsim.simulation.role import Role
from agentsim.simulation.traces import read_traces

from .conftest import KNOWN

Write = Callable[..., Path]
LEAD, SCOUT, CLERK = "shop-lead", "shop-child-scout", "shop-child-clerk"
TRACES = Path(os.environ.get("AGENTSIM_TRACES", Path(__file__).parents[3] / "../shared/data/agent-traces"))


@pytest.fixture(scope="module")
def known(known_file: Path) -> Calibration:
    return calibrate(known_file)


def distance(result: Calibration, role: str, what: str) -> Distance:
    judged = next(each for each in result.roles if each.role == role)
    return next(each for each in judged.distances if each.what == what)


def shares(role: Role, tool: str) -> dict[str, float]:
    row = role.chain[tool]
    return {name: weight / sum(row.values()) for name, weight in row.items()}


def test_a_known_chain_comes_back(known: Calibration) -> None:
    for name, true in ((LEAD, "lead"), (SCOUT, "scout"), (CLERK, "clerk")):
        fitted, own = known.scenario.roles[name], KNOWN.roles[true]
        assert set(fitted.tools) == set(own.tools)
        assert fitted.slips < 0.005
        for tool in own.chain:
            assert shares(fitted, tool) == pytest.approx(shares(own, tool), abs=0.04)
    assert known.scenario.roles[LEAD].start["plan"] / sum(
        known.scenario.roles[LEAD].start.values()
    ) == pytest.approx(0.9, abs=0.03)


def test_known_lengths_times_failures_and_sizes_come_back(known: Calibration) -> None:
    lead, scout = known.scenario.roles[LEAD], known.scenario.roles[SCOUT]
    assert lead.steps == pytest.approx(6, rel=0.06)
    assert lead.dispersion == pytest.approx(0.8, abs=0.12)
    assert scout.dispersion < 0.05
    assert lead.gap + lead.call == pytest.approx(10_100_000, rel=0.05)
    assert lead.gap_spread == pytest.approx(0.6, abs=0.05)
    assert lead.errors == pytest.approx(0.15, abs=0.01)
    assert lead.retries == pytest.approx(0.4, abs=0.04)
    assert lead.failure_chars == pytest.approx(80, rel=0.1)
    plan = lead.sizes["plan"]
    assert (plan.arguments, plan.result_chars) == (3, 0)
    assert plan.argument_chars == pytest.approx(50, rel=0.05)
    assert plan.argument_spread == pytest.approx(0.4, abs=0.03)
    assert scout.sizes["look"].argument_spread == pytest.approx(0.9, abs=0.05)


def test_known_delegation_comes_back(known: Calibration) -> None:
    lead = known.scenario.roles[LEAD]
    assert lead.fanout == pytest.approx(1.5, abs=0.08)
    assert lead.child_roles[SCOUT] / lead.child_roles[CLERK] == pytest.approx(3, rel=0.15)
    assert set(known.scenario.population.roots) == {LEAD}
    assert known.scenario.population.max_depth == 1
    assert not known.scenario.roles[SCOUT].fanout


def test_a_fit_of_the_simulators_own_agents_is_as_near_as_can_be(known: Calibration) -> None:
    for role in known.roles:
        assert role.held_tasks == pytest.approx(role.tasks / 3, rel=0.25)
        assert role.unknown == 0
        for each in role.distances:
            assert each.simulated < each.recorded + 0.06, (role.role, each)
    lead = next(role for role in known.roles if role.role == LEAD)
    assert lead.bits["chain"] < lead.bits["shares"] - 0.3 < lead.bits["uniform"]
    assert lead.bits["uniform"] == pytest.approx(np.log2(3))


def test_what_is_unlike_the_model_is_told_by_its_distance(known_rows: pd.DataFrame, write: Write) -> None:
    # Every run is cut to three calls: no mixture of Poisson numbers is like that.
    short = known_rows[known_rows["parent_task_id"].isna()]
    short = short[short.groupby("run_id").cumcount() < 3]
    short = short[short.groupby("run_id")["step"].transform("size") == 3]
    result = calibrate(write(short))
    calls = distance(result, "shop", "calls of a task")
    assert calls.simulated > 0.25 > calls.recorded == 0
    assert calls.p < 1e-6
    assert distance(result, "shop", "tools").simulated < 0.1


def test_nothing_is_fitted_to_what_is_held_back(known_rows: pd.DataFrame, write: Write) -> None:
    file = write(known_rows)
    first, tasks = calibrate(file), observe(file, read_traces(file), 64).tasks
    held = set(tasks.loc[tasks["held"], "run"])
    assert len(held) / known_rows["run_id"].nunique() == pytest.approx(0.25, abs=0.01)
    changed = known_rows.copy()
    there = changed["run_id"].isin(held)
    changed.loc[there, ["tool", "arg_chars", "error"]] = ["look", 9_999, True]
    changed.loc[there, "t"] *= 50
    second = calibrate(write(changed, "changed.parquet"))
    assert second.scenario.roles == first.scenario.roles
    assert second.scenario.population == first.scenario.population
    assert second.roles != first.roles


def test_the_scenario_says_where_it_is_from_and_plays_as_it_is(known: Calibration, tmp_path: Path) -> None:
    file = tmp_path / "fitted.yaml"
    known.write(file)
    text = file.read_text()
    assert text.startswith("# Fitted by agentsim calibrate to known.parquet")
    assert known.source["sha256"] in text
    assert "there is one time per call" in text
    loaded = load_scenario(file)
    assert loaded == known.scenario
    run = simulate(loaded.with_agents(60), tmp_path / "run")
    assert set(run.frame("agents")["role"]) == {LEAD, SCOUT, CLERK}
    assert check(run) == []


def test_the_same_traces_give_the_same_scenario(known: Calibration, known_file: Path) -> None:
    assert calibrate(known_file).text == known.text


def test_runs_whose_attack_succeeded_are_no_example(known_rows: pd.DataFrame, write: Write) -> None:
    attacked = known_rows["run_id"].isin(known_rows["run_id"].unique()[:50])
    rows = known_rows.assign(attack_attempted=attacked, label=attacked.astype(int))
    rows.loc[attacked, "tool"] = "steal"
    result = calibrate(write(rows))
    assert "steal" not in result.text
    assert any("50 runs whose attack" in note for note in result.notes)
    # A run that is labelled without an attack has failed for another reason.
    kept = calibrate(write(rows.assign(attack_attempted=False)))
    assert "steal" in kept.text


def test_rare_actors_and_rare_tools_are_put_together_and_that_is_said(
    known_rows: pd.DataFrame, write: Write
) -> None:
    rows = known_rows.copy()
    few = rows["task_id"].isin(rows.loc[rows["agent"] == "clerk", "task_id"].unique()[:4])
    rows.loc[few, "agent"] = "temp"
    rows.loc[rows.index[:300], "tool"] = [f"rare-{number % 70}" for number in range(300)]
    result = calibrate(write(rows))
    assert set(result.scenario.roles) & {"shop-child-temp"} == set()
    assert any("temp" in note and "put into the role of scout" in note for note in result.notes)
    assert any("put together as 'other'" in note for note in result.notes)
    assert len({tool for name in (LEAD, SCOUT, CLERK) for tool in result.scenario.roles[name].tools}) <= 64


def test_without_clock_and_parents_the_defaults_stand_and_that_is_said(
    known_rows: pd.DataFrame, write: Write
) -> None:
    rows = known_rows.assign(t=np.nan, parent_task_id=None)
    result = calibrate(write(rows))
    role = result.scenario.roles["shop"]
    assert (role.gap, role.call) == (15_000_000, 1_500_000)
    assert role.fanout == 0
    assert any(sentence.startswith("Times:") for sentence in result.not_told)
    assert any(sentence.startswith("Delegation:") for sentence in result.not_told)


def test_too_little_is_refused(known_rows: pd.DataFrame, write: Write) -> None:
    rows = known_rows[known_rows["run_id"].isin(known_rows["run_id"].unique()[:3])]
    with pytest.raises(TraceError, match="3 runs with calls are left; at least 4 are needed"):
        calibrate(write(rows))
    with pytest.raises(TraceError, match="no such file"):
        calibrate("missing.parquet")


def test_the_command_writes_the_scenario_and_prints_the_figures(
    known_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "fitted.yaml"

    def told(*more: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(["calibrate", str(known_file), "-o", str(out), *more])
        assert left.value.code == 0
        return capsys.readouterr().out

    figures = json.loads(told("--json"))
    assert figures["scenario"] == str(out)
    assert {role["role"] for role in figures["roles"]} == {LEAD, SCOUT, CLERK}
    assert load_scenario(out).name == "known"
    table = told()
    assert "calls of a task" in table
    assert f"agentsim simulate {out}" in table


@pytest.mark.parametrize("name", ["tau_bench", "who_and_when", "claude_code_sessions"])
def test_recorded_traces_become_a_scenario_that_plays(name: str, tmp_path: Path) -> None:
    traces = TRACES / f"{name}.parquet"
    if not traces.is_file():
        pytest.skip(f"no recorded traces in {TRACES}")
    result = calibrate(traces)
    result.write(tmp_path / "fitted.yaml")
    for role in result.roles:
        assert role.bits["chain"] < role.bits["shares"] + 0.01 < role.bits["uniform"] + 0.02
    run = simulate(load_scenario(tmp_path / "fitted.yaml").with_agents(20), tmp_path / "run")
    assert check(run) == []
    verified = run.sql(
        "select count(*) n from audit where event_type = 'token_verified' and status = 'granted'"
    )
    assert verified["n"][0] > 20
