"""The ``lineage`` report: the trees that delegation makes, what it narrows, and where revocations go."""

from agentsim.reporting.lineage.afterwards import afterwards
from agentsim.reporting.lineage.delegations import delegations
from agentsim.reporting.lineage.narrowing import narrowing
from agentsim.reporting.lineage.one import find_tree, one_tree, tree_picture
from agentsim.reporting.lineage.shapes import depths, fan_outs, frequent_shapes, tree_sizes
from agentsim.reporting.lineage.story import limits, method, numbers, tone, verdict
from agentsim.reporting.lineage.tables import Lineage

__all__ = [
    "Lineage",
    "afterwards",
    "delegations",
    "depths",
    "fan_outs",
    "find_tree",
    "frequent_shapes",
    "limits",
    "method",
    "narrowing",
    "numbers",
    "one_tree",
    "tone",
    "tree_picture",
    "tree_sizes",
    "verdict",
]
