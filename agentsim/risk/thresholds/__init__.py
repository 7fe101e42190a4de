"""Thresholds: five ways to choose them on one Run, what they do on another, and the file that keeps them."""

from agentsim.risk.thresholds.case import COLUMNS, KINDS, Case, Origin, ThresholdError, make_case
from agentsim.risk.thresholds.choosing import Choice, choose
from agentsim.risk.thresholds.comparison import Comparison, compare
from agentsim.risk.thresholds.curve import attack_curve, budget_curve
from agentsim.risk.thresholds.cut import Cut
from agentsim.risk.thresholds.file import ACTIONS, VALID_DAYS, ThresholdFile
from agentsim.risk.thresholds.operating import OperatingPoints, operating_points
from agentsim.risk.thresholds.policy import Costs, ThresholdPolicy, alert_budget, read_costs
from agentsim.risk.thresholds.reading import load_thresholds, read_thresholds
from agentsim.risk.thresholds.report import ThresholdReport, report
from agentsim.risk.thresholds.writing import write_thresholds

__all__ = [
    "ACTIONS",
    "COLUMNS",
    "KINDS",
    "VALID_DAYS",
    "Case",
    "Choice",
    "Comparison",
    "Costs",
    "Cut",
    "OperatingPoints",
    "Origin",
    "ThresholdError",
    "ThresholdFile",
    "ThresholdPolicy",
    "ThresholdReport",
    "alert_budget",
    "attack_curve",
    "budget_curve",
    "choose",
    "compare",
    "load_thresholds",
    "make_case",
    "operating_points",
    "read_costs",
    "read_thresholds",
    "report",
    "write_thresholds",
]
