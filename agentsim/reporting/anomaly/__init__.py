"""The ``anomaly`` report: whether the bad agents of a Run can be seen."""

from agentsim.reporting.anomaly.alerts import first_alerts
from agentsim.reporting.anomaly.story import beside, findings, limits, method, numbers, tone

__all__ = ["beside", "findings", "first_alerts", "limits", "method", "numbers", "tone"]
