"""Thresholds that bound the share of false alerts: conformal p-values against a Run without attacks.

The p-value of an entity is the share of benign entities of its kind and role that score as high (V. Vovk et al.,
Algorithmic Learning in a Random World, 2005). Y. Benjamini and Y. Hochberg's procedure on such p-values bounds the
false-discovery rate (S. Bates et al., Annals of Statistics 51, 2023). Entities of one tree depend on each other, so
one of each tree is drawn for calibration (R. Dunn, L. Wasserman and A. Ramdas, JASA 118, 2022, section 3.2): for a
grant of a tree that is new, the p-value is then as uniform as it should be.
"""

from __future__ import annotations

from operator import itemgetter

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

from agentsim.risk.behaviour import Floats
from agentsim.risk.thresholds.case import KINDS
from agentsim.risk.thresholds.cut import Cut, grouped


def p_values(known: Floats, score: Floats) -> Floats:
    """For each score, the share of benign ones that are as high, itself counted among them.

    Parameters
    ----------
    known : scores of benign entities, exchangeable with those judged.
    score : to be judged.
    """
    ordered = np.sort(known)
    as_high = len(ordered) - np.searchsorted(ordered, score, side="left")
    result: Floats = (1 + as_high) / (1 + len(ordered))
    return result


def by_discovery_rate(
    share: float, scored: pd.DataFrame, calibration: pd.DataFrame, *, expected: int, seed: int = 0
) -> tuple[Cut, list[str]]:
    """Thresholds per kind and role at which at most this share of the alerts is false.

    Parameters
    ----------
    share : of alerts that may be false.
    scored, calibration : tables of scores, of the Run to choose on and of one without attacks.
    expected : attacked entities among the scored ones, or as many as are hoped to be found.
    seed : of the draw of one entity for each tree.

    Returns
    -------
    The thresholds, and warnings: where the calibration is too small, nothing can be found, however high it scores.
    """
    known = _calibrated(calibration, seed)
    pooled = {kind: np.concatenate([np.zeros(0), *_of_kind(known, kind)]) for kind in KINDS}
    groups, number = grouped(scored)
    score, p = scored["score"].to_numpy(np.float64), np.ones(len(scored))
    for place, (kind, role) in enumerate(groups):
        rows = number == place
        p[rows] = p_values(known.get((kind, role), pooled[kind]), score[rows])
    rejected = false_discovery_control(p, method="bh") <= share
    limit = float(p[rejected].max()) if rejected.any() else 0.0
    cut = Cut(
        {kind: _cut_at(limit, scores) for kind, scores in pooled.items()},
        _by_role({group: _cut_at(limit, scores) for group, scores in known.items()}),
    )
    sizes = {group: len(known.get(group, ())) for group in groups}
    return cut, _warnings(share, len(scored), expected, sizes)


def _calibrated(table: pd.DataFrame, seed: int) -> dict[tuple[str, str], Floats]:
    """Per kind and role, the score of one entity of each tree."""
    order = np.random.default_rng(seed).permutation(len(table))
    drawn = table.iloc[order].drop_duplicates(["kind", "role", "tree"])
    groups, number = grouped(drawn)
    score = drawn["score"].to_numpy(np.float64)
    return {
        group: np.sort(score[number == place])
        for place, group in sorted(enumerate(groups), key=itemgetter(1))
    }


def _of_kind(known: dict[tuple[str, str], Floats], kind: str) -> list[Floats]:
    return [scores for (each, _), scores in known.items() if each == kind]


def _cut_at(limit: float, known: Floats) -> float:
    """The lowest score whose p-value is at most ``limit``."""
    as_high = int(np.floor(limit * (len(known) + 1) - 1 + 1e-9))
    if as_high < 0:
        return np.inf
    # One more benign score would be too many: it has to be passed, not reached.
    return float(np.nextafter(np.sort(known)[len(known) - 1 - as_high], np.inf))


def _by_role(cuts: dict[tuple[str, str], float]) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = {}
    for (kind, role), value in cuts.items():
        result.setdefault(role, {})[kind] = value
    return result


def _warnings(share: float, size: int, expected: int, sizes: dict[tuple[str, str], int]) -> list[str]:
    """Which groups cannot raise an alert, since even the highest score has too large a p-value."""
    needed = int(np.ceil(size / (share * expected))) - 1
    unknown = [f"{role or 'no role'} ({kind})" for (kind, role), count in sizes.items() if count == 0]
    small = [f"{role or 'no role'} ({kind}): {n:,}" for (kind, role), n in sizes.items() if 0 < n < needed]
    warnings = []
    if small:
        warnings.append(
            f"too few trees to calibrate on, {needed:,} of each kind and role are needed to find {expected:,} among {size:,} "
            f"at {share:.0%} false alerts: {', '.join(small)}; calibrate on a larger run"
        )
    if unknown:
        warnings.append(f"no tree to calibrate on, judged like all others of the kind: {', '.join(unknown)}")
    return warnings
