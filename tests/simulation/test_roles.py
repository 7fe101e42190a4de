"""The built-in roles, and what the fields of a role do to agents."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from agentsim.cli import main
from agentsim.server.clock import SECOND
from agentsim.settings.durations import UNITS
from agentsim.settings.faults import SettingsError
from agentsim.simulation import load_scenario, simulate
from agentsim.simulation.intents import make_intents
from agentsim.simulation.role import Role, reachable
from agentsim.simulation.rolebook import find_role, role_yaml
from agentsim.simulation.roles import ROLES
from agentsim.simulation.scenario import Scenario, parse_scenario

Make = Callable[..., Scenario]
SCENARIOS = Path(__file__).parents[2] / "data" / "scenarios"
WALK = {
    "summary": "walks",
    "tools": {"look": ["maps"], "step": ["ground", "stairs"]},
    "chain": {"look": {"step": 1}, "step": {"step": 3, "look": 1}},
    "tasks": [{"text": "Walk"}],
}


@pytest.fixture
def walkers(scenario: Make) -> Callable[..., Any]:
    """The calls of 2,000 agents of one role; keyword arguments change its fields."""

    def calls(**fields: Any) -> Any:
        population = {"agents": 2_000, "roots": {"walker": 1}}
        return make_intents(scenario(population=population, roles={"walker": {**WALK, **fields}}), 0)

    return calls


@pytest.mark.parametrize("name", ROLES)
def test_a_built_in_role_is_good_and_goes_on_from_each_of_its_tools(name: str) -> None:
    role = Role.model_validate(ROLES[name])
    assert set(role.chain) == set(role.tools)
    assert set(role.child_roles) <= set(ROLES)


def test_the_built_in_roles_differ_in_tools_fan_out_and_lifetime() -> None:
    roles = [Role.model_validate(data) for data in ROLES.values()]
    assert len(roles) >= 8
    assert len({frozenset(role.tools) for role in roles}) == len(roles)
    lasts = [role.steps * (role.gap + role.call) for role in roles]
    assert min(lasts) < 20 * SECOND
    assert max(lasts) > UNITS["h"]
    assert max(role.fanout for role in roles) > 8 > sum(role.fanout == 0 for role in roles) > 3


def test_one_scenario_has_them_all_at_work() -> None:
    scenario = load_scenario(SCENARIOS / "roles.yaml")
    assert set(ROLES) < set(reachable(scenario.roles, scenario.population.roots))


def test_a_role_that_nobody_reaches_needs_no_rules_and_no_room(scenario: Make) -> None:
    crowded = {**WALK, "tools": {f"tool_{n}": ["maps"] for n in range(65)}, "chain": {}}
    assert "crowded" in scenario(roles={"crowded": crowded}).roles
    few = {"agents": 5, "roots": {"walker": 1}}
    scenario(roles={"walker": WALK}, population=few, policy={"levels": ["standard"]})
    with pytest.raises(SettingsError, match="the roles of org-1 together name 65 tools; at most 64"):
        scenario(roles={"crowded": crowded}, population={"agents": 5, "roots": {"crowded": 1}})


def test_a_role_that_is_shown_can_be_pasted_into_a_scenario(scenario: Make) -> None:
    for name in ROLES:
        pasted = yaml.safe_load(role_yaml(name))
        assert scenario(**pasted).roles[name] == find_role(name)


def test_an_unknown_role_is_told_with_what_was_meant() -> None:
    with pytest.raises(SettingsError, match="no such role: 'resercher'; did you mean 'researcher'"):
        find_role("resercher")


def test_the_command_lists_the_roles_and_shows_one(capsys: pytest.CaptureFixture[str]) -> None:
    def told(*arguments: str) -> str:
        with pytest.raises(SystemExit) as left:
            main(["roles", *arguments])
        assert left.value.code == 0
        return capsys.readouterr().out

    assert all(name in told() for name in ROLES)
    listed = {row["name"]: row for row in json.loads(told("--json"))["roles"]}
    assert listed["research_lead"]["children"] == "researcher"
    assert listed["data_pipeline"]["lasts"] == "1h30m"
    assert yaml.safe_load(told("researcher"))["roles"]["researcher"]["steps"] == 11
    assert json.loads(told("researcher", "--json"))["researcher"]["steps"] == 11


@pytest.mark.parametrize("dispersion", [0.0, 0.5, 2.0])
def test_tasks_differ_in_length_as_the_role_says(walkers: Callable[..., Any], dispersion: float) -> None:
    further = np.diff(walkers(steps=11.0, dispersion=dispersion).calls.first) - 1
    assert further.mean() == pytest.approx(10, rel=0.12)
    assert further.var() == pytest.approx(10 + dispersion * 100, rel=0.2)


def test_times_spread_as_the_role_says(walkers: Callable[..., Any]) -> None:
    regular = walkers(gap="10s", gap_spread=0.0, call="1s", call_spread=0.0).calls
    assert set(regular.duration) == {SECOND}
    assert set(np.diff(regular.offset)[np.diff(regular.agent) == 0]) == {11 * SECOND}
    wild = walkers(call="1s", call_spread=1.5).calls
    assert np.log(wild.duration).std() == pytest.approx(1.5, rel=0.03)


def test_tools_take_and_give_as_much_as_the_role_says(walkers: Callable[..., Any]) -> None:
    calls = walkers(
        sizes={
            "look": {"arguments": 7, "argument_chars": 40.0, "argument_spread": 0.7, "result_chars": 9_000.0},
            "step": {"argument_chars": 0.0},
        },
        failure_chars=33.0,
        errors=0.3,
        slips=0.0,
        size_spread=0.1,
    ).calls
    look = calls.tool == 0
    assert set(calls.n_args[look]) == {7} != set(calls.n_args[~look])
    assert calls.arg_chars[look].mean() == pytest.approx(40, rel=0.03)
    assert np.log(calls.arg_chars[look]).std() == pytest.approx(0.7, rel=0.05)
    assert not calls.arg_chars[~look].any()
    assert calls.result_chars[look & ~calls.error].mean() == pytest.approx(9_000, rel=0.03)
    assert calls.result_chars[calls.error].mean() == pytest.approx(33, rel=0.03)


def test_what_is_scheduled_starts_with_the_hour(walkers: Callable[..., Any]) -> None:
    plans = walkers(every="20m").plans
    late = plans.issued % (20 * UNITS["m"])
    assert (late < SECOND).all()
    assert len(np.unique(plans.issued // (20 * UNITS["m"]))) == 2


def test_an_agent_of_a_person_acts_for_that_person(scenario: Make, tmp_path: Path) -> None:
    roots = {"personal_assistant": 1, "scheduled_batch": 1}
    run = simulate(scenario(population={"agents": 40, "roots": roots}), tmp_path / "run")
    tokens = run.frame("tokens")
    mine = tokens["principal"].str.match(r"person-\d{7}$")
    assert mine[tokens["role"] == "personal_assistant"].all()
    assert set(tokens["principal"][tokens["role"] == "scheduled_batch"]) == {"org-1"}
    assert tokens[mine].groupby("root_grant_id")["principal"].nunique().max() == 1


def test_sizes_of_tools_that_the_role_does_not_have_are_refused() -> None:
    data = {
        "schema": 1,
        "name": "story",
        "population": {"agents": 5},
        "workload": {"executor": "constant-arrival-rate", "duration": "30m"},
        "roles": {"walker": {**WALK, "sizes": {"fly": {}}}},
    }
    with pytest.raises(SettingsError, match=r"roles\.walker\.sizes\.fly: the role has no tool 'fly'"):
        parse_scenario(data)
