"""Tenants dealt to processes."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from agentsim.run import RunError
from agentsim.simulation import simulate
from agentsim.simulation.shards import deal


@pytest.fixture(autouse=True)
def found_by_workers(monkeypatch):
    """Worker processes find the functions below where this one does."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))


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


def die_at_two(tenant, advance):
    if tenant == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return tenant


def test_a_worker_that_is_killed_is_told_in_words():
    with pytest.raises(RunError, match="a process of the run died"):
        list(deal(die_at_two, [1, 2], 2, lambda done: None))


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_tenant_is_worked_on_once_and_progress_is_told(jobs):
    told = []
    outcomes = dict(deal(double, [3, 1, 2], jobs, told.append))
    assert outcomes == {1: 2, 2: 4, 3: 6}
    assert sum(told) == 3


def test_a_tenant_that_fails_stops_the_others_at_their_next_word(tmp_path):
    with pytest.raises(ValueError, match="tenant two"):
        list(deal(partial(fail_at_two, tmp_path), [1, 2], 2, lambda done: None))
    assert not (tmp_path / "finished").exists()


def test_the_number_of_processes_changes_no_table(scenario, tmp_path):
    small = scenario(population={"agents": 200}, tenants=3)
    alone = simulate(small, tmp_path / "alone", jobs=1)
    together = simulate(small, tmp_path / "together", jobs=2)
    assert together.manifest.digests() == alone.manifest.digests()
    assert list(together.manifest.files) == list(alone.manifest.files)
    assert together.damaged_files() == []
