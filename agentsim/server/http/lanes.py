"""Lanes: what waits for the writer, people's operations before agents'.

Agents come in any number and without a pause. So their operations have a lane of their own: each batch takes what people
wait for first, and agents have what is left of it, which is never nothing; and agents are turned away while there still is
room for people to wait.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from agentsim.server.acquaintances import Acquaintances
from agentsim.server.operations import Operation
from agentsim.server.operations.uses import Introspect, Verify
from agentsim.server.parties import Admin, Client, ClientAssertion

#: Operations that share a transaction at most, and those of people beside which agents still have a share.
MOST_TOGETHER = 1_000
MOST_OF_PEOPLE = 750
#: While people are about, a batch has no more of agents' operations than this: whoever comes next waits for its end.
AGENTS_BESIDE_PEOPLE = 8
#: They are about until so many batches have held nothing of theirs.
_ABOUT = 100
#: Operations that may wait before further ones are turned away: altogether, and those of agents.
MOST_WAITING = 20_000
MOST_AGENTS_WAITING = 15_000


class Work(NamedTuple):
    """What one request asks for, and where the answers go."""

    operations: Sequence[Operation]
    future: "asyncio.Future[list[Any]]"
    first: bool


class Lanes:
    """Works that wait, in the order in which they came, lane by lane."""

    def __init__(self) -> None:
        self._people: deque[Work] = deque()
        self._agents: deque[Work] = deque()
        #: Operations that have been asked for and not been answered: altogether, and those of agents.
        self.waiting = 0
        self._agents_waiting = 0
        #: Batches since the last one with people's operations.
        self._without_people = _ABOUT

    def __len__(self) -> int:
        return len(self._people) + len(self._agents)

    @property
    def has_people(self) -> bool:
        """Whether people wait."""
        return bool(self._people)

    def has_room(self, count: int, *, first: bool) -> bool:
        """Whether so many operations more may wait."""
        most_of_agents = min(MOST_AGENTS_WAITING, MOST_WAITING)
        return self.waiting + count <= MOST_WAITING and (
            first or self._agents_waiting + count <= most_of_agents
        )

    def put(self, work: Work) -> None:
        """Let a work wait; :meth:`answered` when it does no longer."""
        (self._people if work.first else self._agents).append(work)
        self._count(work, 1)

    def answered(self, work: Work) -> None:
        """Nobody waits for this any more."""
        self._count(work, -1)

    def next_batch(self) -> list[Work]:
        """At least one work, and as many as go together."""
        self._without_people = 0 if self._people else self._without_people + 1
        people = _take(self._people, MOST_OF_PEOPLE if self._agents else MOST_TOGETHER)
        most = MOST_TOGETHER - sum(len(work.operations) for work in people)
        if self._without_people < _ABOUT:
            most = min(most, AGENTS_BESIDE_PEOPLE)
        return people + _take(self._agents, most)

    def _count(self, work: Work, sign: int) -> None:
        self.waiting += sign * len(work.operations)
        self._agents_waiting += 0 if work.first else sign * len(work.operations)


def _take(waiting: deque[Work], most: int) -> list[Work]:
    """Take works in turn while they fit, the first of a lane whether it fits or not."""
    works: list[Work] = []
    count = 0
    while waiting and (not works or count + len(waiting[0].operations) <= most):
        works.append(waiting.popleft())
        count += len(works[-1].operations)
    return works


def goes_first(acquaintances: Acquaintances, operations: Sequence[Operation]) -> bool:
    """Whether people wait for these: administrators ask for all of them, or people's clients.

    Whoever asks about a token says nothing of whose it is: verifications go with the agents unless it is known better.
    """
    return all(_is_for_people(acquaintances, operation) for operation in operations)


def _is_for_people(acquaintances: Acquaintances, operation: Operation) -> bool:
    by = getattr(operation, "by", None)
    if isinstance(by, Admin):
        return not isinstance(operation, Verify | Introspect)
    if isinstance(operation, Verify):
        return False
    return isinstance(by, Client | ClientAssertion) and acquaintances.is_person(by)
