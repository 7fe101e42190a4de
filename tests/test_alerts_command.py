"""The command that lists and exports alerts."""

import json
from functools import partial

import pyarrow.parquet as pq
import pytest

from agentsim.experiments.companions import make_companion
from agentsim.experiments.scene import Runs
from agentsim.experiments.tuning import tune
from agentsim.risk import ThresholdPolicy, alerts
from agentsim.risk.model import load, train
from agentsim.risk.thresholds import load_thresholds
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
SUPPRESSIONS = """\
suppressions:
  - {match: {kind: grant, role: '*'}, reason: being looked at, owner: desk, expires: 2999-01-01}
  - {match: {alert: grant-1}, reason: never there, owner: desk, expires: 2999-01-01}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A Run, and beside it a file of thresholds with its model."""
    run = simulate(Scenario.model_validate(SCENARIO), tmp_path_factory.mktemp("runs") / "tiny")
    reference, _ = make_companion(run, "reference", agents=250)
    place = run.path.with_name("model")
    train(reference, name="tiny").save(place)
    policy = ThresholdPolicy.model_validate({"by": "fixed", "score": 1.5})
    tuned = tune(run, policy, model=place, runs=Runs(reported=run))
    tuned.write(run.path.with_name("thresholds.yaml"))
    return run.path, run.path.with_name("thresholds.yaml")


@pytest.fixture
def cli(cli, monkeypatch, tmp_path):
    """Gives words to ``agentsim alerts`` in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return partial(cli, "alerts")


def test_alerts_are_listed_with_their_reasons_and_written(cli, made, tmp_path):
    run, thresholds = made
    status, out, err = cli(run, "--thresholds", thresholds, "-o", "alerts.parquet", "--top", "3")
    assert (status, err) == (0, "")
    found = alerts(Run(run), load(thresholds.with_name("model")), load_thresholds(thresholds))
    lines = out.splitlines()
    assert len(found) > 3
    assert [line.split()[1] for line in lines[1:4]] == found["alert_id"].head(3).tolist()
    assert found["reasons"].iloc[0][0] in lines[1]
    assert lines[-1] == f"{len(found):,} alerts, all written to alerts.parquet"
    assert pq.read_table("alerts.parquet")["alert_id"].to_pylist() == found["alert_id"].tolist()


def test_what_is_suppressed_is_written_but_not_listed(cli, made, tmp_path):
    run, thresholds = made
    (tmp_path / "quiet.yaml").write_text(SUPPRESSIONS)
    words = ["--thresholds", thresholds, "--suppressions", "quiet.yaml", "-o", "alerts.jsonl"]
    told = json.loads(cli(run, *words, "--json")[1])
    lines = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    assert len(lines) == told["alerts"] + told["suppressed"]
    assert told["suppressed"] == sum(line["status"] == "Suppressed" for line in lines) > 0
    assert "grant" not in told["by_kind"]
    assert all(alert["kind"] != "grant" and alert["reasons"] for alert in told["highest"])
    assert "matches no alert" in told["notes"][0]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--thresholds"),
        (["--thresholds", "none.yaml"], "none.yaml"),
        (["--thresholds", "THERE", "-o", "alerts.xlsx"], ".parquet, .csv, .jsonl"),
        (["--thresholds", "THERE", "--suppressions", "none.yaml"], "none.yaml"),
    ],
)
def test_a_mistake_gives_one_message(cli, made, words, named):
    run, thresholds = made
    status, out, err = cli(run, *(thresholds if word == "THERE" else word for word in words))
    assert (status, out) == (2, "")
    assert named in err
    assert "Traceback" not in err


def test_its_help_gives_an_example(cli):
    assert "Example: agentsim alerts " in cli("--help")[1]
