"""What a judgement of detection leaves for a report: plain data, no figure drawn, no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from agentsim.risk import Case, Estimate, ThresholdReport


class KeyNumber(NamedTuple):
    """A figure for people without time: what it is, its value, and how to write it."""

    label: str
    value: float
    text: str


@dataclass(frozen=True)
class DetectionResult:
    """All that a report on detection needs, as plain data.

    Attributes
    ----------
    kind : ``simulation`` or ``replay``.
    verdict : one line.
    numbers : three figures.
    chosen : the detector that verdict, threshold and curve are about.
    detectors : figures per detector (and per ``suite`` in a replay), columns as :func:`agentsim.risk.figures`.
    recall : per ``detector`` and ``attack``: ``attacks``, ``found``, ``recall``, ``low``, ``high``, each detector at
        its own threshold for the budget. Empty for a replay.
    scores : ``attacked``, ``silent``, and a column per detector. In a replay per scored grant, index ``grant_id``, with its
        ``suite``; in a simulation per grant, tree and agent (``tenant``, ``kind``, ``entity``, ``role``), with its
        ``attack``, and NaN where a detector does not score the kind.
    curve : thresholds of the chosen detector: ``threshold``, ``alerts_per_day``, ``recall`` (of attacks), ``precision``.
        Without a clock ``alerts_per_day`` is missing.
    threshold, report : the score from which on something is an alert, chosen for the budget, and what it does here. None
        for a replay.
    days : simulated days that the Run covers; NaN for a replay.
    alert_budget : alerts a day asked for.
    seeds : seeds of the judged, reference and choosing runs; for a replay, of the detectors.
    method : how this was done, one sentence each.
    warnings : what weakens it, one sentence each.
    alerts : the alerts with their reasons (:meth:`agentsim.risk.Scored.alerts`); None for a replay.
    by_stealth : recall of the chosen detector per ``attack`` and ``stealth``, as
        :func:`agentsim.experiments.stealth.recall_by_stealth` has it; None for a replay.
    case : the scores of the chosen detector and the truth, for other thresholds than the one chosen; None for a replay.
    """

    kind: str
    verdict: str
    numbers: tuple[KeyNumber, ...]
    chosen: str
    detectors: pd.DataFrame
    recall: pd.DataFrame
    scores: pd.DataFrame
    curve: pd.DataFrame
    threshold: float | None
    report: ThresholdReport | None
    days: float
    alert_budget: float
    seeds: dict[str, int]
    method: tuple[str, ...]
    warnings: tuple[str, ...]
    alerts: pd.DataFrame | None = None
    by_stealth: pd.DataFrame | None = None
    case: Case | None = None


def percent(value: float) -> str:
    """A share as whole percent."""
    return "none" if np.isnan(value) else f"{value:.0%}"


def share_text(estimate: Estimate) -> str:
    """A share with its interval."""
    if np.isnan(estimate.value):
        return "none to tell from"
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"
