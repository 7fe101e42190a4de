"""Closed loads: virtual users, each of whom runs one tree after the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field, model_validator

from agentsim.settings.durations import Duration
from agentsim.settings.strict import Count, Fault, Strict, raise_faults
from agentsim.simulation.workload.executor import Executor, Longs, Schedule, places

#: Later than any moment.
_NEVER = 2**62
_Level = Annotated[int, Field(strict=True, ge=0)]


class Span(NamedTuple):
    """From when until when, in microseconds, a user begins trees; who is in the middle of one finishes it."""

    since: int
    until: int


class ClosedLoad(Executor):
    """Users take the trees of their tenant in order, each the next one when the last is done."""

    LEFT_OUT: ClassVar[str] = "not_begun"

    pause: Annotated[Duration, Field(ge=0, description="Between two trees of one user.")] = 0

    @property
    @abstractmethod
    def most(self) -> int:
        """The most users that there ever are, in all tenants."""

    @abstractmethod
    def spans(self, user: int) -> Iterator[Span]:
        """When a user is there, in order of time. Users count from 0; of ``n`` they are the first ``n``."""

    def schedule(
        self, lengths: Longs, tenant: int, sizes: Sequence[int], rng: np.random.Generator
    ) -> Schedule:
        users = [list(self.spans(user)) for user in places(self.most, sizes, tenant).tolist()]
        return _work_off(users, (lengths + self.pause).tolist(), self.end or 0)


def _work_off(users: list[list[Span]], lengths: list[int], end: int) -> Schedule:
    """Let whoever is free first begin the next tree; ties go to the user with the lower number."""
    # The span that each user is in or comes to next is at the end of its list.
    left = [spans[::-1] for spans in users]
    free = [(spans[-1].since, user) for user, spans in enumerate(left) if spans]
    heapify(free)
    # What nobody comes to has its agents registered over all the time that there is.
    begin = np.linspace(0, end, len(lengths)).astype(np.int64)
    number = 0
    while free and number < len(lengths):
        now, user = free[0]
        spans = left[user]
        while spans and spans[-1].until <= now:
            spans.pop()
        if not spans:
            heappop(free)
        elif spans[-1].since > now:
            heapreplace(free, (spans[-1].since, user))
        else:
            begin[number] = now
            heapreplace(free, (now + lengths[number], user))
            number += 1
    return Schedule(begin, np.arange(len(lengths)) < number)


class ConstantUsers(ClosedLoad):
    """As many users all the time."""

    executor: Annotated[Literal["constant-vus"], Field(description="Which kind of workload this is.")]
    vus: Annotated[Count, Field(description="Virtual users, over all tenants.", examples=[10])]
    duration: Annotated[
        Duration | None,
        Field(gt=0, description="They begin nothing after this; until all trees are done if left out."),
    ] = None

    @property
    def end(self) -> int | None:
        return self.duration

    @property
    def dealt(self) -> Mapping[str, int]:
        return {"vus": self.vus}

    @property
    def most(self) -> int:
        return self.vus

    def spans(self, user: int) -> Iterator[Span]:
        yield Span(0, self.duration or _NEVER)


class UserStage(Strict):
    """The number of users goes evenly to ``to`` in the time ``for``."""

    length: Annotated[
        Duration, Field(alias="for", gt=0, description="How long the stage lasts.", examples=["5m"])
    ]
    to: Annotated[_Level, Field(description="Users at its end, over all tenants.", examples=[1])]


class RampingUsers(ClosedLoad):
    """A number of users that changes evenly from stage to stage."""

    executor: Annotated[Literal["ramping-vus"], Field(description="Which kind of workload this is.")]
    start: Annotated[_Level, Field(description="Users at the beginning.")] = 0
    stages: Annotated[
        tuple[UserStage, ...],
        Field(
            min_length=1,
            description="One after the other; the last number stays until all trees are done, or nothing more is begun "
            "where it is 0.",
            examples=[[{"for": "5m", "to": 1}]],
        ),
    ]

    @model_validator(mode="after")
    def _somebody(self) -> RampingUsers:
        raise_faults("Workload", self._faults())
        return self

    def _faults(self) -> Iterable[Fault]:
        if not self.most:
            yield ("stages",), "one number of users at least must be above 0", None

    @property
    def end(self) -> int | None:
        return None if self.stages[-1].to else sum(stage.length for stage in self.stages)

    @property
    def dealt(self) -> Mapping[str, int]:
        return {"stages": self.most}

    @property
    def most(self) -> int:
        return max(self.start, *(stage.to for stage in self.stages))

    def spans(self, user: int) -> Iterator[Span]:
        # A user is there while the number, which is no whole one in between, is above the user's own.
        since: int | None = 0 if self.start > user else None
        level, begun = self.start, 0
        for stage in self.stages:
            if (level > user) != (stage.to > user):
                crossed = begun + round(stage.length * (user - level) / (stage.to - level))
                if since is not None:
                    yield Span(since, crossed)
                since = crossed if since is None else None
            level, begun = stage.to, begun + stage.length
        if since is not None:
            yield Span(since, _NEVER)
