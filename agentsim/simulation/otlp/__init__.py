"""OpenTelemetry spans of agents, as OTLP JSON, read as the same traces that the long format holds.

What is taken: who acted, which tool was called when, under whom, and whether it failed. Prompts, messages, descriptions
and definitions are dropped; arguments and results are hashed and measured, and their texts dropped.
Sources: OpenTelemetry protocol 1.x (JSON encoding) and the GenAI and MCP semantic conventions, which are still in
development: names of earlier versions are understood, too, and what is unknown is passed over.
"""

from agentsim.simulation.otlp.reading import is_otlp
from agentsim.simulation.otlp.rows import read_spans

__all__ = ["is_otlp", "read_spans"]
