"""How the cost of a play grows: the same density at every size, a floor of the same work, and fits that can be trusted."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agentsim.cli import main
from agentsim.cli.bench_scale import _present
from agentsim.experiments.bench import BenchError, bench_scale
from agentsim.experiments.bench.apart import apart
from agentsim.experiments.bench.bare import BareSQLite
from agentsim.experiments.bench.growth import fit
from agentsim.experiments.bench.plays import sized
from agentsim.experiments.bench.prices import priced
from agentsim.experiments.bench.samework import insert_rows
from agentsim.run import Run
from agentsim.settings.faults import SettingsError
from agentsim.simulation import load_scenario
from agentsim.simulation.scenario import parse_scenario

SCENARIO = Path(__file__).parents[2] / "data/scenarios/million-one-tenant.yaml"


def told(capsys, *words: object) -> str:
    with pytest.raises(SystemExit) as left:
        main(["bench", "scale", *map(str, words)])
    out, err = capsys.readouterr()
    assert (left.value.code, err) == (0, "")
    return out


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    return bench_scale(load_scenario(SCENARIO), sizes=[400, 200], out=folder), folder


def test_each_size_is_told_with_its_floor_and_where_the_time_went(played):
    result, _ = played
    assert [point.played.agents for point in result.points] == [200, 400]
    for point in result.points:
        play = point.played
        assert sum(play.stages.values()) == pytest.approx(play.wall_s)
        assert {"population", "Register", "Verify", "load", "write", "drive", "export and rest"} <= set(
            play.stages
        )
        assert 0 < play.cpu_s
        assert 0 < play.idle_bytes < play.peak_bytes
        assert play.run_bytes > 0 < play.database_bytes
        assert play.operations > 5 * play.agents > play.batches
        assert point.times == pytest.approx(play.wall_s / point.floor.total_s)
    assert np.isfinite([result.time.exponent, result.even.exponent, result.memory.exponent]).all()
    assert (result.time.least, result.judged_by) == (None, 200)


def test_the_runs_are_kept_where_one_wants_them_with_what_makes_them_again(played):
    _, folder = played
    run = Run(folder / "agents-400-1")
    assert run.manifest.status == "complete"
    source = folder / "agents-400-1.yaml"
    assert str(source) in run.manifest.reproduce
    # 400 of a million agents in an hour: in 1.44 seconds.
    assert load_scenario(source).workload.end == 1_440_000
    assert load_scenario(source).resolved() == run.manifest.source


def test_the_floor_inserts_the_rows_of_the_run(played, tmp_path):
    run = Run(played[1] / "agents-200-1")
    told = []
    with closing(BareSQLite(tmp_path / "floor.db")) as bare:
        assert insert_rows(run, 0, bare, told.append) > 0
    with closing(sqlite3.connect(tmp_path / "floor.db")) as database:
        for name, source, columns in (
            ("agents", "agents", ["client_id", "agent_name"]),
            ("tokens", "issued_tokens", ["token_id", "task_id", "depth"]),
            ("audit", "task_audit_log", ["log_id", "event_type", "row_hash"]),
        ):
            found = database.execute(f"SELECT {', '.join(columns)} FROM {source} ORDER BY 1").fetchall()
            expected = run.frame(name, columns).sort_values(columns[0]).itertuples(index=False, name=None)
            assert found == list(expected)
        assert sum(told) == database.execute("SELECT count(*) FROM task_audit_log").fetchone()[0]


def test_arrivals_are_as_dense_at_every_size():
    def workload(**workload):
        data = {"schema": 1, "name": "s", "seed": 1, "population": {"agents": 1_000}, "workload": workload}
        data["attacks"] = [{"kind": "token_theft", "prevalence": 0.1, "start": "10s"}]
        resolved = sized(parse_scenario(data), 250).resolved()
        assert resolved["population"]["agents"] == 250
        assert resolved["attacks"][0]["start"] == "2s500ms"
        return resolved["workload"]

    assert workload(executor="constant-arrival-rate", duration="1h")["duration"] == "15m"
    stages = [{"for": "40s", "to": 1}, {"for": "1m", "to": 3}]
    ramp = workload(executor="ramping-arrival-rate", stages=stages)["stages"]
    assert [(stage["for"], stage["to"]) for stage in ramp] == [("10s", 1), ("15s", 3)]
    # A rate and a number of users are a density already.
    assert workload(executor="constant-arrival-rate", rate="50/s")["rate"] == "50/s"
    users = workload(executor="constant-vus", vus=10, duration="2m")
    assert (users["vus"], users["duration"]) == (10, "30s")


def test_a_power_law_is_found_and_two_plays_have_no_interval():
    agents = [1_000, 10_000, 100_000, 1_000_000]
    exact = fit(agents, [3 * each**1.1 for each in agents])
    assert exact.exponent == pytest.approx(1.1)
    assert exact.most - exact.least < 1e-6
    noisy = fit(agents, [3 * each**1.1 * noise for each, noise in zip(agents, [1, 1.2, 0.9, 1], strict=True)])
    assert noisy.least < noisy.exponent < noisy.most
    assert (fit(agents[:2], [1, 10]).least, fit(agents[:2], [1, 10]).exponent) == (None, pytest.approx(1))


def test_the_price_of_an_operation_is_told_from_that_of_its_batch():
    rows = []
    for window, (verifies, issues, batches) in enumerate(
        [(900, 100, 1), (20, 0, 1), (300, 500, 4), (5, 5, 2)]
    ):
        us = 50 * verifies + 120 * issues + 2_000 * batches
        for operation, count in (("Verify", verifies), ("Issue", issues), ("load", batches)):
            if count:
                rows.append((0, window, operation, count, us if operation == "load" else 0))
    columns = ["tenant", "window", "operation", "count", "wall_us"]
    causes, prices = priced(pd.DataFrame(rows, columns=columns))
    assert causes == {"Issue": 605, "Verify": 1_225, "batch": 8}
    assert prices == pytest.approx({"Issue": 120, "Verify": 50, "batch": 2_000})


def test_batches_equally_full_change_the_price_of_no_play_at_its_own_work(played):
    small, large = (point.played for point in played[0].points)
    for play in (small, large):
        assert play.seconds_of(play) == pytest.approx(play.wall_s / play.agents, rel=0.01)
    assert small.seconds_of(large) != pytest.approx(small.wall_s / small.agents, rel=0.001)


def test_the_command_prints_what_it_measured(capsys):
    found = json.loads(told(capsys, SCENARIO, "--agents", "200,100", "--json"))
    assert [point["played"]["agents"] for point in found["points"]] == [100, 200]
    for key in ("time", "cpu", "even", "memory"):
        assert isinstance(found[key]["exponent"], float)
    assert {"operations", "batches", "floor_s", "times_the_floor"} <= set(found["points"][0])


def test_people_are_told_in_tables(played, capsys):
    _present(played[0])
    printed = capsys.readouterr().out
    assert "Fitted to 2 plays; so few" in printed
    assert "times as much at 400 as at 200" in printed
    assert "floor: insert" in printed


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--agents", "500"], "two sizes at least"),
        (["--agents", "500,many"], "whole numbers above 0"),
        (["nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_mistakes_are_told_before_anything_is_played(words, complaint, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "scale", *words])
    assert complaint in capsys.readouterr().err


def test_a_play_in_real_time_measures_nothing_and_an_impossible_size_is_refused():
    data = load_scenario(SCENARIO).resolved()
    data["workload"]["clock"] = "wall"
    with pytest.raises(BenchError, match="clock"):
        bench_scale(parse_scenario(data))
    data["workload"]["clock"], data["tenants"] = "simulated", [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    with pytest.raises(SettingsError, match="at least 1 for each"):
        bench_scale(parse_scenario(data), sizes=[2, 10])


def _complain() -> None:
    raise BenchError("that cannot be")


@pytest.mark.usefixtures("found_by_workers")
def test_what_goes_wrong_in_a_process_of_its_own_is_told_here():
    with pytest.raises(BenchError, match=r"^that cannot be$"):
        apart(_complain)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        apart(partial(divmod, 1, 0))
    with pytest.raises(BenchError, match=r"status 9 .killed"):
        apart(partial(os._exit, 9))


def test_an_interrupt_leaves_no_process(tmp_path):
    command = ["bench", "scale", str(SCENARIO), "--agents", "30000,60000", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "agentsim.cli", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        for _ in range(1_200):
            if list(tmp_path.glob("*/.work-*")):
                break
            time.sleep(0.05)
        # As the keyboard does: to the whole group.
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, b"agentsim: interrupted\n")
        assert list(tmp_path.glob("*/.work-*")) == []
        # Python's own keeper of semaphores ends a moment after the rest.
        for _ in range(200):
            if not _is_anybody_left(process.pid):
                break
            time.sleep(0.05)
        assert not _is_anybody_left(process.pid)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _is_anybody_left(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
