"""The ``anomaly`` report: whether the bad agents of a Run can be seen."""

from agentsim.reporting.anomaly.containment import containment
from agentsim.reporting.anomaly.explained import alerts
from agentsim.reporting.anomaly.story import beside, findings, limits, method, numbers, tone, unseen

__all__ = ["alerts", "beside", "containment", "findings", "limits", "method", "numbers", "tone", "unseen"]
