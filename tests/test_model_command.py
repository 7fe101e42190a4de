"""The commands on trained models."""

import json
from functools import partial
from pathlib import Path

import pytest

from agentsim.risk.catalogue import FEATURES
from agentsim.simulation import simulate
from agentsim.simulation.scenario import load_scenario

DEMO = Path(__file__).parents[1] / "data/scenarios/demo.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "reference"
    simulate(load_scenario(DEMO).with_agents(200).without_attacks(), path, jobs=1, progress=False)
    return path


@pytest.fixture
def cli(cli):
    """Gives words to ``agentsim model``."""
    return partial(cli, "model")


def test_a_model_is_trained_and_shown(cli, run, tmp_path):
    model = str(tmp_path / "models" / "acme")
    status, out, err = cli("train", str(run), "-o", model, "--seed", "3")
    assert (status, err) == (0, "")
    assert f"Next: agentsim model show {model}" in out
    status, out, _ = cli("show", model)
    assert status == 0
    assert "demo (seed 20261123)" in out
    assert all(word in out for word in ("RobustZ", "decay=0.1", "scikit-learn", "Limit: "))
    assert "events" in next(line for line in out.splitlines() if line.startswith("refreshes"))
    told = json.loads(cli("show", model, "--json")[1])
    assert told["name"] == "acme"
    assert set(told["features"]) < set(FEATURES)
    trained = json.loads(cli("train", str(run), "-o", model, "--seed", "3", "--json")[1])
    assert trained["estimators"] == told["estimators"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "nowhere"], "no model here (no card.json); make one with 'agentsim model train'"),
        (["train", "nowhere", "-o", "model"], "no Run here (no manifest.json)"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(cli, arguments, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = cli(*arguments)
    assert (status, out) == (2, "")
    assert complaint in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["train", "show"])
def test_help_gives_an_example(cli, command):
    assert f"Example: agentsim model {command} " in cli(command, "--help")[1]
