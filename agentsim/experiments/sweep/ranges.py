"""Points drawn from a space: Latin hypercubes and Sobol sequences over ranges of durations, rates and numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.stats import qmc

from agentsim.settings.durations import UNITS, format_duration, format_rate, parse_duration, parse_rate

Method = Literal["lhs", "sobol"]
Kind = Literal["duration", "rate", "whole", "real"]
#: Digits that a drawn number keeps: more would say nothing, and be in every table.
_DIGITS = 6


class Range(NamedTuple):
    """From where to where a value is drawn. Durations are microseconds, rates are per second."""

    low: float
    high: float
    kind: Kind
    #: Whether each factor is as likely as each other, instead of each difference.
    log: bool
    #: Microseconds that a duration is rounded to.
    grain: int = 1

    def value(self, drawn: float) -> Any:
        """What is drawn, as a scenario has it: rounded, with its unit, between the ends."""
        if self.kind == "duration":
            rounded = min(max(round(drawn / self.grain) * self.grain, self.low), self.high)
            return format_duration(int(rounded))
        if self.kind == "whole":
            return min(max(round(drawn), int(self.low)), int(self.high))
        rounded = min(max(float(f"{drawn:.{_DIGITS}g}"), self.low), self.high)
        return format_rate(rounded) if self.kind == "rate" else rounded


def make_range(low: Any, high: Any, *, log: bool, real: bool) -> Range:
    """The range between two ends, as they are written.

    Parameters
    ----------
    low, high : both durations, both rates, or both numbers. Durations are rounded to the unit below the finer of the
        two: from 1m to 1h to seconds.
    log : draw on a logarithmic scale.
    real : whether numbers may have a fraction although neither end has one.

    Raises
    ------
    ValueError
        If the ends are of different kinds, or do not enclose a range that can be drawn from.
    """
    made = _parse(low, high, real)
    if not made.low < made.high:
        raise ValueError(f"must go from the lower to the higher end, got {low!r} to {high!r}")
    if log and made.low <= 0:
        raise ValueError(f"a logarithmic scale must begin above 0, got {low!r}")
    return made._replace(log=log)


def draw(
    space: Mapping[str, Range], method: Method, count: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Draw points of a space.

    Parameters
    ----------
    space : a range for each key.
    method : ``lhs``, each range cut into ``count`` parts of which each holds one point (McKay 1979), or ``sobol``, a
        scrambled sequence whose first half is the design of half as many points.
    count : a power of two for ``sobol``.

    Returns
    -------
    One value for each key in each point.
    """
    ranges = list(space.values())
    engine = qmc.LatinHypercube if method == "lhs" else qmc.Sobol
    unit = engine(len(ranges), rng=rng).random(count)
    low, high = ([_scaled(end, one) for one in ranges] for end in ("low", "high"))
    return [
        {
            key: one.value(float(np.exp(drawn)) if one.log else float(drawn))
            for (key, one), drawn in zip(space.items(), row, strict=True)
        }
        for row in qmc.scale(unit, low, high)
    ]


def _scaled(end: str, one: Range) -> float:
    value = float(getattr(one, end))
    return float(np.log(value)) if one.log else value


def _parse(low: Any, high: Any, real: bool) -> Range:
    ends = (low, high)
    if all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends):
        if not all(np.isfinite(ends)):
            raise ValueError(f"must lie between finite numbers, got {low!r} to {high!r}")
        whole = not real and all(isinstance(end, int) for end in ends)
        return Range(low, high, "whole" if whole else "real", log=False)
    if not all(isinstance(end, str) for end in ends):
        raise ValueError(f"both ends must be durations, rates or numbers, got {low!r} and {high!r}")
    if all("/" in end for end in ends):
        return Range(parse_rate(low), parse_rate(high), "rate", log=False)
    return Range(parse_duration(low), parse_duration(high), "duration", log=False, grain=_grain(ends))


def _grain(ends: Sequence[str]) -> int:
    """Microseconds of the unit below the finest that is written."""
    units = list(UNITS)
    finest = max(units.index(unit) for end in ends for unit in re.findall(r"[a-z]+", end))
    return UNITS[units[min(finest + 1, len(units) - 1)]]
