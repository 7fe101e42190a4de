"""Roles fitted to recorded traces: what agents did there, written as a scenario, and how well that describes them."""

from agentsim.simulation.calibration.calibrate import Calibration, calibrate

__all__ = ["Calibration", "calibrate"]
