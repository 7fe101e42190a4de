"""Scenarios and real traces, played against a token server into a Run."""

from agentsim.simulation.fork import fork
from agentsim.simulation.replay import replay
from agentsim.simulation.scenario import Scenario, load_scenario
from agentsim.simulation.simulate import simulate
from agentsim.simulation.trace_format import TraceError
from agentsim.simulation.turn import ForkError

__all__ = ["ForkError", "Scenario", "TraceError", "fork", "load_scenario", "replay", "simulate"]
