"""What the simulator and the replay leave behind breaks no invariant, and can be described and drawn."""

import os
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot

from agentsim.lineage import Forest, check, draw_tree, pick_tree, summarise, tree_graph, tree_metrics
from agentsim.run import Run
from agentsim.simulation import load_scenario, replay, simulate

ROOT = Path(__file__).parents[2]
TRACES = Path(os.environ.get("AGENTSIM_TRACES", ROOT.parent / "shared/data/agent-traces"))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Run:
    scenario = load_scenario(ROOT / "data/scenarios/demo.yaml").with_agents(600)
    return simulate(scenario, tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="module")
def replayed(tmp_path_factory) -> Run:
    traces = TRACES / "who_and_when.parquet"
    if not traces.is_file():
        pytest.skip(f"{traces} is not there; AGENTSIM_TRACES names the folder of the traces")
    return replay(traces, tmp_path_factory.mktemp("runs") / "replay")


def test_a_simulated_run_breaks_no_invariant(simulated):
    assert check(simulated) == []


def test_a_simulated_run_has_depth_refusals_revocations_and_attacks(simulated):
    summary = summarise(simulated)
    assert summary.max_depth >= 2
    assert summary.refusals > 0
    assert summary.marks > 0
    assert sum(attack.operations for attack in summary.attacks.values()) == len(simulated.read("labels")) > 0
    assert summary.labels is None


def test_the_metrics_of_a_simulated_run_add_up(simulated):
    forest, metrics = Forest.from_run(simulated), tree_metrics(simulated)
    assert metrics["size"].sum() == len(forest)
    assert metrics["depth"].max() == forest.depth.max()
    assert metrics["refused"].le(metrics["decisions"]).all()
    assert metrics["scope_narrowing"].dropna().between(0, 1).all()
    assert metrics["lifetime_s"].gt(0).all()


def test_a_tree_of_a_simulated_run_can_be_drawn(simulated):
    mpl.use("Agg")
    root = pick_tree(simulated)
    graph = tree_graph(simulated, root)
    axes = draw_tree(graph)
    axes.figure.canvas.draw()
    texts = {text.get_text() for text in axes.findobj(mpl.text.Text)}
    assert graph.nodes[root]["agent_name"] in texts
    pyplot.close("all")


def test_a_replayed_run_breaks_no_invariant(replayed):
    assert check(replayed) == []
    summary = summarise(replayed)
    assert summary.labels is not None
    assert summary.labels.grants == summary.grants > summary.trees
