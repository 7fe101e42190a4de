"""Features, detectors, thresholds and their evaluation, over a finished Run."""

from agentsim.risk.behaviour import Behaviour, read_behaviour
from agentsim.risk.catalogue import FEATURES, Feature, families
from agentsim.risk.chain import ChainNovelty
from agentsim.risk.detectors import (
    CalibratedRanks,
    Combined,
    Counts,
    Detector,
    Deviating,
    DeviationForest,
    Novelty,
    PeerLookup,
    RobustZ,
    Supervised,
    count_forest,
    explain,
)
from agentsim.risk.evaluation import EvaluationError, Truth, figures, read_truth
from agentsim.risk.evidence import Evidence, gather, learn_peers
from agentsim.risk.features import features
from agentsim.risk.heldout import HeldOut, hold_out
from agentsim.risk.metrics import Estimate
from agentsim.risk.reasons import REFUSALS
from agentsim.risk.surprise import ContextualSurprise
from agentsim.risk.thresholds import (
    Threshold,
    ThresholdReport,
    budget_curve,
    choose_threshold,
    report_threshold,
)

__all__ = [
    "FEATURES",
    "REFUSALS",
    "Behaviour",
    "CalibratedRanks",
    "ChainNovelty",
    "Combined",
    "ContextualSurprise",
    "Counts",
    "Detector",
    "Deviating",
    "DeviationForest",
    "Estimate",
    "EvaluationError",
    "Evidence",
    "Feature",
    "HeldOut",
    "Novelty",
    "PeerLookup",
    "RobustZ",
    "Supervised",
    "Threshold",
    "ThresholdReport",
    "Truth",
    "budget_curve",
    "choose_threshold",
    "count_forest",
    "explain",
    "families",
    "features",
    "figures",
    "gather",
    "hold_out",
    "learn_peers",
    "read_behaviour",
    "read_truth",
    "report_threshold",
]
