"""Lineage: the forest of grants of a Run, its figures, its invariants, and one tree as graph and picture."""

from agentsim.lineage.blast import Reach, blast_radius
from agentsim.lineage.drawing import draw_tree
from agentsim.lineage.forest import Forest
from agentsim.lineage.invariants import RULES, Violation, check
from agentsim.lineage.latencies import Latency, latencies
from agentsim.lineage.metrics import tree_metrics
from agentsim.lineage.summary import Summary, summarise
from agentsim.lineage.trees import pick_tree, tree_graph

__all__ = [
    "RULES",
    "Forest",
    "Latency",
    "Reach",
    "Summary",
    "Violation",
    "blast_radius",
    "check",
    "draw_tree",
    "latencies",
    "pick_tree",
    "summarise",
    "tree_graph",
    "tree_metrics",
]
