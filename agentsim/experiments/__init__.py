"""What runs many simulations, or judges one against others, and compares."""

from agentsim.experiments.detection import judge
from agentsim.experiments.exposure import compare_exposure, compare_exposure_of
from agentsim.experiments.result import DetectionResult, KeyNumber

__all__ = ["DetectionResult", "KeyNumber", "compare_exposure", "compare_exposure_of", "judge"]
