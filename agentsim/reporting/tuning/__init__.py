"""The workbench of ``threshold-tuning``: what a threshold does, told again whenever it is moved."""

from agentsim.reporting.tuning.bench import Bench, Outcome
from agentsim.reporting.tuning.opening import open_bench
from agentsim.reporting.tuning.reach import Reach
from agentsim.reporting.tuning.widgets import Workbench

__all__ = ["Bench", "Outcome", "Reach", "Workbench", "open_bench"]
