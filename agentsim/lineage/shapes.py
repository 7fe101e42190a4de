"""The shapes of lineage trees: which are alike, whoever is in them and whenever."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.lineage.forest import Forest, Indices


def tree_shapes(forest: Forest) -> pd.DataFrame:
    """Count the shapes of a forest's trees; two have the same shape where one can be laid on the other.

    Returns
    -------
    DataFrame with one row for each shape, the commonest first, and the columns ``trees``, ``size`` (grants),
    ``depth`` and ``example`` (the index of the first root of this shape).
    """
    roots = forest.roots()
    code = _codes(forest)[roots]
    _, first, trees = np.unique(code, return_index=True, return_counts=True)
    example = roots[first]
    frame = pd.DataFrame(
        {
            "trees": trees,
            "size": forest.size[example],
            "depth": forest.per_tree(forest.depth, np.maximum)[first],
            "example": example,
        }
    )
    return frame.sort_values(["trees", "size", "example"], ascending=[False, True, True], ignore_index=True)


def _codes(forest: Forest) -> Indices:
    """A number for each grant; two have the same if the subtrees below them have the same shape.

    The method of Aho, Hopcroft and Ullman: a leaf is 0, another grant what its children's sorted numbers stand for.
    """
    code = np.zeros(len(forest), dtype=np.int64)
    known: dict[bytes, int] = {}
    by_depth = np.argsort(forest.depth, kind="stable")
    edges = np.searchsorted(forest.depth[by_depth], np.arange(forest.depth.max(initial=0) + 2))
    for depth in range(len(edges) - 2, 0, -1):
        level = by_depth[edges[depth] : edges[depth + 1]]
        level = level[np.lexsort((code[level], forest.parent[level]))]
        parents, start = np.unique(forest.parent[level], return_index=True)
        for parent, children in zip(parents.tolist(), np.split(code[level], start[1:]), strict=True):
            code[parent] = known.setdefault(children.tobytes(), len(known) + 1)
    return code
