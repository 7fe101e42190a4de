"""The ``anomaly`` report: whether the bad agents of a Run can be seen."""

from agentsim.reporting.anomaly.containment import containment, played
from agentsim.reporting.anomaly.explained import alerts
from agentsim.reporting.anomaly.movable import movable
from agentsim.reporting.anomaly.story import beside, findings, limits, method, numbers, tone, unseen

__all__ = [
    "alerts",
    "beside",
    "containment",
    "findings",
    "limits",
    "method",
    "movable",
    "numbers",
    "played",
    "tone",
    "unseen",
]
