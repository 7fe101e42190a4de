"""Workloads in a Run: what is not begun is counted, and its agents are there all the same."""

import numpy as np
import pytest

from agentsim.lineage import summarise
from agentsim.simulation import simulate
from agentsim.simulation.intents import Intents, Kind, make_intents

CLOSED = {"executor": "constant-vus", "vus": 3, "duration": "10m"}
OPEN = {"executor": "constant-arrival-rate", "duration": "10m", "max_in_flight": 3}


def under_way(intents: Intents) -> int:
    """The most trees that are under way at once: from a root's request to the last event of its tree."""
    working = intents.kind >= Kind.ISSUE
    tree, time = intents.population.tree[intents.agent[working]], intents.time[working]
    first, last = np.full(tree.max() + 1, 2**62), np.zeros(tree.max() + 1, np.int64)
    np.minimum.at(first, tree, time)
    np.maximum.at(last, tree, time)
    return max(int(((first <= moment) & (moment < last)).sum()) for moment in first if moment < 2**62)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "workload", [CLOSED, OPEN, {"executor": "ramping-vus", "stages": [{"for": "5m", "to": 3}]}]
)
def test_never_more_trees_at_once_than_the_workload_says(scenario, workload, seed):
    intents = make_intents(scenario(workload=workload, seed=seed), 0)
    assert under_way(intents) == 3


@pytest.mark.parametrize(("workload", "name"), [(CLOSED, "not_begun"), (OPEN, "dropped")])
def test_agents_of_a_tree_that_does_not_begin_are_registered_and_no_more(scenario, tmp_path, workload, name):
    made = scenario(workload=workload, tenants=2, population={"agents": 60})
    run = simulate(made, tmp_path / "run")
    counts = [entry.counts for entry in run.manifest.tenants.values()]
    assert all(0 < count[name] < count["trees"] for count in counts)
    summary = summarise(run)
    assert summary.agents == 60
    assert summary.trees_dropped + summary.trees_not_begun == sum(count[name] for count in counts)
    assert summary.trees <= sum(count["trees"] - count[name] for count in counts)
    assert summary.events["agent_registered"] == summary.events["agent_confirmed"] == 60
    again = simulate(made, tmp_path / "again", batch_size=7)
    assert again.manifest.digests() == run.manifest.digests()


def test_without_an_end_users_run_all_trees(scenario):
    plans = make_intents(scenario(workload={"executor": "constant-vus", "vus": 2}), 0).plans
    assert plans.begun.all()
