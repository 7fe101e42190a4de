"""Loads that tests are commonly made of, as shapes: what a preset stands for is read as plain stages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from agentsim.settings.durations import UNITS, Duration, format_duration, format_rate
from agentsim.settings.strict import Count, Fault, raise_faults
from agentsim.simulation.workload.executor import Timed
from agentsim.simulation.workload.rates import IntensityField

_MINUTE = UNITS["m"]


class Shape(NamedTuple):
    """How a load changes: minutes and the level at the end of each stage; only the levels' proportion counts."""

    start: float
    stages: tuple[tuple[int, float], ...]


#: The presets: what each is for, and its shape.
PRESETS: dict[str, tuple[str, Shape]] = {
    "ramp": ("from nothing to full load, which then stays", Shape(0, ((40, 1), (20, 1)))),
    "spike": (
        "twenty times the usual load, for four minutes",
        Shape(1, ((25, 1), (1, 20), (4, 20), (1, 1), (29, 1))),
    ),
    "soak": ("the same load for most of a day", Shape(0, ((30, 1), (690, 1)))),
    "breakpoint": (
        "a load that doubles every ten minutes: the windows tell where latencies take off",
        Shape(
            1, ((9, 1), (1, 2), (9, 2), (1, 4), (9, 4), (1, 8), (9, 8), (1, 16), (9, 16), (1, 32), (9, 32))
        ),
    ),
}


class Preset(Timed):
    """A preset by its name; what stands beside it is said differently."""

    preset: Annotated[
        Literal["ramp", "spike", "soak", "breakpoint"],
        Field(
            description=f"{'; '.join(f'{name}: {text}' for name, (text, _) in PRESETS.items())}.",
            examples=["ramp"],
        ),
    ]
    executor: Annotated[
        Literal["ramping-arrival-rate", "ramping-vus"],
        Field(description="What the levels mean: rates or users."),
    ] = "ramping-arrival-rate"
    duration: Annotated[
        Duration | None, Field(gt=0, description="Of all stages together, which keep their proportion.")
    ] = None
    peak: Annotated[
        IntensityField | None,
        Field(
            description="The highest level: a rate (50/s; all trees arrive within the stages if left out), or users."
        ),
    ] = None
    pause: Annotated[Duration | None, Field(ge=0, description="Between two trees of one user.")] = None
    max_in_flight: Annotated[Count | None, Field(description="Trees under way at once, for rates.")] = None

    @model_validator(mode="after")
    def _fits(self) -> Preset:
        raise_faults("Workload", self._faults())
        return self

    def _faults(self) -> Iterable[Fault]:
        peak = self.peak
        if self.executor == "ramping-vus":
            if peak is None or peak.absolute or peak.value < 1 or peak.value % 1:
                yield ("peak",), "say how many users there are at most, for example 100", peak and peak.value
            if self.max_in_flight is not None:
                yield ("max_in_flight",), "users have as many trees under way as they are", self.max_in_flight
        else:
            if peak is not None and not (peak.absolute and peak.value):
                yield ("peak",), "write a rate, for example 50/s", peak.value
            if self.pause is not None:
                yield ("pause",), "only users pause; see executor: ramping-vus", None

    def plain(self) -> dict[str, Any]:
        """The workload that it stands for, as it would be written."""
        shape = PRESETS[self.preset][1]
        stretch = (
            1.0 if self.duration is None else self.duration / (sum(m for m, _ in shape.stages) * _MINUTE)
        )
        data = {
            "executor": self.executor,
            "start": self._level(shape, shape.start),
            "stages": [
                {
                    # The shortest stage of a very short preset still has to take some time.
                    "for": format_duration(max(1, round(minutes * _MINUTE * stretch))),
                    "to": self._level(shape, level),
                }
                for minutes, level in shape.stages
            ],
            "pause": None if self.pause is None else format_duration(self.pause),
            "max_in_flight": self.max_in_flight,
            "clock": self.clock,
            "speed": self.speed,
        }
        return {name: value for name, value in data.items() if value is not None}

    def _level(self, shape: Shape, level: float) -> float | int | str:
        if self.peak is None:
            return level
        value = self.peak.value * level / max(level for _, level in shape.stages)
        return format_rate(value) if self.peak.absolute else math.ceil(value)


def resolved(value: Any) -> Any:
    """The plain workload that a preset stands for; anything else as it is."""
    if isinstance(value, Mapping) and "preset" in value:
        return Preset.model_validate(value).plain()
    return value
