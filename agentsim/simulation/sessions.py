"""What people intend: sessions within working hours, and the tool calls of each.

Sessions arrive as a Poisson process whose rate follows the working day. Each day has a stream of its own, so that how
long a simulation lasts does not change what is drawn for its days, and each session has one for its calls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agentsim.server.clock import SECOND
from agentsim.simulation.people import People
from agentsim.simulation.plans import LEAD
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.streams import STREAM, generator
from agentsim.simulation.workload import Profile

#: A working day: parts of its length, and the rate of arrivals at the beginning and at the end of each.
_SHAPE = Profile(
    (0.1, 0.3, 0.08, 0.08, 0.34, 0.1), (0.3, 1, 1, 0.35, 1, 1), (1, 1, 0.35, 1, 1, 0.2), absolute=False
)
#: Share of calls that fail, and of sessions that end by signing out rather than by being left.
_ERRORS, _SIGN_OUTS = 0.03, 0.6
#: Means, in microseconds and characters.
_DURATION, _ARGUMENT, _RESULT = SECOND, 60, 900


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of a person. Times are microseconds."""

    #: Since the session began.
    offset: int
    tool: str
    resource: str
    duration: int
    error: bool
    args_digest: str
    arg_chars: int
    result_chars: int


@dataclass(frozen=True, slots=True)
class Session:
    """One stay of a person, from signing in to signing out, or to being left."""

    person: int
    #: Absolute microseconds.
    begins: int
    signs_out: bool
    #: What its calls are drawn from.
    seed: int

    def calls(self, people: People) -> list[Call]:
        """Its tool calls, in order: each a think time behind the result of the one before."""
        rng = np.random.Generator(np.random.PCG64DXSM(self.seed))
        size = 1 + int(rng.poisson(people.calls - 1))
        duration = 1 + rng.exponential(_DURATION, size).astype(np.int64)
        think = 1 + rng.exponential(people.gap, size).astype(np.int64)
        offset = np.cumsum(think + duration) - duration
        uses = [(tool, name) for tool, names in people.tools.items() for name in names]
        chosen = [uses[use] for use in rng.integers(len(uses), size=size)]
        error = rng.random(size) < _ERRORS
        arguments = rng.integers(1 << 48, size=size)
        given = 1 + rng.exponential(_ARGUMENT, size).astype(np.int64)
        got = 1 + rng.exponential(_RESULT, size).astype(np.int64)
        columns = (column.tolist() for column in (offset, duration, error, arguments, given, got))
        return [
            Call(offset, tool, resource, duration, error, f"{arguments:012x}", given, got)
            for (tool, resource), (offset, duration, error, arguments, given, got) in zip(
                chosen, zip(*columns, strict=True), strict=True
            )
        ]


def make_sessions(scenario: Scenario, people: People, tenant: int, until: int) -> list[Session]:
    """Draw all sessions of a tenant's people that begin before ``until`` (absolute microseconds), in order of time."""
    count = scenario.tenant_people()[tenant]
    days = list(people.working_days(scenario.start_us, until))
    streams = generator(scenario.seed, STREAM.PEOPLE, tenant).spawn(len(days))
    drawn = [
        session
        for (midnight, is_worked), rng in zip(days, streams, strict=True)
        if is_worked
        for session in _day(people, count, midnight, rng)
    ]
    # People sign in once they have been registered.
    return [session for session in drawn if scenario.start_us + LEAD <= session.begins < until]


def _day(people: People, count: int, midnight: int, rng: np.random.Generator) -> list[Session]:
    person: npt.NDArray[np.int64] = np.repeat(np.arange(count), rng.poisson(people.sessions, count))
    rng.shuffle(person)
    length = people.hours.end - people.hours.begin
    # The shape's unit is a working day where a profile has a second.
    moments = _SHAPE.arrivals(len(person), 1.0, rng) * (length / SECOND)
    begins = midnight + people.hours.begin + np.minimum(moments.astype(np.int64), length - 1)
    signs_out = rng.random(len(person)) < _SIGN_OUTS
    seeds = rng.integers(1 << 62, size=len(person))
    columns = (person, begins, signs_out, seeds)
    return [Session(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
