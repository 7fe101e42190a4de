"""When trees start. The words are k6's: an open load, whose arrivals do not wait for answers.

The population decides how many trees there are, the workload when each starts:

* Given a time alone (``duration``, or stages ``to`` plain numbers), all trees arrive within it. The numbers
  are a shape: three times as many arrive where it says 3 as where it says 1, and the rate follows from the
  number of trees, so a larger population means a higher load in the same time.
* Given rates (``rate: 50/s``, ``to: 50/s``: trees a second over all tenants), trees arrive at those rates and
  the time follows: arrivals end with the last tree, and the last rate holds until then.

Nothing is dropped either way. Arrivals are a Poisson process: exact, and drawn in one go by inverting the
cumulative rate, which is piecewise quadratic.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from agentsim.settings.durations import UNITS, Duration, Rate, format_rate, parse_rate
from agentsim.settings.strict import Fault, Strict, raise_faults


class Intensity(NamedTuple):
    """How fast trees arrive: per second where ``absolute``, otherwise in proportion to the other stages."""

    value: float
    absolute: bool


def _parse_intensity(value: Any) -> Intensity:
    if isinstance(value, Intensity):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 0 <= value < float("inf"):
            raise ValueError(f"must be at least 0, got {value!r}")
        return Intensity(float(value), absolute=False)
    return Intensity(parse_rate(value), absolute=True)


def _format_intensity(value: Intensity) -> str | float:
    return format_rate(value.value) if value.absolute else value.value


_Intensity = Annotated[
    Intensity,
    PlainValidator(_parse_intensity),
    PlainSerializer(_format_intensity),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "examples": ["50/s"]}]}),
]


class ConstantRate(Strict):
    """Trees arrive at one rate."""

    executor: Literal["constant-arrival-rate"]
    duration: Annotated[
        Duration | None, Field(gt=0, description="All trees arrive within this time; the rate follows.")
    ] = None
    rate: Annotated[
        Rate | None, Field(gt=0, description="Trees a second over all tenants; the time follows.")
    ] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> ConstantRate:
        if (self.duration is None) == (self.rate is None):
            raise_faults("Workload", [((), "give either duration or rate: the other follows", None)])
        return self

    @property
    def profile(self) -> Profile:
        """The rate over time."""
        if self.duration is None:
            return Profile((0.0,), (float(self.rate or 0),), (float(self.rate or 0),), absolute=True)
        return Profile((self.duration / UNITS["s"],), (1.0,), (1.0,), absolute=False)


class Stage(Strict):
    """The rate goes evenly to ``to`` in the time ``for``."""

    length: Annotated[
        Duration, Field(alias="for", gt=0, description="How long the stage lasts.", examples=["5m"])
    ]
    to: Annotated[
        _Intensity,
        Field(description="Rate at its end: 50/s, or a number in proportion to the others.", examples=[1]),
    ]


class RampingRate(Strict):
    """Trees arrive at a rate that changes evenly from stage to stage."""

    executor: Literal["ramping-arrival-rate"]
    start: Annotated[_Intensity | None, Field(description="Rate at the beginning; 0 if left out.")] = None
    stages: Annotated[
        tuple[Stage, ...],
        Field(min_length=1, description="One after the other.", examples=[[{"for": "5m", "to": 1}]]),
    ]

    @model_validator(mode="after")
    def _usable(self) -> RampingRate:
        raise_faults("Workload", self._faults())
        return self

    def _faults(self) -> Iterable[Fault]:
        absolute = self.stages[0].to.absolute
        if any(stage.to.absolute != absolute for stage in self.stages):
            yield ("stages",), "write every rate with its unit (50/s) or none of them", None
        elif self.start is not None and self.start.absolute != absolute and self.start.value:
            yield ("start",), "write it as the stages' rates are written, with a unit or without", self.start
        elif absolute and not self.stages[-1].to.value:
            yield ("stages",), "the last rate holds until all trees have arrived, so it must be above 0", None
        elif not any(stage.to.value for stage in self.stages) and not (self.start and self.start.value):
            yield ("stages",), "one rate at least must be above 0", None

    @property
    def profile(self) -> Profile:
        """The rate over time."""
        ends = tuple(stage.to.value for stage in self.stages)
        starts = (self.start.value if self.start else 0.0, *ends[:-1])
        lengths = tuple(stage.length / UNITS["s"] for stage in self.stages)
        return Profile(lengths, starts, ends, absolute=self.stages[0].to.absolute)


#: Any workload, told apart by its ``executor``.
Workload = Annotated[ConstantRate | RampingRate, Field(discriminator="executor")]


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
