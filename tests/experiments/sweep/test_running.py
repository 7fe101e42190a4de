"""A sweep played: resumed, one cell alone, one that fails, and what comes out of it."""

import json
import shlex
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from agentsim.cli import main
from agentsim.experiments.sweep import SweepError, Tally, compare, load_sweep, results, run_sweep
from agentsim.run import Run
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario

MATRIX = {"policy.access_ttl": ["1m", "5m"], "attacks.0.stealth": [0, 1]}


@pytest.fixture(scope="module")
def once(tmp_path_factory, small):
    """A sweep and the folder in which it was played."""
    folder = tmp_path_factory.mktemp("sweep")
    parts = {"schema": 1, "name": "story", "scenario": small, "matrix": MATRIX, "common_random_numbers": True}
    (folder / "story.yaml").write_text(yaml.safe_dump(parts, sort_keys=False))
    sweep = load_sweep(folder / "story.yaml")
    assert run_sweep(sweep, folder / "played") == Tally(computed=4)
    return sweep, folder / "played"


@pytest.fixture
def sweep(once):
    return once[0]


@pytest.fixture
def played(once, tmp_path):
    """A copy of what was played, for one story."""
    return Path(shutil.copytree(once[1], tmp_path / "played"))


def digests(folder, cell):
    return Run(folder / cell.cell).manifest.digests()


def intents(folder, cell):
    """When agents were registered and which names they had: intents that no answer changes."""
    attacked = "select agent_name, created_at, registered_scope from agents order by all"
    return Run(folder / cell.cell).sql(attacked)


def test_playing_again_reuses_all_and_repairs_what_is_damaged(sweep, played):
    assert str(run_sweep(sweep, played)) == "computed 0, reused 4, failed 0"
    known = results(played)
    damaged, unfinished, lost, _ = (played / cell.cell for cell in sweep.cells)
    next((damaged / "tokens").iterdir()).write_bytes(b"cut")
    manifest = json.loads((unfinished / "manifest.json").read_text())
    (unfinished / "manifest.json").write_text(
        json.dumps({**manifest, "status": "running", "tenants": {}, "files": {}, "sha256": None})
    )
    (played / f"{lost.name}.json").unlink()
    assert run_sweep(sweep, played) == Tally(computed=2, reused=2)
    again = results(played)
    assert list(again["digest"]) == list(known["digest"])
    assert list(again["operations"]) == list(known["operations"])


def test_a_value_that_is_added_computes_its_own_cells_alone(sweep, played, write):
    more = load_sweep(write(matrix={**MATRIX, "attacks.0.stealth": [0, 0.5, 1]}, common_random_numbers=True))
    assert run_sweep(more, played) == Tally(computed=2, reused=4)
    assert len(results(played)) == 6


def test_another_scenario_under_the_same_values_is_computed_anew(sweep, played, write, small):
    longer = {**small, "population": {"agents": 35}}
    other = load_sweep(write(scenario=longer, matrix=MATRIX, common_random_numbers=True))
    assert [cell.cell for cell in other.cells] == [cell.cell for cell in sweep.cells]
    assert run_sweep(other, played, cell=other.cells[0].cell) == Tally(computed=1)
    assert list(results(played)["status"]) == ["complete", "missing", "missing", "missing"]
    assert results(played)["agents"][0] == 35


def test_a_cell_alone_is_the_one_in_the_sweep_and_an_ordinary_scenario(once, sweep, played, tmp_path):
    cell = sweep.cells[2]
    assert run_sweep(sweep, tmp_path / "alone", cell=cell.cell) == Tally(computed=1)
    assert digests(tmp_path / "alone", cell) == digests(played, cell)
    manifest = Run(played / cell.cell).manifest
    by_hand = simulate(parse_scenario(manifest.source), tmp_path / "by-hand")
    assert by_hand.manifest.digests() == manifest.digests()
    words = ["agentsim", "sweep", sweep.source, "--cell", cell.cell, "--out", str(once[1])]
    assert shlex.split(manifest.reproduce) == words
    with pytest.raises(SweepError, match="no cell 'nobody'"):
        run_sweep(sweep, tmp_path / "alone", cell="nobody")


def test_with_common_random_numbers_points_share_what_agents_intend(sweep, played):
    first = intents(played, sweep.cells[0])
    assert all(intents(played, cell).equals(first) for cell in sweep.cells[1:])
    assert len({str(digests(played, cell)) for cell in sweep.cells}) > 1


def test_replications_and_points_differ_without_them(write, tmp_path):
    sweep = load_sweep(write(matrix={"attacks.0.stealth": [0, 1]}, replications=2))
    run_sweep(sweep, tmp_path / "played")
    drawn = [intents(tmp_path / "played", cell) for cell in sweep.cells]
    assert not any(drawn[i].equals(drawn[j]) for i in range(4) for j in range(i))


def test_a_cell_that_fails_says_why_and_the_others_go_on(sweep, once, tmp_path, capsys):
    folder = tmp_path / "failing"
    broken = sweep.cells[1]
    in_the_way = folder / broken.cell / "notes.txt"
    run_sweep(sweep, folder, cell=sweep.cells[0].cell)
    in_the_way.parent.mkdir()
    in_the_way.write_text("mine")
    assert run_sweep(sweep, folder, jobs=2) == Tally(computed=2, reused=1, failed=1)
    failure = json.loads((folder / f"{broken.cell}.json").read_text())["failure"]
    assert (failure["stage"], failure["type"]) == ("simulate", "RunError")
    assert "not empty and no Run" in failure["message"]
    assert "Traceback" in failure["traceback"]
    assert digests(folder, sweep.cells[3]) == digests(once[1], sweep.cells[3])
    frame = results(folder)
    assert list(frame["status"]) == ["complete", "failed", "complete", "complete"]
    assert frame["grants"].isna().tolist() == [False, True, False, False]
    with pytest.raises(SystemExit) as left:
        main(["sweep", sweep.source, "--out", str(folder), "--jobs", "1"])
    assert left.value.code == 1
    out, err = capsys.readouterr()
    assert out.splitlines()[-1] == "computed 0, reused 3, failed 1"
    assert f"failed: {broken.cell}: RunError" in err
    in_the_way.unlink()
    assert run_sweep(sweep, folder) == Tally(computed=1, reused=3)
    assert results(folder)["error"].isna().all()


def test_the_results_are_one_tidy_table(sweep, played):
    frame = results(played)
    assert list(frame.columns[:9]) == [
        "cell",
        "status",
        "policy.access_ttl",
        "policy.access_ttl_s",
        "attacks.0.stealth",
        "replication",
        "seed",
        "digest",
        "error",
    ]
    assert list(frame["policy.access_ttl_s"]) == [60, 60, 300, 300]
    assert list(frame["seed"]) == [str(cell.seed) for cell in sweep.cells]
    assert (frame["agents"] == 30).all()
    assert (frame["operations"] > 100).all()
    assert (frame["operations_per_second"] > 0).all()
    events = frame.filter(like="events.").drop(columns="events.token_ended", errors="ignore")
    assert (events.filter(regex="^events").sum(axis=1) == frame["operations"]).all()
    assert pd.read_parquet(played / "results.parquet").equals(frame)
    assert len(pd.read_csv(played / "results.csv")) == 4


def test_what_a_spreadsheet_would_run_stays_text(write, tmp_path):
    """A sweep that somebody else has written: its values are cells."""
    run_sweep(load_sweep(write(matrix={"description": ["=cmd()", "plain"]})), tmp_path / "played")
    assert list(results(tmp_path / "played")["description"]) == ["=cmd()", "plain"]
    assert list(pd.read_csv(tmp_path / "played" / "results.csv")["description"]) == ["'=cmd()", "plain"]


def test_points_are_compared_over_their_replications(write, tmp_path):
    sweep = load_sweep(write(matrix={"attacks.0.stealth": [0, 1]}, replications=3))
    run_sweep(sweep, tmp_path / "played")
    frame = results(tmp_path / "played")
    compared = compare(frame, sweep, ["operations"])
    assert list(compared["runs"]) == [3, 3]
    first = frame["operations"][:3].astype(float)
    assert compared["operations"][0] == pytest.approx(first.mean())
    # Student's t with two degrees of freedom.
    half = 4.30265 * first.std() / 3**0.5
    assert compared["operations_high"][0] - compared["operations"][0] == pytest.approx(half, rel=1e-4)
    assert compare(frame[:1], sweep, ["operations"])["operations_low"].isna().all()


def test_a_folder_of_something_else_is_left_alone(sweep, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(SweepError, match="not empty and no sweep"):
        run_sweep(sweep, tmp_path / "mine")
    with pytest.raises(SweepError, match="no sweep here"):
        results(tmp_path / "mine")
    with pytest.raises(SweepError, match="cannot be written"):
        run_sweep(sweep, tmp_path / "mine" / "notes.txt")


def test_the_command_lists_plays_and_tells(sweep, tmp_path, capsys):
    def told(*words):
        with pytest.raises(SystemExit) as left:
            main(["sweep", sweep.source, "--out", str(tmp_path / "played"), *words])
        assert left.value.code == 0
        return capsys.readouterr().out

    listed = told("--list").splitlines()
    assert [line.split()[0] for line in listed if line][1:] == [cell.cell for cell in sweep.cells]
    assert not (tmp_path / "played").exists()
    alone = json.loads(told("--cell", sweep.cells[0].cell, "--json"))
    assert [row["status"] for row in alone["cells"]] == ["complete", "missing", "missing", "missing"]
    assert [row["status"] for row in json.loads(told("--list", "--json"))["cells"]][:2] == [
        "complete",
        "missing",
    ]
    lines = told("--jobs", "1").splitlines()
    assert lines[1].split()[:3] == ["policy.access_ttl", "attacks.0.stealth", "runs"]
    assert lines[-1] == "computed 3, reused 1, failed 0"
