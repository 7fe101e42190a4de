"""Features, detectors, thresholds and their evaluation, over a finished Run."""

from agentsim.risk.alerts import Scored, alerts
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
    count_forest,
)
from agentsim.risk.evaluation import Attacks, EvaluationError, Truth, figures, read_attacks, read_truth
from agentsim.risk.evidence import Evidence, gather, learn_peers
from agentsim.risk.exports import ALERT, ExportError, export
from agentsim.risk.features import features
from agentsim.risk.heldout import HeldOut, hold_out
from agentsim.risk.metrics import Estimate
from agentsim.risk.reasons import REFUSALS
from agentsim.risk.suppressions import Match, Suppression, load_suppressions, suppress
from agentsim.risk.surprise import ContextualSurprise
from agentsim.risk.thresholds import (
    Case,
    Choice,
    ThresholdError,
    ThresholdFile,
    ThresholdPolicy,
    ThresholdReport,
    alert_budget,
    attack_curve,
    budget_curve,
    choose,
    load_thresholds,
    make_case,
    report,
)

__all__ = [
    "ALERT",
    "FEATURES",
    "REFUSALS",
    "Attacks",
    "Behaviour",
    "CalibratedRanks",
    "Case",
    "ChainNovelty",
    "Choice",
    "Combined",
    "ContextualSurprise",
    "Counts",
    "Detector",
    "Deviating",
    "DeviationForest",
    "Estimate",
    "EvaluationError",
    "Evidence",
    "ExportError",
    "Feature",
    "HeldOut",
    "Match",
    "Novelty",
    "PeerLookup",
    "RobustZ",
    "Scored",
    "Suppression",
    "ThresholdError",
    "ThresholdFile",
    "ThresholdPolicy",
    "ThresholdReport",
    "Truth",
    "alert_budget",
    "alerts",
    "attack_curve",
    "budget_curve",
    "choose",
    "count_forest",
    "export",
    "families",
    "features",
    "figures",
    "gather",
    "hold_out",
    "learn_peers",
    "load_suppressions",
    "load_thresholds",
    "make_case",
    "read_attacks",
    "read_behaviour",
    "read_truth",
    "report",
    "suppress",
]
