"""What a served token server stands: load, kills, faults and hostile input, each counted."""

from agentsim.experiments.soak.load.drift import Drift, drift
from agentsim.experiments.soak.record import PARTS, Part, Soak, SoakError, is_soak
from agentsim.experiments.soak.running import Settings, Soaking
from agentsim.experiments.soak.tally import Tally

__all__ = ["PARTS", "Drift", "Part", "Settings", "Soak", "SoakError", "Soaking", "Tally", "drift", "is_soak"]
