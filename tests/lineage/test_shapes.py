"""Two trees have the same shape exactly if one can be laid on the other."""

import networkx as nx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentsim.lineage import Forest, tree_shapes


@st.composite
def forests(draw):
    count = draw(st.integers(1, 24))
    parents = [draw(st.integers(0, number)) for number in range(count)]
    return Forest.from_ids(np.arange(1, count + 1), np.array(parents))


def graph_of(forest, root):
    """The tree below a root, its root told apart: a rooted tree can be laid on another only root on root."""
    graph = nx.DiGraph()
    graph.add_nodes_from(forest.subtree(root).tolist())
    graph.add_edges_from((int(forest.parent[one]), int(one)) for one in forest.descendants(root))
    return graph


@given(forests())
def test_the_shapes_are_the_classes_of_trees_that_can_be_laid_on_each_other(forest):
    classes = []
    for root in forest.roots():
        graph = graph_of(forest, int(root))
        for same in classes:
            if nx.is_isomorphic(same[0], graph):
                same.append(graph)
                break
        else:
            classes.append([graph])
    shapes = tree_shapes(forest)
    assert sorted(shapes["trees"]) == sorted(map(len, classes))
    assert shapes["trees"].is_monotonic_decreasing
    for shape in shapes.itertuples():
        graph = graph_of(forest, shape.example)
        assert shape.size == len(graph)
        assert shape.depth == nx.dag_longest_path_length(graph)


def test_order_does_not_matter_but_structure_does():
    # 1 > (2 > 3, 4); 5 > (6, 7 > 8); 9 > 10 > (11, 12).
    parents = [0, 1, 2, 1, 0, 5, 5, 7, 0, 9, 10, 10]
    shapes = tree_shapes(Forest.from_ids(np.arange(1, 13), np.array(parents)))
    assert shapes[["trees", "size", "depth", "example"]].to_numpy().tolist() == [[2, 4, 2, 0], [1, 4, 2, 8]]


def test_an_empty_forest_has_no_shapes():
    nothing = np.zeros(0, dtype=np.int64)
    assert tree_shapes(Forest.from_ids(nothing, nothing)).empty
