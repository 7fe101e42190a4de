"""Tenants dealt to processes."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import psutil
import pytest

from agentsim.simulation import simulate
from agentsim.simulation.processes import Processes
from agentsim.simulation.shards import Crashed, deal

pytestmark = pytest.mark.usefixtures("found_by_workers")


def double(tenant, advance):
    advance(1)
    return 2 * tenant


def fail_at_two(folder, tenant, advance):
    """Tenant 2 fails once tenant 1 is at work; tenant 1 would go on for five seconds and say so."""
    if tenant == 2:
        while not (folder / "begun").exists():
            time.sleep(0.01)
        raise ValueError("tenant two")
    (folder / "begun").touch()
    for _ in range(100):
        time.sleep(0.05)
        advance(1)
    (folder / "finished").touch()


def die_once(folder, tenant, advance):
    """Tenant 2 is killed at its first attempt."""
    if tenant == 2 and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return tenant


def die_at_two(tenant, advance):
    if tenant == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return tenant


def dealt(work, tenants, lanes, advance=lambda done: None):
    with Processes(lanes, advance) as crew:
        return dict(deal(work, tenants, crew, advance))


def test_a_worker_that_is_killed_costs_its_tenant_alone_which_is_begun_again(tmp_path):
    assert dealt(partial(die_once, tmp_path), [1, 2, 3], 2) == {1: 1, 2: 2, 3: 3}
    assert (tmp_path / "killed").exists()


def test_a_tenant_that_kills_its_workers_each_time_is_given_up_and_the_others_are_not():
    outcomes = dealt(die_at_two, [1, 2, 3], 2)
    assert (outcomes[1], outcomes[3]) == (1, 3)
    assert isinstance(outcomes[2], Crashed)
    assert "died 3 times" in outcomes[2].reason


def test_every_tenant_is_worked_on_once_and_progress_is_told():
    told = []
    assert dealt(double, [3, 1, 2], 2, told.append) == {1: 2, 2: 4, 3: 6}
    assert sum(told) == 3
    assert dict(deal(double, [3, 1, 2], None, told.append)) == {1: 2, 2: 4, 3: 6}
    assert sum(told) == 6


def test_work_that_raises_stops_the_others_at_their_next_word(tmp_path):
    with pytest.raises(ValueError, match="tenant two"):
        dealt(partial(fail_at_two, tmp_path), [1, 2], 2)
    assert not (tmp_path / "finished").exists()


def test_workers_end_with_the_process_that_began_them(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)]) as parent:
        workers = [int(wait_for(tmp_path / f"worker{number}").read_text()) for number in (1, 2)]
        parent.kill()
    for worker in workers:
        for _ in range(600):
            if not psutil.pid_exists(worker) or psutil.Process(worker).status() == "zombie":
                break
            time.sleep(0.05)
        else:
            pytest.fail(f"process {worker} goes on without its parent")


PARENT = """
import os, sys, time
from functools import partial
from pathlib import Path
from agentsim.simulation.processes import Processes
from agentsim.simulation.shards import deal

def work(folder, tenant, advance):
    (folder / "part").with_suffix(f".{tenant}").write_text(str(os.getpid()))
    (folder / "part").with_suffix(f".{tenant}").rename(folder / f"worker{tenant}")
    time.sleep(120)

if __name__ == "__main__":
    with Processes(2, print) as crew:
        list(deal(partial(work, Path(sys.argv[1])), [1, 2], crew, print))
"""


def wait_for(file):
    for _ in range(600):
        if file.exists():
            return file
        time.sleep(0.05)
    pytest.fail(f"{file} never came")


def test_the_number_of_processes_changes_no_table(scenario, tmp_path):
    small = scenario(population={"agents": 200}, tenants=3)
    alone = simulate(small, tmp_path / "alone", jobs=1)
    together = simulate(small, tmp_path / "together", jobs=2)
    assert together.manifest.digests() == alone.manifest.digests()
    assert list(together.manifest.files) == list(alone.manifest.files)
    assert together.damaged_files() == []
