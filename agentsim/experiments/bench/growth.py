"""How a cost grows: the exponent of a power law, and how well a few measurements know it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

_CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Growth:
    """An exponent: 1 means that twice as many agents cost twice as much.

    Attributes
    ----------
    least, most : 95 % interval; None where two measurements fix the line and leave nothing to judge it by.
    measurements : that it was fitted to. With three or four the interval is wide, however well they lie on a line.
    """

    exponent: float
    least: float | None
    most: float | None
    measurements: int


def fit(agents: Sequence[int], costs: Sequence[float]) -> Growth:
    """Fit ``cost = a * agents ** exponent``: a least-squares line through the logarithms, its interval by Student's t.

    Parameters
    ----------
    agents : at least two different numbers.
    costs : one for each, above 0.
    """
    line = stats.linregress(np.log(agents), np.log(costs))
    exponent, freedom = float(line.slope), len(agents) - 2
    if not freedom:
        return Growth(exponent=exponent, least=None, most=None, measurements=len(agents))
    reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, freedom) * line.stderr)
    return Growth(exponent=exponent, least=exponent - reach, most=exponent + reach, measurements=len(agents))
