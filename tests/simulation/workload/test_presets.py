"""Presets: shapes by name, read as plain stages."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from agentsim.settings.faults import SettingsError
from agentsim.simulation.scenario import Scenario, parse_scenario
from agentsim.simulation.workload import PRESETS, RampingRate, RampingUsers, Workload


def read(**workload: Any) -> Scenario:
    data = {"schema": 1, "name": "story", "seed": 1, "population": {"agents": 50}, "workload": workload}
    return parse_scenario(data)


def faults(**workload: Any) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        read(**workload)
    return {fault.path: fault.message for fault in caught.value.faults}


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_is_a_load_of_rates_and_one_of_users(preset: str) -> None:
    rates = read(preset=preset).workload
    assert isinstance(rates, RampingRate)
    assert rates.end is not None
    assert isinstance(read(preset=preset, peak="50/s").workload, RampingRate)
    users = read(preset=preset, executor="ramping-vus", peak=40).workload
    assert isinstance(users, RampingUsers)
    assert users.most == 40


def test_the_manifest_tells_plain_stages() -> None:
    scenario = read(preset="spike", duration="1h", peak="40/s", max_in_flight=7)
    told = scenario.resolved()["workload"]
    assert "preset" not in told
    assert [stage["to"] for stage in told["stages"]] == ["2/s", "40/s", "40/s", "2/s", "2/s"]
    assert told["max_in_flight"] == 7
    assert parse_scenario(scenario.resolved()) == scenario


def test_another_duration_keeps_the_proportion_of_the_stages() -> None:
    whole, half = read(preset="spike").workload, read(preset="spike", duration="30m").workload
    assert isinstance(whole, RampingRate)
    assert isinstance(half, RampingRate)
    assert half.end == 30 * 60_000_000
    assert [2 * stage.length for stage in half.stages] == [stage.length for stage in whole.stages]


def test_faults_of_a_preset_have_their_paths() -> None:
    assert "'ramp', 'spike'" in faults(preset="spke")["workload.preset"]
    assert faults(preset="ramp", duration=5, stages=[]).keys() == {"workload.duration", "workload.stages"}
    assert faults(preset="ramp", peak=3) == {"workload.peak": "write a rate, for example 50/s"}
    assert "how many users" in faults(preset="ramp", executor="ramping-vus", peak="3/s")["workload.peak"]
    assert faults(preset="ramp", executor="ramping-vus", peak=3, max_in_flight=3).keys() == {
        "workload.max_in_flight"
    }
    assert faults(preset="ramp", pause="3s").keys() == {"workload.pause"}


def test_the_schema_for_editors_knows_presets() -> None:
    schema = TypeAdapter(Workload).json_schema()
    assert {"Preset", "ConstantUsers", "RampingUsers", "ConstantRate", "RampingRate"} <= schema[
        "$defs"
    ].keys()
