import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from agentsim.settings.strict import Strict
from agentsim.simulation import people, resourceservers, role, roleparts, scenario, workload
from agentsim.simulation.intents import make_intents
from agentsim.simulation.role import Role
from agentsim.simulation.roles import ROLES
from agentsim.simulation.scenario import Scenario, SettingsError, load_scenario, parse_scenario

GOOD: dict[str, Any] = {
    "schema": 1,
    "name": "story",
    "seed": 42,
    "population": {"agents": 500},
    "workload": {"executor": "constant-arrival-rate", "duration": "30m"},
}


def faults(data: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        parse_scenario(data)
    return {fault.path: fault.message for fault in caught.value.faults}


def changed(**parts: Any) -> dict[str, Any]:
    return {**copy.deepcopy(GOOD), **parts}


def test_a_small_file_is_a_whole_scenario(tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(
        "schema: 1\nname: small\npopulation: {agents: 10}\n"
        "workload: {executor: constant-arrival-rate, duration: 1h30m}\n"
    )
    scenario = load_scenario(file)
    assert scenario.workload.duration == 5_400_000_000
    assert scenario.policy.access_ttl == 300_000_000
    assert set(scenario.roles) == set(ROLES)
    assert scenario.attacks == ()


def test_a_seed_that_is_left_out_is_drawn_and_recorded() -> None:
    data = {key: value for key, value in GOOD.items() if key != "seed"}
    first, second = parse_scenario(data), parse_scenario(data)
    assert first.seed != second.seed
    assert first.seed < 2**128
    assert parse_scenario(first.resolved()).seed == first.seed


def test_a_scenario_cannot_be_changed() -> None:
    scenario = parse_scenario(GOOD)
    with pytest.raises(ValidationError, match="frozen"):
        scenario.seed = 1  # type: ignore[misc]


def test_what_is_resolved_reads_back_to_the_same() -> None:
    data = changed(
        tenants=[{"name": "a", "share": 3}, {"name": "b", "roots": {"support_agent": 1}}],
        workload={"executor": "ramping-arrival-rate", "stages": [{"for": "5m", "to": "50/s"}]},
        roles={"support_agent": {"steps": 9.5}, "cook": {**ROLES["data_analyst"], "fanout": 0}},
        attacks=[{"kind": "token_theft", "prevalence": 0.1, "start": "1m"}],
        start="2026-01-05T08:00:00Z",
        people={"count": 3, "hours": "07:30-24:00", "days": ["sun", "mon"], "zone": "-03:30"},
        resource_servers={"verification": "feed", "others": {"crm": {"verification": "offline"}}},
    )
    scenario = parse_scenario(data)
    assert parse_scenario(scenario.resolved()) == scenario
    written = scenario.resolved()["people"]
    assert (written["hours"], written["days"], written["zone"]) == ("07:30-24:00", ["mon", "sun"], "-03:30")
    assert scenario.resolved()["window"] == "5s"


def test_every_fault_is_told_at_once_with_its_path() -> None:
    data = changed(
        tenants=[{"name": "a"}, {"name": "a"}],
        population={"agents": -3, "rots": {}, "roots": {"orchestrater": 1}},
        workload={"executor": "ramping-arrival-rate", "stages": [{"for": 5, "to": "fast"}]},
        polcy={},
        policy={"access_ttl": "2h", "max_depth": True},
        roles={"support_agent": {"steps": 0.5, "level": "royal"}, "cook": {"summary": "cooks", "tools": {}}},
        attacks=[{"kind": "token_thef", "prevalence": 1.5}, {"prevalence": 0.1}],
    )
    found = faults(data)
    assert found["population.agents"] == "must be at least 1, got -3"
    assert found["population.rots"] == "unknown key; did you mean 'roots'?"
    assert found["population.roots.orchestrater"] == "no such role; did you mean 'orchestrator'?"
    assert "1h30m" in found["workload.stages.0.for"]
    assert "50/s" in found["workload.stages.0.to"]
    assert found["polcy"] == "unknown key; did you mean 'policy'?"
    assert found["policy.grant_ttl"] == "must be at least access_ttl (2h)"
    assert found["policy.max_depth"] == "must be a whole number, got True"
    assert found["roles.support_agent.steps"] == "must be at least 1, got 0.5"
    assert found["roles.support_agent.level"].startswith("no such level; known here: admin, elevated")
    assert found["roles.cook.tools"] == "needs at least 1, got 0"
    assert found["roles.cook.tasks"] == "required, but missing"
    assert found["attacks.0.kind"] == "no such attack: 'token_thef'; did you mean 'token_theft'?"
    assert found["attacks.0.prevalence"] == "must be at most 1, got 1.5"
    assert found["attacks.1.kind"] == "required, but missing"
    assert found["tenants.1.name"] == "'a' is taken by another tenant"
    assert len(found) == 16


def test_the_message_names_the_file_and_lists_the_faults(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("schema: 1\nname: x\nworkload: {executor: constant-arrival-rate, duration: 1h}\n")
    with pytest.raises(SettingsError, match=r"bad\.yaml: population: required, but missing$"):
        load_scenario(file)
    file.write_text("schema: 1\nname: 3\n")
    with pytest.raises(SettingsError, match=r"(?s)bad\.yaml: 3 faults\n  .*name: must be text, got 3"):
        load_scenario(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must hold keys such as name and population, got nothing"),
        ("- a\n", "got a list"),
        ("a: 1\n b: 2\n", "line 2, column 3: not YAML"),
        ("schema: 1\nname: a\nname: b\n", "line 3: the key 'name' is given twice"),
        ("schema: 1\npolicy: {max_depth: 3, max_depth: 4}\n", "line 2: the key 'max_depth' is given twice"),
        ("start: 2026-13-45\n", "month must be in 1..12"),
        ("[" * 5000, "nested more than 100 levels deep"),
        ("? [a]\n: b\n", "line 1, column 3: not YAML"),
        ("name: a\x01b\n", "not YAML"),
        ("name: &loop [*loop]\n", "an alias stands for what it is a part of"),
        ("a: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_scenario(file)
    assert message in str(caught.value)


def test_an_error_travels_between_processes_whole() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_scenario(changed(polcy={}, name=3))
    copied = pickle.loads(pickle.dumps(caught.value))
    assert str(copied) == str(caught.value)
    assert copied.faults == caught.value.faults


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such file"):
        load_scenario(tmp_path / "missing.yaml")
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        load_scenario(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_scenario(tmp_path / "latin.yaml")


@pytest.mark.parametrize(
    ("parts", "path", "message"),
    [
        ({"workload": {}}, "workload.executor", "required: constant-arrival-rate"),
        ({"workload": {"executor": "constant-arival-rate"}}, "workload.executor", "did you mean"),
        ({"workload": {"executor": "constant-arrival-rate"}}, "workload", "either duration or rate"),
        ({"workload": 3}, "workload", "must be a mapping"),
        ({"workload": {"executor": "constant-arrival-rate", "rate": "0/s"}}, "workload.rate", "got '0/s'"),
        ({"workload": {"executor": "ramping-arrival-rate", "stages": []}}, "workload.stages", "at least 1"),
        ({"workload": {"executor": "constant-vus"}}, "workload.vus", "required"),
        ({"workload": {"executor": "constant-vus", "vus": 0}}, "workload.vus", "at least 1"),
        ({"workload": {"executor": "constant-vus", "vus": 1, "rate": "1/s"}}, "workload.rate", "unknown key"),
        (
            {"workload": {"executor": "constant-vus", "vus": 1}, "tenants": 2},
            "workload.vus",
            "each of 2 tenants",
        ),
        (
            {"workload": {"executor": "ramping-vus", "stages": [{"for": "5m", "to": 2.5}]}},
            "workload.stages.0.to",
            "whole number",
        ),
        (
            {"workload": {"executor": "ramping-vus", "stages": [{"for": "5m", "to": 0}]}},
            "workload.stages",
            "one number of users at least",
        ),
        (
            {
                "workload": {"executor": "constant-arrival-rate", "rate": "1/s", "max_in_flight": 1},
                "tenants": 2,
            },
            "workload.max_in_flight",
            "at least 1 for each of 2 tenants",
        ),
        ({"workload": {**GOOD["workload"], "clock": "sundial"}}, "workload.clock", "'simulated' or 'wall'"),
        ({"workload": {**GOOD["workload"], "speed": 2.0}}, "workload.speed", "say clock: wall"),
        (
            {"workload": {**GOOD["workload"], "clock": "wall", "speed": 0.0}},
            "workload.speed",
            "more than 0",
        ),
        ({"workload": {"preset": "spke"}}, "workload.preset", "'spike'"),
        (
            {"workload": {"executor": "ramping-arrival-rate", "stages": [{"for": "5m", "to": "0/s"}]}},
            "workload.stages",
            "must be above 0",
        ),
        ({"schema": 2}, "schema", "must be 1, got 2"),
        ({"name": "no spaces"}, "name", "must match"),
        ({"start": "2026-01-01"}, "start", "needs its time zone"),
        ({"window": "0s"}, "window", "must be longer than nothing, got '0s'"),
        ({"seed": -1}, "seed", "must be at least 0, got -1"),
        ({"seed": 1.5}, "seed", "must be a whole number"),
        ({"tenants": 0}, "tenants", "1 to 4096"),
        ({"tenants": 4097}, "tenants", "1 to 4096"),
        ({"start": "2090-01-01T00:00:00Z"}, "start", "2020 to 2079"),
        ({"tenants": 501}, "population.agents", "at least 1 for each of 501 tenants, got 500"),
        ({"population": {"agents": 5, "roots": {"orchestrator": 0}}}, "population.roots", "above 0"),
        ({"population": {"agents": float("nan")}}, "population.agents", "must be a whole number"),
        ({"policy": {"access_ttl": "10ms"}}, "policy.access_ttl", "at least 1s"),
        ({"policy": {"levels": ["low"]}}, "roles.orchestrator.level", "no such level"),
        (
            {"policy": {"tools": {"db_query": {"level": "royal"}}}},
            "policy.tools.db_query.level",
            "no such level",
        ),
        ({"roles": {"x y": {}}}, "roles.x y", "must match"),
        (
            {"roles": {"support_agent": {"child_roles": {"cook": 1}}}},
            "roles.support_agent.child_roles.cook",
            "no such",
        ),
        ({"roles": {"support_agent": {"fanout": 1}}}, "roles.support_agent.child_roles", "needed where"),
        (
            {"roles": {"support_agent": {"start": {"fly": 1}}}},
            "roles.support_agent.start.fly",
            "no tool 'fly'",
        ),
        (
            {"roles": {"support_agent": {"chain": {"email_read": {"fly": 1}}}}},
            "roles.support_agent.chain.email_read.fly",
            "no tool 'fly'",
        ),
        (
            {"roles": {"support_agent": {"tasks": [{"text": "Fly", "tools": ["fly"]}]}}},
            "roles.support_agent.tasks.0.tools",
            "no tool 'fly'",
        ),
        (
            {"roles": {"support_agent": {"tasks": [{"text": "Read", "resources": ["crm"]}]}}},
            "roles.support_agent.tasks.0.resources",
            "nothing is left for ticket_read",
        ),
        (
            {"roles": {"support_agent": {"tools": {"a:b": ["crm"]}}}},
            "roles.support_agent.tools.a:b",
            "must match",
        ),
        ({"people": {"count": 0}}, "people.count", "at least 1"),
        ({"people": {"count": 1, "hours": "8-18"}}, "people.hours", "write for example 08:00-18:00"),
        ({"people": {"count": 1, "hours": "18:00-08:00"}}, "people.hours", "must end after they begin"),
        ({"people": {"count": 1, "days": "fri-mon"}}, "people.days", "write mon-fri"),
        ({"people": {"count": 1, "days": []}}, "people.days", "write mon-fri"),
        ({"people": {"count": 1, "zone": "CET"}}, "people.zone", "not an offset from UTC"),
        ({"people": {"count": 1, "hours": "08:00-18:00"}}, "people.hours", "nobody is at work"),
        ({"people": {"count": 1, "role": "orchestrator"}}, "people.role", "is a role of agents"),
        ({"people": {"count": 1, "level": "royal"}}, "people.level", "no such level"),
        ({"policy": {"roles": {"reader": {}}}, "people": {"count": 1}}, "people.role", "has no such role"),
        (
            {"resource_servers": {"verification": "offlin"}},
            "resource_servers.verification",
            "'status-list' or 'offline'",
        ),
        (
            {"resource_servers": {"others": {"crmm": {}}}},
            "resource_servers.others.crmm",
            "no tool works on it; did you mean 'crm'?",
        ),
        ({"resource_servers": {"period": "0s"}}, "resource_servers.period", "longer than nothing"),
        ({"roles": {"support_agent": {"budget": -1}}}, "roles.support_agent.budget", "at least 0"),
        (
            {"attacks": [{"kind": "token_theft", "prevalence": 0.1, "start": "1h"}]},
            "attacks.0.start",
            "begins when the last tree has started (30m)",
        ),
    ],
)
def test_each_kind_of_fault_has_a_path_and_plain_words(
    parts: dict[str, Any], path: str, message: str
) -> None:
    found = faults(changed(**parts))
    assert message in found.get(path, f"nothing at {path}: {found}")


def test_what_follows_from_a_fault_is_not_told_as_another() -> None:
    kind = {
        "executor": "ramping-arrival-rate",
        "stages": [{"for": "5m", "to": "fast"}, {"for": "5m", "to": "5/s"}],
    }
    cook = {"summary": "cooks", "tools": {"a:b": ["x"]}, "start": {"a:b": 1}, "tasks": [{"text": "Cook"}]}
    data = changed(
        population={"agents": 5, "roots": {"cook": 1, "code": 1}},
        workload=kind,
        policy={"access_ttl": 5, "grant_ttl": "1m"},
        roles={"cook": cook},
    )
    assert set(faults(data)) == {
        "population.roots.code",
        "workload.stages.0.to",
        "policy.access_ttl",
        "roles.cook.tools.a:b",
        "roles.cook.start.a:b",
    }


def test_too_many_tools_are_refused() -> None:
    tools = {f"tool_{number}": ["crm"] for number in range(65)}
    role = {"summary": "has them all", "tools": tools, "tasks": [{"text": "Use them"}]}
    data = changed(roles={"all": role}, population={"agents": 500, "roots": {"all": 1}})
    assert "at most 64" in faults(data)["roles"]


def test_copies_with_other_agents_seed_and_attacks() -> None:
    scenario = parse_scenario(changed(attacks=[{"kind": "token_theft", "prevalence": 0.1}]))
    assert scenario.with_agents(7).population.agents == 7
    assert scenario.with_seed(9).seed == 9
    assert scenario.without_attacks().attacks == ()
    assert scenario.without_attacks().with_agents(500).with_seed(42).workload == scenario.workload
    for bad in (
        lambda: scenario.with_agents(-3),
        lambda: scenario.with_agents(0),
        lambda: scenario.with_seed(-1),
    ):
        with pytest.raises(SettingsError, match="must be at least"):
            bad()


def test_people_are_dealt_by_the_tenants_shares_and_no_agent_is_missing() -> None:
    tenants = [{"name": "a", "share": 3}, {"name": "b"}]
    data = changed(tenants=tenants, people={"count": 10}, start="2026-01-05T08:00:00Z")
    scenario = parse_scenario(data)
    assert sum(scenario.tenant_agents()) == 500
    assert scenario.tenant_people() == (8, 2)
    assert parse_scenario(changed()).tenant_people() == (0,)


def test_the_organisation_uses_what_there_is() -> None:
    scenario = load_scenario(Path(__file__).parents[2] / "data" / "scenarios" / "organisation.yaml")
    assert scenario.people is not None
    assert scenario.resource_servers.verification == "feed"
    assert scenario.policy.limits.client is not None
    assert any(role.budget for role in scenario.roles.values())
    assert scenario.policy.roles.keys() >= {*scenario.roles, scenario.people.role}


def test_fields_of_a_built_in_role_can_be_changed_one_by_one() -> None:
    scenario = parse_scenario(changed(roles={"support_agent": {"steps": 9}}))
    assert scenario.roles["support_agent"].steps == 9
    assert scenario.roles["support_agent"].tools == Role.model_validate(ROLES["support_agent"]).tools


@given(
    shares=st.lists(st.floats(0.01, 100), min_size=1, max_size=20),
    more=st.integers(0, 5000),
)
def test_all_agents_are_dealt_to_the_tenants(shares: list[float], more: int) -> None:
    agents = len(shares) + more
    tenants = [{"name": f"t{number}", "share": share} for number, share in enumerate(shares)]
    counts = parse_scenario(changed(tenants=tenants, population={"agents": agents})).tenant_agents()
    assert sum(counts) == agents
    exact = [1 + more * share / sum(shares) for share in shares]
    assert all(count >= 1 and abs(count - wanted) <= 1 for count, wanted in zip(counts, exact, strict=True))


def test_the_policy_is_one_that_the_server_takes() -> None:
    settings = parse_scenario(changed(policy={"access_ttl": "1m", "max_depth": 3})).policy
    policy = settings.server_policy()
    assert (policy.access_ttl_us, policy.max_depth) == (60_000_000, 3)


def models() -> Iterator[type[BaseModel]]:
    """All that a scenario is made of."""
    for module in (scenario, workload, role, roleparts, people, resourceservers):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Strict) and value.model_fields:
                yield value


def test_every_field_is_described_and_the_schema_can_be_exported() -> None:
    schema = Scenario.model_json_schema()
    assert set(schema["required"]) == {"schema", "name", "population", "workload"}
    for model in models():
        for name, field in model.model_fields.items():
            assert field.description or name == "executor", f"{model.__name__}.{name}"


def test_the_load_test_is_what_it_says() -> None:
    scenario = load_scenario(Path(__file__).parents[2] / "data" / "scenarios" / "load-test.yaml")
    plans = make_intents(scenario, 0).plans
    assert scenario.workload.end == 57 * 60_000_000
    assert 0 < np.mean(plans.begun) < 1


def test_the_demo_is_what_it_says() -> None:
    scenario = load_scenario(Path(__file__).parents[2] / "data" / "scenarios" / "demo.yaml")
    assert scenario.population.agents >= 10_000
    assert len(scenario.tenants) == 3
    assert {attack.kind for attack in scenario.attacks} == {
        "scope_escalation",
        "token_theft",
        "refresh_replay",
        "task_hijack",
    }
    assert scenario.with_agents(100_000).workload == scenario.workload


def test_a_window_is_shorter_than_what_shared_buckets_hold(scenario: Callable[..., Scenario]) -> None:
    def under(**limits: Any) -> int:
        return scenario(policy={"limits": limits}).span

    assert scenario().span == scenario().window == 5_000_000
    # A client's own operations are always in order.
    assert under(client={"rate": "1/s", "burst": 1}) == 5_000_000
    assert under(classes={"agent": {"rate": "5000/s", "burst": 20_000}}) == 2_000_000
    assert under(tree={"rate": "10/s", "burst": 10}) == 500_000
    assert under(tree={"rate": "1000/s", "burst": 1}) == 200_000
