"""Sweeps: one scenario with many values of its settings, each point played as often as wanted."""

from agentsim.experiments.sweep.cells import Cell, Sweep, load_sweep
from agentsim.experiments.sweep.figures import figures_of
from agentsim.experiments.sweep.folder import SweepError
from agentsim.experiments.sweep.results import compare, results
from agentsim.experiments.sweep.running import Tally, run_sweep

__all__ = [
    "Cell",
    "Sweep",
    "SweepError",
    "Tally",
    "compare",
    "figures_of",
    "load_sweep",
    "results",
    "run_sweep",
]
