"""Detectors: what they learn from evidence, and the score they give a row of it (higher is more suspicious).

Each wraps scikit-learn estimators, kept in attributes that end in an underscore.
"""

from agentsim.risk.detectors.base import COUNTS, TELLING, Detector, RoleEncoder, present
from agentsim.risk.detectors.boosted import Boosted, Columns, leave_kinds_out
from agentsim.risk.detectors.deviating import Deviating
from agentsim.risk.detectors.forest import Counts, DeviationForest, count_forest
from agentsim.risk.detectors.novelty import Novelty
from agentsim.risk.detectors.peertables import PeerLookup, PeerTables
from agentsim.risk.detectors.ranks import CalibratedRanks, Combined, RankCurve
from agentsim.risk.detectors.robust import Deviations, RobustZ

__all__ = [
    "COUNTS",
    "TELLING",
    "Boosted",
    "CalibratedRanks",
    "Columns",
    "Combined",
    "Counts",
    "Detector",
    "Deviating",
    "DeviationForest",
    "Deviations",
    "Novelty",
    "PeerLookup",
    "PeerTables",
    "RankCurve",
    "RobustZ",
    "RoleEncoder",
    "count_forest",
    "leave_kinds_out",
    "present",
]
