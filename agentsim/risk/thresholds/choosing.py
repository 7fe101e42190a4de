"""Choosing thresholds on one Run, in one of five ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Floats
from agentsim.risk.thresholds.case import Case, ThresholdError
from agentsim.risk.thresholds.conformal import by_discovery_rate
from agentsim.risk.thresholds.cut import Cut, one_for_all
from agentsim.risk.thresholds.expected_cost import cheapest
from agentsim.risk.thresholds.policy import ThresholdPolicy
from agentsim.settings.faults import suggestion

#: Fewer alerts than this in the Run that chooses: the threshold hangs on a few entities.
FEW_ALERTS = 5


@dataclass(frozen=True)
class Choice:
    """Thresholds, and how they were chosen.

    Attributes
    ----------
    cut : from which score on an entity is an alert.
    policy : the way in which it was chosen.
    alerts : alerts in the Run that it was chosen on.
    warnings : what weakens the choice.
    """

    cut: Cut
    policy: ThresholdPolicy
    alerts: int
    warnings: tuple[str, ...] = ()


def choose(
    policy: ThresholdPolicy, case: Case, *, calibration: pd.DataFrame | None = None, seed: int = 0
) -> Choice:
    """Choose thresholds on a case.

    Parameters
    ----------
    policy : the way.
    case : what they are chosen on. ``cost`` and ``recall`` read its truth, ``budget`` its days.
    calibration : scores of a Run without attacks that the detector has not learned from; ``fdr`` needs it.
    seed : of the entity that ``fdr`` draws from each tree.

    Raises
    ------
    ThresholdError
        If nothing can be chosen so: there are no scores, no days, no attacks, or not enough of them.
    """
    if not len(case.scored):
        raise ThresholdError(
            f"{_name(case)}: nothing was scored, so there is nothing to choose a threshold on"
        )
    match policy.by:
        case "fixed":
            assert policy.score is not None
            cut, warnings = one_for_all(policy.score), list[str]()
        case "budget":
            cut, warnings = _within_budget(policy.budget, case)
        case "fdr":
            if calibration is None:
                raise ThresholdError("a false-discovery rate needs scores of a Run without attacks")
            assert policy.share is not None
            expected = policy.expected or max(1, int(case.attacked.sum()))
            cut, warnings = by_discovery_rate(
                policy.share, case.scored, calibration, expected=expected, seed=seed
            )
        case "cost":
            _need_attacks(case)
            assert policy.costs is not None
            value, warnings = cheapest(policy.costs, case)
            cut = one_for_all(value)
        case "recall":
            _need_attacks(case)
            assert policy.floors is not None
            cut, warnings = one_for_all(_keeping(policy.floors, case.worst)), []
    scored = set(case.scored["kind"].unique())
    cut = Cut({kind: value for kind, value in cut.kinds.items() if kind in scored}, cut.roles)
    alerts = int(cut.alerts(case.scored).sum())
    if alerts < FEW_ALERTS and policy.by != "fixed":
        warnings.append(
            f"the thresholds rest on {alerts} alerts among {len(case.scored):,} scored entities of the run that they were chosen on"
        )
    return Choice(cut, policy, alerts, tuple(warnings))


def lowest_within(score: Floats, allowed: int) -> tuple[float, int]:
    """The lowest score that at most ``allowed`` scores reach, and how many reach it."""
    values, count = np.unique(score, return_counts=True)
    reaching = np.cumsum(count[::-1])[::-1]
    kept = np.flatnonzero(reaching <= allowed)
    return (float(values[kept[0]]), int(reaching[kept[0]])) if len(kept) else (np.inf, 0)


def _within_budget(budget: float, case: Case) -> tuple[Cut, list[str]]:
    """The lowest threshold that keeps the budget, over entities of all kinds together."""
    if not case.days > 0:
        raise ThresholdError(
            f"{_name(case)}: its times mean nothing, so alerts a day cannot be counted; choose by --fixed or --recall"
        )
    # A share of an alert is none; 1e-9 for budgets that a division left just below a whole number.
    allowed = int(np.floor(budget * case.days + 1e-9))
    value, used = lowest_within(case.score, allowed)
    warnings = []
    if used < allowed / 2:
        warnings.append(
            f"many entities share one score: only {used} of the {allowed} allowed alerts can be used"
        )
    if allowed == 0:
        warnings.append(
            f"{budget:g} alerts a day allow none in the {24 * case.days:.2g} hours of the run that they were chosen on; "
            "choose on a longer run"
        )
    return one_for_all(value), warnings


def _keeping(floors: Mapping[str, float], worst: pd.Series) -> float:
    """The highest threshold that finds of each named kind at least the share asked for."""
    known = worst.index.get_level_values("attack").unique()
    reached = []
    for kind, floor in floors.items():
        if kind not in known:
            raise ThresholdError(f"no attack of kind {kind!r} in the run; {suggestion(kind, known)}")
        scores = np.sort(worst.xs(kind, level="attack").to_numpy(np.float64))[::-1]
        needed = int(np.ceil(floor * len(scores) - 1e-9))
        if scores[needed - 1] == -np.inf:
            seen = int(np.isfinite(scores).sum())
            raise ThresholdError(
                f"{kind}: {floor:.0%} of {len(scores)} attacks cannot be found: only {seen} touched anything that is scored"
            )
        reached.append(float(scores[needed - 1]))
    return min(reached)


def _need_attacks(case: Case) -> None:
    if not len(case.worst):
        raise ThresholdError(f"{_name(case)}: nobody attacked in it; choose by --budget, --fdr or --fixed")


def _name(case: Case) -> str:
    return f"run {case.origin.scenario}" if case.origin else "the run"
