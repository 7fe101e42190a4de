"""Runs that were cut short go on; tenants that fail say why; nobody writes where another is writing."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest
import yaml

from agentsim.lineage import check
from agentsim.run import Run, RunError
from agentsim.simulation import load_scenario, simulate, tenantwork

pytestmark = pytest.mark.long

#: How often a run is killed; ``AGENTSIM_KILLS=10`` for more.
KILLS = int(os.environ.get("AGENTSIM_KILLS", "3"))
TENANTS = 6


@pytest.fixture(scope="module")
def small(scenario):
    return scenario(population={"agents": 300}, tenants=TENANTS)


@pytest.fixture(scope="module")
def whole(small, tmp_path_factory):
    return simulate(small, tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def complete(whole, tmp_path):
    """The same, to be changed."""
    shutil.copytree(whole.path, tmp_path / "run")
    return Run(tmp_path / "run")


def begin(small, folder, *words):
    """The command, from a folder of its own."""
    (folder / "story.yaml").write_text(yaml.safe_dump(small.resolved()))
    command = [sys.executable, "-m", "agentsim.cli", "simulate", "story.yaml", "--out", "run", "--jobs", "2"]
    return subprocess.Popen([*command, *words], cwd=folder, stdout=-1, stderr=-1, text=True)


def finished(folder):
    try:
        return len(Run(folder / "run").manifest.tenants)
    except RunError:
        return 0


def wait_for_tenants(process, folder, least):
    while process.poll() is None and finished(folder) < least:
        time.sleep(0.02)


def workers_of(process):
    found = []
    for child in psutil.Process(process.pid).children():
        # One may have ended since.
        with suppress(psutil.NoSuchProcess):
            found += [child] if "spawn_main" in " ".join(child.cmdline()) else []
    return found


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_is_killed_gives_the_same_tables_once_it_has_gone_on(small, whole, tmp_path, number):
    rng = random.Random(number)
    with begin(small, tmp_path) as process:
        wait_for_tenants(process, tmp_path, rng.randrange(TENANTS - 1))
        time.sleep(rng.random())
        process.kill()
    kept = finished(tmp_path)
    resumed = simulate(load_scenario(tmp_path / "story.yaml"), tmp_path / "run")
    assert resumed.manifest.digests() == whole.manifest.digests()
    assert resumed.manifest.reused == kept
    assert resumed.manifest.end == whole.manifest.end
    assert resumed.damaged_files() == []
    assert {path.name for path in resumed.path.iterdir()} == {path.name for path in whole.path.iterdir()}


@pytest.mark.parametrize("number", range(KILLS))
def test_a_worker_that_is_killed_changes_no_table(small, whole, tmp_path, number):
    rng = random.Random(number)
    with begin(small, tmp_path) as process:
        wait_for_tenants(process, tmp_path, rng.randrange(TENANTS - 2))
        while not (workers := workers_of(process)) and process.poll() is None:
            time.sleep(0.02)
        assert workers, "all was done before one could be killed"
        rng.choice(workers).send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "operations" in out
    assert Run(tmp_path / "run").manifest.digests() == whole.manifest.digests()


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_goes_on(small, whole, tmp_path):
    with begin(small, tmp_path) as process:
        wait_for_tenants(process, tmp_path, 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "agentsim: interrupted\n")
    kept = finished(tmp_path)
    with begin(small, tmp_path) as process:
        _, err = process.communicate(timeout=120)
    assert err == f"tenants: computed {TENANTS - kept}, reused {kept}, failed 0\n"
    assert Run(tmp_path / "run").manifest.digests() == whole.manifest.digests()


def test_what_is_finished_is_not_played_again_unless_asked(small, whole, tmp_path):
    run = simulate(small, tmp_path / "run")
    again = simulate(small, tmp_path / "run")
    assert (run.manifest.reused, again.manifest.reused) == (0, TENANTS)
    assert again.manifest.wall_seconds == pytest.approx(run.manifest.wall_seconds, abs=5)
    assert simulate(small, tmp_path / "run", fresh=True).manifest.reused == 0


def test_a_damaged_tenant_is_played_again(small, whole, complete, tmp_path):
    complete.files("audit")[0].write_bytes(b"junk")
    again = simulate(small, tmp_path / "run")
    assert again.manifest.reused == TENANTS - 1
    assert again.manifest.digests() == whole.manifest.digests()


def test_what_is_finished_stays_listed_where_going_on_fails(small, whole, complete, tmp_path):
    # No folder, so that it cannot be cleared away as one.
    (complete.path / ".work-t0000").touch()
    with pytest.raises(RunError, match="cannot be written"):
        simulate(small, tmp_path / "run")
    left = Run(complete.path)
    assert list(left.manifest.tenants) == list(whole.manifest.tenants)
    assert left.damaged_files() == []


def test_another_scenario_keeps_nothing(small, complete, tmp_path):
    other = simulate(small.with_seed(7), tmp_path / "run")
    assert other.manifest.reused == 0
    assert check(other) == []


def fails_in(tenant):
    """The play's beginning, which fails for one tenant."""
    usual = tenantwork.TenantPlay

    def begin_play(scenario, number, *rest):
        if number == tenant:
            raise ZeroDivisionError("a fault in the play")
        return usual(scenario, number, *rest)

    return begin_play


def test_a_tenant_that_fails_says_why_and_stops_no_other(small, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(tenantwork, "TenantPlay", fails_in(3))
    run = simulate(small, tmp_path / "run")
    assert run.manifest.status == "failed"
    assert list(run.manifest.tenants) == [0, 1, 2, 4, 5]
    failure = run.manifest.failed[3]
    assert (failure.type, failure.message) == ("ZeroDivisionError", "a fault in the play")
    assert "begin_play" in failure.traceback
    monkeypatch.undo()
    mended = simulate(small, tmp_path / "run")
    assert (mended.manifest.status, mended.manifest.reused, mended.manifest.failed) == ("complete", 5, {})
    assert mended.manifest.digests() == whole.manifest.digests()


def test_a_run_that_is_being_written_is_left_alone(small, tmp_path):
    with begin(small, tmp_path) as process:
        wait_for_tenants(process, tmp_path, 1)
        with pytest.raises(RunError, match="another command is writing this Run"):
            simulate(small, tmp_path / "run")
        process.kill()
