"""Scenarios and real traces, played against a token server into a Run."""

from agentsim.simulation.replay import replay
from agentsim.simulation.scenario import Scenario, load_scenario
from agentsim.simulation.simulate import simulate
from agentsim.simulation.trace_format import TraceError

__all__ = ["Scenario", "TraceError", "load_scenario", "replay", "simulate"]
