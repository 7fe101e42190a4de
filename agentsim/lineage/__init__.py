"""Lineage: the forest of grants of a Run, its figures, its invariants, and one tree as graph and picture."""

from agentsim.lineage.aftermath import aftermath
from agentsim.lineage.blast import Reach, blast_radius
from agentsim.lineage.delegations import delegations_by_agent, delegations_by_role
from agentsim.lineage.drawing import draw_tree
from agentsim.lineage.forest import Forest
from agentsim.lineage.invariants import RULES, Violation, check
from agentsim.lineage.labelled import attacked_grants
from agentsim.lineage.latencies import Latency, latencies
from agentsim.lineage.metrics import tree_metrics
from agentsim.lineage.narrowing import given_up, unused_scope
from agentsim.lineage.shapes import tree_shapes
from agentsim.lineage.summary import Summary, summarise
from agentsim.lineage.trees import find_root, pick_tree, tree_graph

__all__ = [
    "RULES",
    "Forest",
    "Latency",
    "Reach",
    "Summary",
    "Violation",
    "aftermath",
    "attacked_grants",
    "blast_radius",
    "check",
    "delegations_by_agent",
    "delegations_by_role",
    "draw_tree",
    "find_root",
    "given_up",
    "latencies",
    "pick_tree",
    "summarise",
    "tree_graph",
    "tree_metrics",
    "tree_shapes",
    "unused_scope",
]
