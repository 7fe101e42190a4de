"""Open loads: trees arrive whether or not the earlier ones are done."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from agentsim.settings.durations import UNITS, Duration, Rate, format_rate, parse_rate
from agentsim.settings.strict import Count, Fault, Strict, raise_faults
from agentsim.simulation.workload.executor import Executor, Flags, Longs, Schedule, places
from agentsim.simulation.workload.profile import Profile


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


IntensityField = Annotated[
    Intensity,
    PlainValidator(_parse_intensity),
    PlainSerializer(_format_intensity),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "examples": ["50/s"]}]}),
]


class OpenLoad(Executor):
    """Trees arrive as a rate says."""

    LEFT_OUT: ClassVar[str] = "dropped"

    max_in_flight: Annotated[
        Count | None,
        Field(
            description="Trees under way at once, over all tenants; what arrives beyond is dropped and counted."
        ),
    ] = None

    @property
    @abstractmethod
    def profile(self) -> Profile:
        """The rate over time."""

    @property
    def end(self) -> int | None:
        return self.profile.duration

    @property
    def dealt(self) -> Mapping[str, int]:
        return {} if self.max_in_flight is None else {"max_in_flight": self.max_in_flight}

    def schedule(
        self, lengths: Longs, tenant: int, sizes: Sequence[int], rng: np.random.Generator
    ) -> Schedule:
        begin = self.profile.arrivals(len(lengths), sizes[tenant] / sum(sizes), rng)
        if self.max_in_flight is None:
            return Schedule(begin, np.ones(len(lengths), bool))
        return Schedule(begin, _admitted(begin, lengths, len(places(self.max_in_flight, sizes, tenant))))


def _admitted(begin: Longs, lengths: Longs, most: int) -> Flags:
    """Which trees find less than ``most`` under way when they arrive; ``begin`` ascends."""
    under_way: list[int] = []
    admitted = np.zeros(len(begin), bool)
    for number, (begins, length) in enumerate(zip(begin.tolist(), lengths.tolist(), strict=True)):
        while under_way and under_way[0] <= begins:
            heappop(under_way)
        if len(under_way) < most:
            heappush(under_way, begins + length)
            admitted[number] = True
    return admitted


class ConstantRate(OpenLoad):
    """Trees arrive at one rate."""

    executor: Annotated[
        Literal["constant-arrival-rate"], Field(description="Which kind of workload this is.")
    ]
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
        if self.duration is None:
            return Profile((0.0,), (float(self.rate or 0),), (float(self.rate or 0),), absolute=True)
        return Profile((self.duration / UNITS["s"],), (1.0,), (1.0,), absolute=False)


class RateStage(Strict):
    """The rate goes evenly to ``to`` in the time ``for``."""

    length: Annotated[
        Duration, Field(alias="for", gt=0, description="How long the stage lasts.", examples=["5m"])
    ]
    to: Annotated[
        IntensityField,
        Field(description="Rate at its end: 50/s, or a number in proportion to the others.", examples=[1]),
    ]


class RampingRate(OpenLoad):
    """Trees arrive at a rate that changes evenly from stage to stage."""

    executor: Annotated[Literal["ramping-arrival-rate"], Field(description="Which kind of workload this is.")]
    start: Annotated[IntensityField | None, Field(description="Rate at the beginning; 0 if left out.")] = None
    stages: Annotated[
        tuple[RateStage, ...],
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
        ends = tuple(stage.to.value for stage in self.stages)
        starts = (self.start.value if self.start else 0.0, *ends[:-1])
        lengths = tuple(stage.length / UNITS["s"] for stage in self.stages)
        return Profile(lengths, starts, ends, absolute=self.stages[0].to.absolute)
