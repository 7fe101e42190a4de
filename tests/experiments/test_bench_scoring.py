"""The benchmarks of judging: what it adds to a verification, and what a whole Run takes."""

import json
from pathlib import Path

import pytest

from agentsim.cli import main
from agentsim.experiments.bench.judging import bench_judging
from agentsim.risk.model import train
from agentsim.run import Run
from agentsim.simulation import simulate
from agentsim.simulation.scenario import load_scenario

DEMO = Path(__file__).parents[2] / "data/scenarios/demo.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "reference"
    simulate(load_scenario(DEMO).with_agents(200).without_attacks(), path, jobs=1, progress=False)
    return Run(path)


def told(capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(["bench", *words])
    out, err = capsys.readouterr()
    assert (left.value.code, err) == (0, "")
    return out


def test_each_step_of_judging_a_run_is_told_with_how_much_it_was(run):
    stages = bench_judging(run, train(run, name="usual"))
    assert [(each.stage, each.kind) for each in stages] == [
        ("read", ""),
        *(
            (stage, kind)
            for kind in ("grant", "tree", "agent")
            for stage in ("features", "evidence", "scores")
        ),
    ]
    grants = run.sql("SELECT count(DISTINCT grant_id) AS n FROM tokens")["n"].item()
    assert {each.entities for each in stages if each.kind in ("", "grant")} == {grants}
    assert {each.entities for each in stages if each.kind == "agent"} == {200}
    assert all(each.seconds > 0 for each in stages)


def test_the_command_says_what_a_million_may_take(run, tmp_path, capsys):
    model = tmp_path / "model"
    train(run, name="usual").save(model)
    assert "at most 60 for a million" in told(capsys, "judging", str(run.path), "--model", str(model))


def test_verifications_are_measured_with_and_without_a_model(capsys):
    out = told(
        capsys, "scoring", str(DEMO), "--sizes", "1,8", "--seconds", "0.05", "--agents", "200", "--json"
    )
    figures = json.loads(out)["figures"]
    assert [each["batch_size"] for each in figures] == [1, 8]
    assert all(each["without_us"] > 0 and each["with_us"] > 0 for each in figures)
