"""Whether something grew while a soak ran: its slope over the second half, with an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

#: Growth an hour, of the median, that is called none: less than this is not looked for.
MARGIN = 0.10
#: Seconds that are looked at, at least, before anything is said.
LEAST_S = 120
#: Points that the line is laid through, at most: neighbours are put together, since a second resembles the next.
_POINTS = 30
_FEWEST = 10


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How a figure moved over the second half of a soak.

    Attributes
    ----------
    level : its median there.
    per_hour, low, high : change in an hour as a share of the level, with its interval of 95 % (Theil and Sen's line through medians of
        equal stretches; stretches are taken for independent of each other).
    seconds : how long that half was.
    """

    level: float
    per_hour: float
    low: float
    high: float
    seconds: float

    @property
    def verdict(self) -> str:
        """``flat``: growth beyond the margin is ruled out; ``grows``: growth is there; ``unclear``: neither; or ``too short``."""
        if self.seconds < LEAST_S:
            return "too short"
        if self.high <= MARGIN:
            return "flat"
        return "grows" if self.low > 0 else "unclear"


def drift(values: pd.Series[float]) -> Drift | None:
    """How a figure moved over the second half of its seconds; None where there are too few to tell.

    Parameters
    ----------
    values : one a second, in order; those that are missing are left out.
    """
    half = values.iloc[len(values) // 2 :].dropna()
    points = min(_POINTS, len(half))
    if points < _FEWEST or not half.median():
        return None
    stretches = np.array_split(np.arange(len(half)), points)
    hours = np.array([half.index[stretch].to_numpy().mean() for stretch in stretches]) / 3600
    medians = np.array([half.iloc[stretch].median() for stretch in stretches])
    line = stats.theilslopes(medians, hours, alpha=0.95)
    level = float(half.median())
    return Drift(
        level=level,
        per_hour=float(line.slope) / level,
        low=float(line.low_slope) / level,
        high=float(line.high_slope) / level,
        seconds=float(half.index[-1] - half.index[0] + 1),
    )
