"""The play of one tenant: honest agents, attackers beside them, and people.

What agents intend is drawn beforehand (:mod:`agentsim.simulation.intents`); here each step goes to whoever plays it, and
each answer back to where it was asked for.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np

from agentsim.server import OAuthError, Operation, Verification, Verify
from agentsim.server.answers import Answer
from agentsim.server.clock import SECOND
from agentsim.server.errors import TooManyRequests
from agentsim.simulation.adversaries import Adversaries, AttackRecord, AttackStep
from agentsim.simulation.agentplay import AgentPlay
from agentsim.simulation.intents import Intents, Kind
from agentsim.simulation.peopleplay import PeoplePlay, PersonStep
from agentsim.simulation.requests import Requests
from agentsim.simulation.rounds import Answered, Step
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.sessions import make_sessions
from agentsim.simulation.verifiers import Verifiers

_ATTACK_STEPS, _PERSON_STEPS = frozenset(AttackStep), frozenset(PersonStep)


class TenantPlay:
    """Plays one tenant of a scenario. Actors: agents by number, attackers after them, then people."""

    def __init__(self, scenario: Scenario, tenant: int, intents: Intents, verifiers: Verifiers) -> None:
        self._intents = intents
        self._verifiers = verifiers
        # Intents have their own places for numbers.
        self._orders = count(len(intents))
        requests = Requests(scenario.tenants[tenant].name, intents)
        self._agents = AgentPlay(intents, requests, scenario.policy.access_ttl, self._orders)
        self._adversaries = Adversaries(
            scenario, tenant, intents, requests, self._agents.holders, self._orders
        )
        self._people = _people_play(scenario, tenant, intents, self._adversaries.actors, self._orders)

    @property
    def skipped(self) -> int:
        """Intents that came to nothing because their agent had no token any more."""
        return self._agents.skipped

    @property
    def attacks(self) -> list[AttackRecord]:
        """Attackers' operations so far."""
        return self._adversaries.records

    def heed(self, access_ttl: int) -> None:
        """Access tokens live for so long from now on, microseconds."""
        self._agents.heed(access_ttl)

    def intended(self, start: int, window: int) -> Iterator[list[Step]]:
        """Steps of each window: intents, the first step of each attacker, and what people begin."""
        intents = self._intents
        wakes = sorted([*self._adversaries.wakes, *(self._people.wakes if self._people else ())])
        waking = [(step.time - start) // window for step in wakes]
        for number, part in enumerate(intents.windows(start, window)):
            first, last = bisect_left(waking, number), bisect_left(waking, number + 1)
            self._agents.forget(start + number * window, self._adversaries.victims)
            yield self._steps(part) + wakes[first:last]

    def prepare(self, step: Step) -> Operation | Answered | None:
        """The operation of a step; None where its actor has stopped or never got this far."""
        operation = self._wanted(step)
        return self._verifiers.receive(step, operation) if isinstance(operation, Verify) else operation

    def settle(self, step: Step, operation: Operation, answer: Answer | OAuthError) -> Iterable[Step]:
        """Take an answer in and say what follows from it."""
        operation, answer = self._verifiers.settle(step, operation, answer)
        if step.kind in _ATTACK_STEPS:
            # Attackers do not wait for anybody's leave.
            return self._adversaries.settle(step, operation, answer)
        refusal = answer.error if isinstance(answer, Verification) else answer
        limited = refusal if isinstance(refusal, TooManyRequests) else None
        if step.kind not in _PERSON_STEPS:
            return self._agents.settle(step, operation, answer, limited)
        if limited is not None:
            # People wait for as long as they are told, and try again.
            return (step._replace(time=step.time + limited.retry_after * SECOND, order=next(self._orders)),)
        return self._people.settle(step, answer) if self._people else ()

    def _wanted(self, step: Step) -> Operation | None:
        if step.kind in _ATTACK_STEPS:
            return self._adversaries.prepare(step)
        if step.kind in _PERSON_STEPS:
            return self._people.prepare(step) if self._people else None
        return self._agents.prepare(step)

    def _steps(self, part: slice) -> list[Step]:
        """The intents of a window. Only these of its many columns are made into Python's numbers at a time."""
        intents = self._intents
        agent, kind = intents.agent[part], intents.kind[part]
        after = np.where(kind == Kind.ISSUE_CHILD, intents.population.parent[agent], -1)
        orders = range(part.start, part.stop)
        columns = (column.tolist() for column in (agent, after, kind, intents.call[part]))
        return list(map(Step._make, zip(intents.time[part].tolist(), orders, *columns, strict=True)))


def _people_play(
    scenario: Scenario, tenant: int, intents: Intents, first_actor: int, orders: Iterator[int]
) -> PeoplePlay | None:
    """The people of a tenant, who are there as long as its agents are."""
    if scenario.people is None:
        return None
    return PeoplePlay(
        scenario.people,
        scenario.tenant_people()[tenant],
        make_sessions(scenario, scenario.people, tenant, int(intents.time[-1])),
        owner=scenario.tenants[tenant].name,
        tenant=tenant,
        start=scenario.start_us,
        first_actor=first_actor,
        orders=orders,
    )
