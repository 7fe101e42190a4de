"""The policy as it is written: every setting arrives in the server, inheritance is worked out, faults have paths."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from agentsim.server.policy import Budgets, Limits, Policy, RateLimit
from agentsim.settings.faults import SettingsError
from agentsim.settings.policy import PolicySettings
from agentsim.settings.policyfile import extended, load_policy, load_settings, schema
from agentsim.simulation.roles import ROLES

POLICIES = Path(__file__).parents[2] / "data" / "policies"
#: For each setting another value than its default, and what it is to the server.
SETTINGS: dict[str, tuple[Any, dict[str, Any]]] = {
    "levels": (["low", "high"], {"levels": ("low", "high")}),
    "tools": (
        {"rm": {"level": "admin", "cost": 9}},
        {"tool_levels": {"rm": "admin"}, "tool_costs": {"rm": 9}},
    ),
    "tool_cost": (3, {"tool_cost": 3}),
    "roles": (
        {"a": {"scopes": ["x:*"], "inherits": ["b"]}, "b": {"scopes": ["y"], "inherits": ["c"]}, "c": {}},
        {"role_scopes": {"a": ("x:*", "y"), "b": ("y",), "c": ()}},
    ),
    "agents": (
        {"allow": ["a*"], "block": ["agent_1"]},
        {"allowed_agents": ("a*",), "blocked_agents": ("agent_1",)},
    ),
    "scopes": (
        {"allow": ["*:github"], "block": ["email.send"]},
        {"allowed_scopes": ("*:github",), "blocked_scopes": ("email.send",)},
    ),
    "access_ttl": ("1m", {"access_ttl_us": 60_000_000}),
    "grant_ttl": ("2h", {"grant_ttl_us": 7_200_000_000}),
    "registration_ttl": ("5m", {"registration_ttl_us": 300_000_000}),
    "refresh_tokens": (False, {"refresh_tokens": False}),
    "refresh_grace": ("2s", {"refresh_grace_us": 2_000_000}),
    "max_depth": (3, {"max_depth": 3}),
    "max_fanout": (7, {"max_fanout": 7}),
    "limits": (
        {"client": {"rate": "30/m", "burst": 2}, "classes": {"human": {"rate": "5/s", "burst": 9}}},
        {
            "limits": Limits(
                client=RateLimit(per_second=0.5, burst=2),
                classes={"human": RateLimit(per_second=5, burst=9)},
            )
        },
    ),
    "budgets": (
        {"model": "shared-pool", "root": 10, "child_share": 0.5},
        {"budgets": Budgets(model="shared-pool", root=10, child_share=0.5)},
    ),
    "audience": ("https://one.example", {"audience": "https://one.example"}),
    "resources": (["https://two.example"], {"resources": ("https://two.example",)}),
    "status_lists": (True, {"status_lists": True}),
}


@pytest.mark.parametrize("name", PolicySettings.model_fields)
def test_every_setting_arrives_in_the_server(name: str) -> None:
    written, wanted = SETTINGS[name]
    before = PolicySettings().server_policy().model_dump()
    after = PolicySettings.model_validate({name: written}).server_policy()
    for field, value in wanted.items():
        assert getattr(after, field) == value
    # And nothing else changes.
    assert after.model_dump() == before | Policy(**wanted).model_dump(include=set(wanted))


def faults(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "policy.yaml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        load_policy(tmp_path / "policy.yaml")
    return [str(fault) for fault in caught.value.faults]


def test_all_faults_are_told_at_once_each_with_its_path(tmp_path: Path) -> None:
    text = """
access_ttl: 300
roles: {a: {inherits: [b]}, b: {inherits: [a]}, c: {inherits: [nobody], scopes: ["a b"]}}
tools: {rm: {level: godlike, cost: -1}}
limits: {client: {rate: 5, burst: 0}}
budgets: {model: free}
colour: red
"""
    found = faults(tmp_path, text)
    paths = {fault.partition(":")[0] for fault in found}
    assert paths >= {
        "access_ttl",
        "roles.c.scopes.0",
        "tools.rm.cost",
        "limits.client.rate",
        "limits.client.burst",
        "budgets.model",
        "colour",
        "roles.a.inherits.0",
        "roles.b.inherits.0",
        "roles.c.inherits.0",
        "tools.rm.level",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "a policy is a mapping"),
        ("a: [", "not YAML"),
        ("max_depth: 3\nmax_depth: 4\n", "given twice"),
    ],
)
def test_what_is_no_policy_is_said_to_be_none(tmp_path: Path, text: str, words: str) -> None:
    assert words in faults(tmp_path, text)[0]


def test_an_empty_file_is_the_policy_of_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("# nothing\n")
    assert load_settings(tmp_path / "policy.yaml") == PolicySettings()


def test_the_schema_in_the_repository_is_the_one_that_is_made() -> None:
    kept = json.loads((POLICIES / "policy.schema.json").read_text())
    assert kept == schema(), "run: agentsim policy schema > data/policies/policy.schema.json"


def test_the_default_policy_is_valid_by_its_schema_and_lets_the_built_in_roles_work() -> None:
    written = yaml.safe_load((POLICIES / "default.yaml").read_text())
    jsonschema.validate(written, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**written, "access_ttl": 300}, schema())
    policy = load_policy(POLICIES / "default.yaml")
    assert set(ROLES) | {"agent", "employee"} <= policy.role_scopes.keys()


def test_a_scenario_lays_its_own_keys_upon_the_file_that_it_extends(tmp_path: Path) -> None:
    base = {"access_ttl": "1m", "limits": {"client": {"rate": "1/s", "burst": 1}}, "levels": ["low", "high"]}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    own = {"extends": "base.yaml", "limits": {"tree": {"rate": "2/s", "burst": 2}}, "levels": ["only"]}
    merged = extended(own, tmp_path)
    assert merged == {
        "access_ttl": "1m",
        "limits": {"client": {"rate": "1/s", "burst": 1}, "tree": {"rate": "2/s", "burst": 2}},
        "levels": ["only"],
    }
    assert extended({"access_ttl": "2m"}, tmp_path) == {"access_ttl": "2m"}


def test_faults_of_the_extended_file_carry_its_name(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("access_ttl: 5\n")
    with pytest.raises(SettingsError, match=r"base\.yaml: access_ttl"):
        extended({"extends": "base.yaml"}, tmp_path)
    with pytest.raises(SettingsError, match="no such file"):
        extended({"extends": "other.yaml"}, tmp_path)
    with pytest.raises(SettingsError, match=r"policy\.extends"):
        extended({"extends": 5}, tmp_path)
