"""What runs many simulations, or judges one against others, and compares."""

from agentsim.experiments.detection import judge
from agentsim.experiments.exposure import compare_exposure, compare_exposure_of
from agentsim.experiments.result import DetectionResult, KeyNumber

# What no detector can be judged on: whoever tells what was seen tells that as well.
from agentsim.simulation.attacks import UNSEEN

__all__ = ["UNSEEN", "DetectionResult", "KeyNumber", "compare_exposure", "compare_exposure_of", "judge"]
