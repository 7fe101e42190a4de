"""The arrays of a forest agree with networkx on any forest, and faults of the data are told, not fallen over."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.lineage import Forest


@st.composite
def forests(draw):
    """(ids, parent ids) of a forest in any order; 0 for no parent. Parents need not have the smaller id."""
    count = draw(st.integers(0, 25))
    ids = draw(st.lists(st.integers(1, 10**6), min_size=count, max_size=count, unique=True))
    parents = [ids[draw(st.integers(-1, place - 1))] if place else 0 for place in range(count)]
    parents = [0 if place and draw(st.integers(0, 4)) == 0 else one for place, one in enumerate(parents)]
    parents = [0 if one == own else one for one, own in zip(parents, ids, strict=True)]
    # A negative pick above is the last id, which may close a loop; those have a test of their own.
    graph = graph_of(ids, parents)
    parents = [0 if not nx.is_directed_acyclic_graph(graph) else one for one in parents]
    order = draw(st.permutations(range(count)))
    return np.array([ids[i] for i in order], np.int64), np.array([parents[i] for i in order], np.int64)


def graph_of(ids, parents):
    graph = nx.DiGraph()
    graph.add_nodes_from(int(one) for one in ids)
    graph.add_edges_from((int(above), int(own)) for own, above in zip(ids, parents, strict=True) if above)
    return graph


@given(forests())
def test_arrays_agree_with_networkx(given_forest):
    ids, parents = given_forest
    graph, forest = graph_of(ids, parents), Forest.from_ids(ids, parents)
    assert len(forest) == len(graph)
    assert forest.grant_id.tolist() == sorted(graph)
    for index, grant in enumerate(forest.grant_id.tolist()):
        above, below = nx.ancestors(graph, grant), nx.descendants(graph, grant)
        root = next(one for one in {grant, *above} if graph.in_degree(one) == 0)
        assert forest.depth[index] == len(above)
        assert forest.size[index] == len(below) + 1
        assert forest.children[index] == graph.out_degree(grant)
        assert forest.grant_id[forest.root[index]] == root
        assert set(forest.grant_id[forest.descendants(index)].tolist()) == below
        assert forest.subtree(index)[0] == index
        assert forest.index_of(grant) == index
    assert forest.grant_id[forest.roots()].tolist() == sorted(
        one for one in graph if graph.in_degree(one) == 0
    )
    assert not forest.orphans.size
    assert not forest.looped.size


@given(forests(), st.randoms(use_true_random=False))
def test_values_are_reduced_tree_by_tree(given_forest, random):
    ids, parents = given_forest
    forest = Forest.from_ids(ids, parents)
    values = np.array([random.randrange(100) for _ in ids], dtype=np.int64)
    for how, plain in ((np.maximum, max), (np.add, sum)):
        expected = [plain(values[forest.root == root].tolist()) for root in forest.roots()]
        assert forest.per_tree(values, how).tolist() == expected


def test_a_grant_whose_parent_is_missing_is_an_orphan_and_a_root():
    forest = Forest.from_ids(np.array([1, 2, 3]), np.array([0, 9, 2]))
    assert forest.orphans.tolist() == [1]
    assert forest.roots().tolist() == [0, 1]
    assert forest.root.tolist() == [0, 1, 1]


def test_a_loop_is_told_and_taken_apart():
    forest = Forest.from_ids(np.array([1, 2, 3, 4, 5]), np.array([0, 3, 2, 3, 5]))
    assert forest.looped.tolist() == [1, 2, 3, 4]
    assert forest.size.tolist() == [1, 1, 1, 1, 1]
    assert forest.roots().tolist() == [0, 1, 2, 3, 4]


def test_an_id_that_comes_twice_is_refused():
    with pytest.raises(ValueError, match="grant 7 comes twice"):
        Forest.from_ids(np.array([7, 3, 7]), np.array([0, 0, 3]))


def test_an_unknown_grant_has_no_index():
    with pytest.raises(KeyError):
        Forest.from_ids(np.array([7]), np.array([0])).index_of(8)


def test_the_forest_of_a_run(told_run):
    forest = Forest.from_run(told_run)
    tokens = told_run.frame("tokens")
    grants = tokens[tokens["token_id"] == tokens["grant_id"]].sort_values("grant_id")
    assert forest.grant_id.tolist() == grants["grant_id"].tolist()
    assert forest.depth.tolist() == grants["depth"].tolist()
    assert forest.grant_id[forest.root].tolist() == grants["root_grant_id"].tolist()
    assert forest.tenant.tolist() == grants["tenant"].tolist()
    assert forest.depth.max() == 2
