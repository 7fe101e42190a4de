"""The play of one tenant: honest agents that follow their intents and react to refusals, attackers beside them.

What agents intend is drawn beforehand (:mod:`agentsim.simulation.intents`); here they ask the server for it, and do what
a client would do where it says no: refresh a token that has expired, ask again for a grant that has ended, ask
for less where it was too much, and stop where their task has been stopped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import count

import numpy as np

from agentsim.server import (
    Client,
    Issue,
    IssueChild,
    OAuthError,
    Operation,
    Refresh,
    Registration,
    Revoke,
    TokenGrant,
    Verification,
    Verify,
)
from agentsim.server.answers import Answer
from agentsim.server.clock import SECOND
from agentsim.server.errors import TooManyRequests
from agentsim.simulation.adversaries import Adversaries, AttackRecord, AttackStep
from agentsim.simulation.holder import Holder
from agentsim.simulation.intents import Intents, Kind
from agentsim.simulation.peopleplay import PeoplePlay, PersonStep
from agentsim.simulation.requests import Requests
from agentsim.simulation.rounds import Answered, Step
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.sessions import make_sessions
from agentsim.simulation.verifiers import Verifiers

#: A step beside the kinds of intents: to refresh because of a refusal.
_REFRESH = 100
#: Between a refusal and the reaction to it, microseconds: a client's round trip.
_REACTION = SECOND // 4
#: How often an agent asks for a grant before it gives up.
_ATTEMPTS = 4
_PERSON_STEPS = frozenset(PersonStep)
#: How often in a row an agent comes again after it asked too often; each time it waits twice as long.
_PATIENCE = 8
#: Careful agents refresh when less than this share of the lifetime is left.
_MARGIN = 0.1


class TenantPlay:
    """Plays one tenant of a scenario. Actors: agents by number, attackers after them, then people."""

    def __init__(self, scenario: Scenario, tenant: int, intents: Intents, verifiers: Verifiers) -> None:
        self._intents = intents
        self._requests = Requests(scenario.tenants[tenant].name, intents)
        self._margin = int(scenario.policy.access_ttl * _MARGIN)
        self._verifiers = verifiers
        self._holders: dict[int, Holder] = {}
        # Intents have their own places for numbers.
        self._orders = count(len(intents))
        self._adversaries = Adversaries(
            scenario, tenant, intents, self._requests, self._holders, self._orders
        )
        self._people = _people_play(scenario, tenant, intents, self._adversaries.actors, self._orders)
        #: Intents that came to nothing because their agent had no token any more.
        self.skipped = 0

    @property
    def attacks(self) -> list[AttackRecord]:
        """Attackers' operations so far."""
        return self._adversaries.records

    def intended(self, start: int, window: int) -> Iterator[list[Step]]:
        """Steps of each window: intents, the first step of each attacker, and what people begin."""
        intents = self._intents
        wakes = sorted([*self._adversaries.wakes, *(self._people.wakes if self._people else ())])
        after = np.where(intents.kind == Kind.ISSUE_CHILD, intents.population.parent[intents.agent], -1)
        columns = (intents.time, np.arange(len(intents)), intents.agent, after, intents.kind, intents.call)
        waking = [(step.time - start) // window for step in wakes]
        for number, part in enumerate(intents.windows(start, window)):
            steps = [Step(*row) for row in zip(*(column[part].tolist() for column in columns), strict=True)]
            first, last = bisect_left(waking, number), bisect_left(waking, number + 1)
            yield steps + wakes[first:last]

    def prepare(self, step: Step) -> Operation | Answered | None:
        """The operation of a step; None where its agent has stopped or never got this far."""
        operation = self._wanted(step)
        return self._verifiers.receive(step, operation) if isinstance(operation, Verify) else operation

    def settle(self, step: Step, operation: Operation, answer: Answer | OAuthError) -> Iterable[Step]:
        """Take an answer in and say what follows from it."""
        operation, answer = self._verifiers.settle(step, operation, answer)
        if step.kind in (AttackStep.ACT, AttackStep.OUTCOME):
            # Attackers do not wait for anybody's leave.
            return self._adversaries.settle(step, operation, answer)
        refusal = answer.error if isinstance(answer, Verification) else answer
        limited = refusal if isinstance(refusal, TooManyRequests) else None
        if step.kind not in _PERSON_STEPS:
            return self._react(step, operation, answer, limited)
        if limited is not None:
            # People wait for as long as they are told, and try again.
            return (step._replace(time=step.time + limited.retry_after * SECOND, order=next(self._orders)),)
        return self._people.settle(step, answer) if self._people else ()

    def _wanted(self, step: Step) -> Operation | None:
        match step.kind:
            case Kind.REGISTER:
                return self._requests.register(step.actor)
            case Kind.CANCEL:
                return self._requests.cancel(step.actor)
            case AttackStep.ACT | AttackStep.OUTCOME:
                return self._adversaries.prepare(step)
        if step.kind in _PERSON_STEPS:
            return self._people.prepare(step) if self._people else None
        holder = self._holders.get(step.actor)
        operation = None if holder is None or holder.stopped else self._prepare(step, holder)
        if operation is None and self._is_intent(step):
            self.skipped += 1
        return operation

    def _react(
        self,
        step: Step,
        operation: Operation,
        answer: Answer | OAuthError,
        limited: TooManyRequests | None,
    ) -> Iterable[Step]:
        if isinstance(answer, Registration):
            assert answer.client_secret is not None, "simulated agents have secrets"
            client = Client(answer.client_id, answer.client_secret)
            self._holders[step.actor] = Holder(client, answer.registration_token)
            return ()
        holder = self._holders.get(step.actor)
        if holder is None:
            return ()
        if limited is not None:
            return self._later(step, operation, holder, limited)
        holder.limited = 0
        match operation:
            case Issue() | IssueChild():
                return self._settle_grant(step, holder, answer)
            case Refresh():
                return self._settle_refresh(step, holder, answer)
            case Verify():
                return self._settle_call(step, holder, answer)
            case Revoke(by=Client()):
                holder.stopped = True
        return ()

    def _prepare(self, step: Step, holder: Holder) -> Operation | None:
        number, requests = step.actor, self._requests
        match step.kind:
            case Kind.CONFIRM:
                return requests.confirm(number, holder.registration_token)
            case Kind.ISSUE:
                return requests.issue(number, holder.client)
            case Kind.ISSUE_CHILD:
                return self._ask_parent(step, holder)
        if holder.access_token is None:
            return None
        match step.kind:
            case Kind.VERIFY:
                if self._refreshes_now(step, holder):
                    return self._refresh(number, holder)
                return requests.verify(number, holder.access_token, step.ref)
            case Kind.EXECUTION:
                return self._report(holder, holder.access_token, step.ref)
            case Kind.INTROSPECT:
                return requests.introspect(holder.access_token, step.ref)
            case Kind.REVOKE:
                return requests.revoke(number, holder.client, holder.access_token)
        return self._refresh(number, holder)

    def _is_intent(self, step: Step) -> bool:
        return step.order < len(self._intents)

    def _refreshes_now(self, step: Step, holder: Holder) -> bool:
        """Whether a careful agent refreshes before this call. Retried calls are not put off again."""
        return (
            self._is_intent(step)
            and holder.refresh_token is not None
            and bool(self._intents.plans.proactive[step.actor])
            and step.time >= holder.expires_at - self._margin
        )

    def _ask_parent(self, step: Step, holder: Holder) -> IssueChild | None:
        parent = self._holders.get(self._parent(step))
        token = None if parent is None else parent.token_at(step.time)
        if token is None:
            return None
        return self._requests.issue_child(step.actor, holder.client, token, again=holder.attempts > 0)

    def _refresh(self, number: int, holder: Holder) -> Refresh | None:
        if holder.refresh_token is None:
            return None
        return self._requests.refresh(number, holder.client, holder.refresh_token)

    def _report(self, holder: Holder, token: str, call: int) -> Operation | None:
        """How a call went, once, if it was let through."""
        if holder.open_call != call:
            return None
        holder.open_call = -1
        return self._requests.outcome(token, call)

    def _settle_grant(self, step: Step, holder: Holder, answer: Answer | OAuthError) -> Iterable[Step]:
        holder.attempts += 1
        if isinstance(answer, TokenGrant):
            return self._settle_tokens(step, holder, answer)
        assert isinstance(answer, OAuthError)
        if holder.attempts >= _ATTEMPTS:
            holder.stopped = True
        elif answer.reason == "parent_expired":
            # The child asks its parent to refresh, and comes back.
            parent = self._parent(step)
            refresh = Step(step.time + _REACTION, next(self._orders), parent, -1, _REFRESH)
            again = step._replace(time=step.time + 3 * _REACTION, order=next(self._orders), after=parent)
            return (refresh, again)
        elif answer.error == "invalid_scope":
            return self._again(step, step.kind)
        else:
            holder.stopped = True
        return ()

    def _settle_refresh(self, step: Step, holder: Holder, answer: Answer | OAuthError) -> Iterable[Step]:
        if isinstance(answer, TokenGrant):
            return self._settle_tokens(step, holder, answer)
        # The grant has ended: ask for a new one, where that is still to be had.
        holder.access_token = holder.refresh_token = None
        if holder.attempts >= _ATTEMPTS:
            holder.stopped = True
            return ()
        return self._again(step, Kind.ISSUE if self._parent(step) < 0 else Kind.ISSUE_CHILD)

    def _settle_tokens(self, step: Step, holder: Holder, grant: TokenGrant) -> Iterable[Step]:
        """Hold new tokens, and make the call that waited for them."""
        holder.hold(grant, step.time)
        return self._again(step, Kind.VERIFY) if step.ref >= 0 else ()

    def _settle_call(self, step: Step, holder: Holder, answer: Answer | OAuthError) -> Iterable[Step]:
        assert isinstance(answer, Verification)
        if answer.is_valid:
            holder.open_call = step.ref
            if self._is_intent(step) or not self._intents.calls.reported[step.ref]:
                return ()
            # A retried call may come after the moment at which its outcome was to be reported.
            done = step.time + int(self._intents.calls.duration[step.ref])
            return (Step(done, next(self._orders), step.actor, -1, Kind.EXECUTION, step.ref),)
        assert answer.error is not None
        if answer.error.reason == "budget_exhausted":
            # Its parent, to which it reports, has no more to give either.
            holder.stopped = True
        if answer.error.error != "invalid_token" or not self._is_intent(step):
            return ()
        if holder.refresh_token is None:
            holder.stopped = True
            return ()
        return self._again(step, _REFRESH)

    def _later(
        self, step: Step, operation: Operation, holder: Holder, refusal: TooManyRequests
    ) -> Iterable[Step]:
        """The same step when it may be taken; who is put off again and again gives up the call, or without a token all."""
        if holder.limited >= _PATIENCE:
            holder.stopped = not isinstance(operation, Verify)
            return ()
        wait = (refusal.retry_after << holder.limited) * SECOND
        holder.limited += 1
        return (step._replace(time=step.time + wait, order=next(self._orders)),)

    def _again(self, step: Step, kind: int) -> tuple[Step]:
        after = self._parent(step) if kind == Kind.ISSUE_CHILD else -1
        return (Step(step.time + _REACTION, next(self._orders), step.actor, after, kind, step.ref),)

    def _parent(self, step: Step) -> int:
        """The number of the parent of the agent whose step it is; -1 for a root."""
        return int(self._intents.population.parent[step.actor])


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
