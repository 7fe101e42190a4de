"""Roles that are somebody else's classes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentsim.settings.faults import SettingsError
from agentsim.simulation import Scenario, simulate
from agentsim.simulation.role import Role
from agentsim.simulation.rolebook import find_role, known_roles
from agentsim.simulation.scenario import parse_scenario

Make = Callable[..., Scenario]
MODULE = '''
from agentsim.settings.durations import Duration, parse_duration
from agentsim.simulation.role import Role
from agentsim.simulation.roleparts import TaskKind


class NightWatch(Role):
    """Looks at a number of doors in turn."""

    summary: str = "looks whether doors are shut"
    level: str = "restricted"
    tools: dict[str, tuple[str, ...]] = {"door_look": ("house",), "log_write": ("book",)}
    chain: dict[str, dict[str, float]] = {"door_look": {"door_look": 9, "log_write": 1}}
    tasks: tuple[TaskKind, ...] = (TaskKind(text="Round {n}"),)
    steps: float = 20.0
    gap: Duration = parse_duration("30s")


class Unfinished(Role):
    """Has no tools by default."""

    summary: str = "does nothing yet"


class Odd(NightWatch):
    """Writes a duration as text where microseconds are meant."""

    gap: Duration = "30s"
'''


@pytest.fixture
def guests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package of somebody else's, with an entry point."""
    (tmp_path / "watchmen.py").write_text(MODULE)
    folder = tmp_path / "watchmen-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: watchmen\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[agentsim.roles]\nnight_watch = watchmen:NightWatch\n")
    monkeypatch.syspath_prepend(tmp_path)


def faults(make: Make, **role: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        make(roles={"guard": role})
    return {fault.path: fault.message for fault in caught.value.faults}


@pytest.mark.usefixtures("guests")
def test_a_role_of_somebody_else_is_played(scenario: Make, tmp_path: Path) -> None:
    roles = {"guard": {"class": "watchmen:NightWatch", "steps": 4.0, "gap": "5s"}}
    chosen = scenario(population={"agents": 30, "roots": {"guard": 1}}, roles=roles, tenants=2)
    run = simulate(chosen, tmp_path / "run", jobs=1)
    assert set(run.frame("agents")["role"]) == {"guard"}
    assert set(run.frame("agents")["description"]) == {"looks whether doors are shut"}
    calls = run.sql("select count(*) n from audit where event_type = 'task_execution'")["n"][0]
    assert calls == pytest.approx(30 * 4, rel=0.4)


@pytest.mark.usefixtures("guests")
def test_a_resolved_scenario_needs_the_class_no_more(scenario: Make) -> None:
    chosen = scenario(roles={"guard": {"class": "night_watch", "steps": 4.0}})
    assert type(chosen.roles["guard"]) is Role
    text = json.dumps(chosen.resolved())
    assert "watchmen" not in text
    assert "night_watch" not in text
    again = parse_scenario(json.loads(text))
    assert again.roles["guard"] == chosen.roles["guard"]
    assert (again.roles["guard"].steps, again.roles["guard"].gap) == (4.0, 30_000_000)


@pytest.mark.usefixtures("guests")
def test_a_class_under_the_name_of_a_built_in_role_replaces_all_of_it(scenario: Make) -> None:
    roles = {"support_agent": {"class": "night_watch"}}
    assert set(scenario(roles=roles).roles["support_agent"].tools) == {"door_look", "log_write"}


@pytest.mark.usefixtures("guests")
def test_installed_roles_are_known_beside_the_built_in_ones() -> None:
    assert known_roles()["night_watch"] == find_role("watchmen:NightWatch")


@pytest.mark.usefixtures("guests")
def test_what_is_wrong_with_a_class_or_beside_it_is_told_with_its_path(scenario: Make) -> None:
    place = "roles.guard.class"
    assert faults(scenario, **{"class": "watchmen:Nobody"}).keys() == {place}
    assert "no entry point 'day_watch'" in faults(scenario, **{"class": "day_watch"})[place]
    assert (
        "not derived from agentsim.simulation.role:Role"
        in faults(scenario, **{"class": "json:JSONDecoder"})[place]
    )
    assert "must be package.module:Class" in faults(scenario, **{"class": 3})[place]
    assert "another type" in faults(scenario, **{"class": "watchmen:Odd"})[place]
    assert faults(scenario, **{"class": "night_watch", "steps": 0.0, "gapp": "3s"}) == {
        "roles.guard.steps": "must be at least 1, got 0.0",
        "roles.guard.gapp": "unknown key; did you mean 'gap'?",
    }
    missing = faults(scenario, **{"class": "watchmen:Unfinished"})
    assert missing["roles.guard.tools"] == "required, but missing"


def test_other_faults_of_the_file_are_told_beside_an_unknown_class(scenario: Make) -> None:
    with pytest.raises(SettingsError) as caught:
        scenario(
            roles={"guard": {"class": "no.such:Role", "fanout": 3.0}, "support_agent": {"steps": 0.5}},
            population={"agents": 10, "roots": {"guard": 1}},
            window="0s",
        )
    assert {fault.path for fault in caught.value.faults} == {
        "roles.guard.class",
        "roles.support_agent.steps",
        "window",
    }
