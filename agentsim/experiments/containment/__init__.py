"""Containment: how far attackers get, and how much honest work is killed, by the threshold from which on is acted."""

from agentsim.experiments.containment.folder import ContainmentError
from agentsim.experiments.containment.points import Plan, plan
from agentsim.experiments.containment.results import results
from agentsim.experiments.containment.running import contain, contain_of

__all__ = ["ContainmentError", "Plan", "contain", "contain_of", "plan", "results"]
