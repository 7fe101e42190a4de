"""The command that chooses thresholds: what it prints and writes, and which mistakes it tells."""

import json
from functools import partial

import pytest

from agentsim.experiments.companions import make_companion
from agentsim.risk.model import train
from agentsim.risk.thresholds import read_thresholds
from agentsim.run import Run
from agentsim.simulation import Scenario, simulate

SCENARIO = {
    "schema": 1,
    "name": "tiny",
    "seed": 11,
    "population": {"agents": 250},
    "workload": {"executor": "constant-arrival-rate", "duration": "30m"},
    "attacks": [{"kind": "scope_escalation", "prevalence": 0.1, "stealth": 0.2}],
}
COSTS = "missed: {scope_escalation: 500}\nmissed_otherwise: 100\nfalse_alarm: 5\n"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return simulate(Scenario.model_validate(SCENARIO), tmp_path_factory.mktemp("runs") / "tiny").path


@pytest.fixture(scope="module")
def model(run):
    """A model, so that not every story trains one."""
    reference, _ = make_companion(Run(run), "reference", agents=250)
    place = run.with_name("model")
    train(reference, name="tiny").save(place)
    return place


@pytest.fixture
def cli(cli, monkeypatch, tmp_path):
    """Gives words to ``agentsim tune`` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return partial(cli, "tune")


def test_it_writes_a_file_and_tells_what_it_finds(cli, run, tmp_path):
    status, out, _ = cli(run, "--budget", "2000/day", "--act", "step_up", "-o", "thresholds.yaml")
    assert status == 0
    file = read_thresholds(tmp_path / "thresholds.yaml")
    assert file.chosen.alerts == 2000
    assert list(file.actions) == ["step_up"]
    assert (tmp_path / file.model.file / "card.json").is_file()
    assert "scope escalation" in out
    assert "alerts a day" in out
    assert f"to be used until {file.expires}" in out


@pytest.mark.parametrize(
    "way",
    [
        ["--fixed", "2.5"],
        ["--analysts", "2", "--minutes", "4"],
        ["--fdr", "0.2", "--expected", "40"],
        ["--cost", "costs.yaml"],
        ["--recall", "scope_escalation=0.5"],
    ],
    ids=lambda words: words[0],
)
def test_programs_get_every_way_as_json(cli, run, model, tmp_path, way):
    (tmp_path / "costs.yaml").write_text(COSTS)
    status, out, err = cli(run, *way, "--model", model, "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["file"] is None
    assert "grant" in told["thresholds"]["thresholds"]
    assert set(told["recall"]) == {"scope_escalation", "all"}
    assert (told["cost_per_day"] is not None) == (way[0] == "--cost")


def test_two_files_are_compared(cli, run, model):
    cli(run, "--budget", "1000/day", "--model", model, "-o", "old.yaml")
    cli(run, "--budget", "3000/day", "--model", model, "-o", "new.yaml")
    status, out, _ = cli("--compare", "old.yaml", "new.yaml", run)
    assert status == 0
    assert "Gained, the highest:" in out
    told = json.loads(cli("--compare", "old.yaml", "new.yaml", run, "--json")[1])
    assert sum(row["gained"] for row in told["by_role"]) == told["new"]["alerts"] - told["old"]["alerts"] > 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], ["one way", "none was", "--budget"]),
        (["--fixed", "3", "--fdr", "0.1"], ["fdr and fixed"]),
        (["--budget", "50"], ["alerts", "50/day or 2/hour"]),
        (["--budget", "50/day", "--analysts", "2"], ["a budget is"]),
        (["--analysts", "2"], ["minutes_per_alert"]),
        (["--fdr", "2"], ["share", "less than 1"]),
        (["--recall", "scope_escalation"], ["--recall", "NAME=NUMBER"]),
        (["--recall", "scope_escalation=x"], ["--recall", "NAME=NUMBER"]),
        (["--recall", "theft=0.5"], ["theft"]),
        (["--recall", "a=0.5", "--recall", "a=0.6"], ["a", "twice"]),
        (["--cost", "none.yaml"], ["none.yaml", "no such file"]),
        (["--fixed", "3", "--act", "revoke"], ["revoke", "did you mean"]),
        (["--fixed", "3", "--act", "log=1"], ["actions.log", "below 3"]),
        (["--fixed", "3", "--report", "nowhere"], ["nowhere", "no Run here"]),
        (["--compare", "a.yaml", "b.yaml", "--fixed", "3"], ["--compare", "leave out"]),
        (["--compare", "a.yaml", "b.yaml", "--report", "run"], ["--compare", "leave out"]),
        (["--fixed", "3", "--model", "nowhere"], ["nowhere"]),
        (["--compare", "a.yaml", "b.yaml"], ["a.yaml", "no such file"]),
    ],
    ids=" ".join,
)
def test_a_mistake_gives_one_message(cli, run, model, words, named):
    with_model = [] if "--compare" in words or "--model" in words else ["--model", model]
    status, out, err = cli(run, *words, *with_model)
    assert (status, out) == (2, "")
    assert err.startswith("agentsim: ")
    assert "Traceback" not in err
    assert [word for word in named if word not in err] == []


def test_a_recorded_run_has_no_scenario_to_play_again(cli, world_of_recordings):
    status, _, err = cli(world_of_recordings, "--fixed", "3")
    assert status == 2
    assert "recorded, not simulated" in err


@pytest.fixture
def world_of_recordings(run, tmp_path):
    """A Run that says it was recorded."""
    copy = tmp_path / "recorded"
    copy.mkdir()
    manifest = json.loads((run / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(manifest | {"kind": "replay", "sha256": None}))
    return copy


def test_its_help_gives_an_example_and_never_speaks_of_a_policy(cli):
    out = cli("--help")[1]
    assert "Example: agentsim tune " in out
    assert "policy" not in out.lower()
