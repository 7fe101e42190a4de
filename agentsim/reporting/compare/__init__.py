"""The ``compare`` report: Runs and cells of sweeps side by side, and which differences are more than noise."""

from agentsim.reporting.compare.comparison import Comparison, compare
from agentsim.reporting.compare.pictures import pictures
from agentsim.reporting.compare.sides import members
from agentsim.reporting.compare.story import figures, limits, method, numbers, settings, tone, verdict

__all__ = [
    "Comparison",
    "compare",
    "figures",
    "limits",
    "members",
    "method",
    "numbers",
    "pictures",
    "settings",
    "tone",
    "verdict",
]
