"""What each way to verify lets through after a revocation, compared on one scenario."""

import json

import pytest

from agentsim.cli import main
from agentsim.experiments import compare_exposure, compare_exposure_of
from agentsim.experiments.exposure import WAYS
from agentsim.lineage import check
from agentsim.run import Run
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario


@pytest.fixture(scope="module")
def scenario():
    return parse_scenario(
        {
            "schema": 1,
            "name": "compared",
            "seed": 3,
            "population": {"agents": 250},
            "workload": {"executor": "constant-arrival-rate", "duration": "5m"},
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exposure")


@pytest.fixture(scope="module")
def compared(scenario, folder):
    return compare_exposure(scenario, folder, agents=200)


def of(compared, verification, setting=""):
    return compared[(compared["verification"] == verification) & (compared["setting"] == setting)].iloc[0]


def test_online_exposes_nothing_and_offline_most(compared):
    online, offline = of(compared, "online"), of(compared, "offline")
    assert online["honoured"] == 0
    assert online["asked"] == online["calls"] > 0
    assert offline["honoured"] == compared["honoured"].max() > 0
    assert offline["requests_per_call"] == 0


def test_the_longer_an_answer_is_kept_the_less_is_asked_and_the_more_is_honoured(compared):
    kept = [of(compared, "introspection", setting) for setting in ("1s", "10s", "60s")]
    asked = [one["asked"] / one["calls"] for one in kept]
    assert asked == sorted(asked, reverse=True)
    honoured = [one["honoured"] for one in kept]
    assert honoured == sorted(honoured)
    assert all(not one["max_s"] >= limit for one, limit in zip(kept, (1, 10, 60), strict=True))


def test_everybody_stops_the_same_tasks(compared):
    assert compared["revocations"].nunique() == 1
    assert compared["revocations"].iloc[0] > 5
    assert ((compared["low"] <= compared["per_1000"]) & (compared["per_1000"] <= compared["high"])).all()


def test_what_was_played_breaks_no_invariant_and_is_found_again(compared, scenario, folder):
    runs = sorted(folder.iterdir())
    assert len(runs) == len(WAYS)
    before = [Run(run).manifest.created_at for run in runs]
    assert all(check(Run(run)) == [] for run in runs)
    again = compare_exposure(scenario, folder, agents=200)
    assert again.equals(compared)
    assert [Run(run).manifest.created_at for run in runs] == before


def test_the_command_takes_a_run_and_keeps_what_it_plays_beside_it(compared, folder, tmp_path, capsys):
    run = simulate(
        parse_scenario({**Run(folder / "exposure-200-online").manifest.source, "name": "again"}),
        tmp_path / "run",
    )
    (tmp_path / "run-companions").symlink_to(folder)
    assert len(compare_exposure_of(run, agents=20)) == len(WAYS)
    with pytest.raises(SystemExit) as left:
        main(["exposure", str(tmp_path / "run"), "--agents", "20", "--json"])
    assert left.value.code == 0
    told = json.loads(capsys.readouterr().out)["strategies"]
    assert [row["verification"] for row in told] == [way.verification for way in WAYS]
    with pytest.raises(SystemExit):
        main(["exposure", str(tmp_path / "run"), "--agents", "20"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("Verification")
    assert lines[2].startswith("online")
