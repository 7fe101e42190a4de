"""The ``scale`` report: what a Run did, and what that cost."""

from agentsim.reporting.scale.costs import cost, growth, throughput
from agentsim.reporting.scale.events import marks, refusals, tree
from agentsim.reporting.scale.exposure import exposure
from agentsim.reporting.scale.story import limits, method, numbers, tone, verdict, what_it_did
from agentsim.reporting.scale.tables import Scale

__all__ = [
    "Scale",
    "cost",
    "exposure",
    "growth",
    "limits",
    "marks",
    "method",
    "numbers",
    "refusals",
    "throughput",
    "tone",
    "tree",
    "verdict",
    "what_it_did",
]
