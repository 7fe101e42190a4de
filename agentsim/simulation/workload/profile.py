"""A rate over time, linear in pieces, and the arrivals of a Poisson process that follows it.

They are exact, and drawn in one go by inverting the cumulative rate, which is piecewise quadratic.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from agentsim.settings.durations import UNITS


class Profile(NamedTuple):
    """A rate that is linear in pieces: seconds, rate at the start and at the end of each."""

    lengths: tuple[float, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]
    absolute: bool

    @property
    def duration(self) -> int | None:
        """Microseconds within which all trees arrive; None where that follows from the rate."""
        return None if self.absolute else round(sum(self.lengths) * UNITS["s"])

    def arrivals(self, count: int, share: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Draw when trees start.

        Parameters
        ----------
        count : number of trees.
        share : part of all agents that this tenant has, which is its part of an absolute rate.

        Returns
        -------
        Microseconds from the beginning, ascending, shape ``(count,)``.
        """
        if self.absolute:
            # Unit-rate arrivals, carried to the time at which the expected number reaches them.
            expected = np.cumsum(rng.standard_exponential(count)) / share
        else:
            # Given their number, the arrivals of a Poisson process are independent draws from its shape.
            expected = np.sort(rng.random(count)) * self._areas().sum()
        return np.rint(self._time_of(expected) * UNITS["s"]).astype(np.int64)

    def _areas(self) -> npt.NDArray[np.float64]:
        areas: npt.NDArray[np.float64] = np.array(self.lengths) * np.add(self.starts, self.ends) / 2
        return areas

    def _time_of(self, expected: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Seconds after which the expected number of arrivals is ``expected``."""
        reached = np.concatenate([[0.0], np.cumsum(self._areas())])
        begun = np.concatenate([[0.0], np.cumsum(self.lengths)])
        # The last rate holds on behind the last stage.
        rate = np.array([*self.starts, self.ends[-1]])
        rise = (np.array(self.ends) - np.array(self.starts)) / np.maximum(np.array(self.lengths), 1e-12)
        slope = np.concatenate([rise, [0.0]])
        stage = np.searchsorted(reached, expected, side="right") - 1
        if not self.absolute:
            stage = np.minimum(stage, len(self.lengths) - 1)
        rest = expected - reached[stage]
        root = np.sqrt(np.maximum(rate[stage] ** 2 + 2 * slope[stage] * rest, 0.0))
        divisor = rate[stage] + root
        # 2x / (r + sqrt(r^2 + 2ax)) does not cancel where the slope is small, unlike the school formula.
        seconds: npt.NDArray[np.float64] = begun[stage] + np.divide(
            2 * rest, divisor, out=np.zeros_like(rest), where=divisor > 0
        )
        return seconds
