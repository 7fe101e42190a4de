"""Drills: every kind of attack on one organisation, judged on seeds that nobody has looked at before."""

from agentsim.experiments.drill.holding import drill
from agentsim.experiments.drill.plan import DrillError, Plan
from agentsim.experiments.drill.results import Drill
from agentsim.experiments.drill.sweeping import STEALTHS

__all__ = ["STEALTHS", "Drill", "DrillError", "Plan", "drill"]
