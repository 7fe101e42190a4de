"""What all workloads share: which clock they are played by, and when trees begin."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from agentsim.settings.strict import Strict, raise_faults

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Schedule(NamedTuple):
    """When each tree of a tenant begins, and whether it does.

    Attributes
    ----------
    begin : microseconds since the load began, shape ``(trees,)``.
    begun : False for trees that are dropped or not begun; their agents are registered at that time all the same.
    """

    begin: Longs
    begun: Flags


class Timed(Strict):
    """The clock that a workload is played by."""

    clock: Annotated[
        Literal["simulated", "wall"],
        Field(
            description="simulated: as fast as it goes; wall: each step is taken at its moment in real time, "
            "and its latency is counted from there. Only the first gives the same bytes again."
        ),
    ] = "simulated"
    speed: Annotated[
        float, Field(strict=True, gt=0, description="Simulated seconds in one of the wall's.", examples=[1])
    ] = 1.0

    @model_validator(mode="after")
    def _speed_of_a_clock(self) -> Timed:
        if self.clock == "simulated" and self.speed != 1:
            raise_faults("Workload", [(("speed",), "simulated time has none; say clock: wall", self.speed)])
        return self


class Executor(Timed):
    """A workload."""

    #: What becomes of trees that do not begin: the name under which they are counted.
    LEFT_OUT: ClassVar[str]

    @property
    @abstractmethod
    def end(self) -> int | None:
        """Microseconds within which all trees begin that do; None where that follows from their number."""

    @property
    @abstractmethod
    def dealt(self) -> Mapping[str, int]:
        """Numbers that are dealt to the tenants, by key: each tenant needs one at least."""

    @abstractmethod
    def schedule(
        self, lengths: Longs, tenant: int, sizes: Sequence[int], rng: np.random.Generator
    ) -> Schedule:
        """Say when the trees of one tenant begin.

        Parameters
        ----------
        lengths : how long each tree will be under way, microseconds, shape ``(trees,)``.
        tenant, sizes : number of the tenant, and agents of each: rates, users and limits are dealt in this proportion.
        rng : the tenant's stream of arrivals.
        """


def places(count: int, sizes: Sequence[int], tenant: int) -> Longs:
    """Deal ``count`` places to tenants in proportion to their sizes; return those of one, ascending from 0.

    Each tenant has one of the first places; after that its ``j``-th is due when ``j / size`` is (the method of Adams). So any
    number of the first places is shared out in proportion, too.
    """
    weight = np.asarray(sizes, np.float64)
    # Nobody is dealt more than the exact share, rounded up.
    most = np.ceil(count * weight / weight.sum()).astype(np.int64)
    owner = np.repeat(np.arange(len(weight)), most)
    turn = np.arange(len(owner)) - np.repeat(np.cumsum(most) - most, most)
    order = np.lexsort((owner, turn / weight[owner]))[:count]
    return np.flatnonzero(owner[order] == tenant)
