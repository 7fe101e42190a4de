"""Scenarios and real traces, played against a token server into a Run."""

from agentsim.simulation.faults import ScenarioError
from agentsim.simulation.policyfile import load_policy
from agentsim.simulation.replay import replay
from agentsim.simulation.scenario import Scenario, load_scenario
from agentsim.simulation.simulate import simulate
from agentsim.simulation.trace_format import TraceError

__all__ = ["Scenario", "ScenarioError", "TraceError", "load_policy", "load_scenario", "replay", "simulate"]
