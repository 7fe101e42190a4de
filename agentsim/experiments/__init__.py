"""What runs many simulations, or judges one against others, and compares."""

from agentsim.experiments.detection import judge
from agentsim.experiments.result import DetectionResult, KeyNumber

__all__ = ["DetectionResult", "KeyNumber", "judge"]
