"""The file of a sweep, as it is written: which scenario, what is varied, how often each point is played."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from agentsim.experiments.sweep.ranges import Method, make_range
from agentsim.settings.faults import suggestion
from agentsim.settings.strict import Count, Fault, Name, Strict, raise_faults

#: Keys of a scenario that are not varied, and what to do instead.
_KEPT = {
    "schema": "it is the version of the format",
    "seed": "each cell has a seed of its own; 'replications' says how many",
    "name": "a cell is named by what is varied in it",
}


class Sample(Strict):
    """Points drawn from a space."""

    method: Annotated[Method, Field(description="lhs or sobol.", examples=["lhs"])]
    n: Annotated[
        Count, Field(le=2**20, description="How many points; a power of two for sobol.", examples=[1])
    ]
    space: Annotated[
        dict[str, tuple[Any, Any]],
        Field(min_length=1, description="Keys of the scenario, each with the lowest and the highest value."),
    ]
    log: Annotated[
        tuple[str, ...], Field(description="Keys of the space that are drawn on a logarithmic scale.")
    ] = ()

    @model_validator(mode="after")
    def _can_be_drawn(self) -> Sample:
        raise_faults("Sample", self._faults())
        return self

    def _faults(self) -> Iterable[Fault]:
        if self.method == "sobol" and self.n & (self.n - 1):
            yield ("n",), f"a Sobol design has 1, 2, 4, 8, ... points, got {self.n}", self.n
        for number, key in enumerate(self.log):
            if key not in self.space:
                yield ("log", number), f"not in the space; {suggestion(key, self.space)}", key
        for key, (low, high) in self.space.items():
            try:
                make_range(low, high, log=key in self.log, real=False)
            except ValueError as exc:
                yield ("space", key), str(exc), None


class SweepSettings(Strict):
    """A whole sweep: every value of ``matrix`` with every other, each with every point of ``sample``."""

    format: Annotated[
        Literal[1], Field(alias="schema", description="Version of this format: 1.", examples=[1])
    ]
    name: Annotated[
        Name, Field(description="Short name, used for the sweep's directory.", examples=["sweep"])
    ]
    description: Annotated[str, Field(description="What it is to find out.")] = ""
    scenario: Annotated[
        Any, Field(description="A scenario's file, as seen from this one, or the scenario itself.")
    ]
    matrix: Annotated[
        dict[str, Any], Field(description="Keys of the scenario; a list is swept, anything else is constant.")
    ] = Field(default_factory=dict)
    sample: Annotated[Sample | None, Field(description="Points drawn from a space.")] = None
    exclude: Annotated[
        tuple[dict[str, Any], ...], Field(description="Values of the matrix that are not played together.")
    ] = ()
    replications: Annotated[
        Count, Field(le=2**20, description="How often each point is played, with other draws.")
    ] = 1
    common_random_numbers: Annotated[
        bool,
        Field(strict=True, description="Whether one replication has the same draws at all points."),
    ] = False

    @property
    def axes(self) -> dict[str, list[Any]]:
        """The values of each key of the matrix; a constant has one."""
        return {key: value if isinstance(value, list) else [value] for key, value in self.matrix.items()}

    @model_validator(mode="after")
    def _fits_together(self) -> SweepSettings:
        raise_faults("SweepSettings", self._faults())
        return self

    def _faults(self) -> Iterable[Fault]:
        space = self.sample.space if self.sample else {}
        for place, keys in ((("matrix",), self.matrix), (("sample", "space"), space)):
            for key in keys:
                if key in _KEPT:
                    yield (*place, key), f"is not varied: {_KEPT[key]}", None
        for key in space:
            if key in self.matrix:
                yield ("sample", "space", key), "is in the matrix, too", None
        for key, values in self.axes.items():
            if not values:
                yield ("matrix", key), "has no values", values
        for number, excluded in enumerate(self.exclude):
            if not excluded:
                yield ("exclude", number), "names no key, so it would leave nothing", None
            for key, value in excluded.items():
                if key not in self.matrix:
                    yield ("exclude", number, key), f"not in the matrix; {suggestion(key, self.matrix)}", key
                elif not any(same(value, other) for other in self.axes[key]):
                    yield ("exclude", number, key), f"{value!r} is none of its values in the matrix", value


def same(one: Any, other: Any) -> bool:
    """Whether two values are written alike; ``true`` is not 1."""
    return type(one) is type(other) and bool(one == other)
