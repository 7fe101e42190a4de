"""Who gets hold of grants reaches them and what hangs below, each once, whatever else is held."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.lineage import Forest, Reach, blast_radius
from agentsim.lineage.blast import agents_of
from agentsim.run import Manifest, RunWriter


@st.composite
def held_forests(draw):
    """Ids, parents of the smaller id (0 for none), and a holder of each grant (-1 for nobody)."""
    count = draw(st.integers(0, 20))
    parents = [draw(st.integers(0, number)) for number in range(count)]
    holders = [draw(st.sampled_from([-1, 0, 5, 7])) for _ in range(count)]
    return np.arange(1, count + 1), np.array(parents, np.int64), np.array(holders, np.int64)


@given(held_forests())
def test_a_holder_reaches_its_grants_and_what_hangs_below_each_once(forest_and_holders):
    ids, parents, holder = forest_and_holders
    forest = Forest.from_ids(ids, parents)
    reach = Reach.of(forest, holder)
    assert reach.holders.tolist() == sorted(set(holder.tolist()) - {-1})
    for number, one in enumerate(reach.holders.tolist()):
        held = np.flatnonzero(holder == one).tolist()
        below = {index for grant in held for index in forest.subtree(grant).tolist()}
        assert sorted(reach.below[reach.below_of == number].tolist()) == sorted(below)
        assert reach.count()[number] == len(below)
        nested = {index for grant in held for index in forest.descendants(grant).tolist()}
        assert set(reach.top[reach.top_of == number].tolist()) == set(held) - nested


@pytest.fixture
def tasks(told_run):
    """The task of each grant of tenant 0, by its place in the forest."""
    tokens = told_run.frame("tokens")
    of = tokens[(tokens["token_id"] == tokens["grant_id"]) & (tokens["tenant"] == 0)]
    forest = Forest.from_run(told_run)
    return {row.task_id: forest.index_of(row.grant_id) for row in of.itertuples()}


def test_what_each_agent_could_reach(told_run):
    names = told_run.frame("agents").set_index("client_id")
    radius = blast_radius(told_run).assign(
        agent=lambda frame: frame["holder"].map(names["agent_name"]),
        tenant=lambda frame: frame["holder"].map(names["tenant"]),
    )
    lead, coder, helper = (
        radius.set_index(["tenant", "agent"]).loc[(0, name)] for name in ("lead", "coder", "helper")
    )
    # lead: release > review > (read, read-more) and report > (collect, leaf)
    assert (lead["held"], lead["grants"], lead["agents"]) == (2, 7, 3)
    assert (lead["tools"], lead["resources"]) == (2, 2)
    # coder: review with what hangs below, and collect, which has file_read alone
    assert (coder["held"], coder["grants"], coder["agents"]) == (2, 4, 2)
    assert (coder["tools"], coder["resources"]) == (2, 2)
    # helper: read, read-more, leaf, and the roots after and quiet
    assert (helper["held"], helper["grants"], helper["agents"]) == (5, 5, 1)


def test_a_set_of_grants_is_one_holder(told_run, tasks):
    forest = Forest.from_run(told_run)
    holder = np.full(len(forest), -1)
    holder[[tasks["review"], tasks["read"], tasks["leaf"]]] = 0
    (row,) = blast_radius(told_run, forest, holder).to_dict("records")
    assert row == {"holder": 0, "held": 2, "grants": 4, "agents": 2, "tools": 2, "resources": 2}


def test_the_holder_of_a_tree_reaches_the_tree(told_run):
    forest = Forest.from_run(told_run)
    radius = blast_radius(told_run, forest, forest.root)
    assert radius["grants"].tolist() == forest.size[forest.roots()].tolist()
    assert (radius["held"] == 1).all()


def test_agents_stand_in_the_order_of_the_forest(told_run):
    tokens = told_run.frame("tokens").set_index("token_id")
    forest = Forest.from_run(told_run)
    assert agents_of(told_run).tolist() == tokens.loc[forest.grant_id, "client_id"].tolist()


def test_nobody_holds_anything_in_an_empty_run(tmp_path):
    manifest = Manifest(kind="simulation", name="empty", source={}, policy={}, reproduce="", created_at="")
    with RunWriter(tmp_path / "run", manifest) as writer:
        run = writer.finish(start=0, wall_seconds=0.0)
    assert blast_radius(run).empty
