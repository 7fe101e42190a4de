"""The honest agents of one tenant at play: they follow their intents and react to refusals as a client would.

They refresh a token that has expired, ask again for a grant that has ended, ask for less where it was too much, and
stop where their task has been stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

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
from agentsim.simulation.holder import Holder
from agentsim.simulation.intents import Intents, Kind, Longs
from agentsim.simulation.requests import Requests
from agentsim.simulation.rounds import Step

#: A step beside the kinds of intents: to refresh because of a refusal.
_REFRESH = 100
#: Between a refusal and the reaction to it, microseconds: a client's round trip.
_REACTION = SECOND // 4
#: How often an agent asks for a grant before it gives up.
_ATTEMPTS = 4
#: How often in a row an agent comes again after it asked too often; each time it waits twice as long.
_PATIENCE = 8
#: Careful agents refresh when less than this share of the lifetime is left.
_MARGIN = 0.1
#: What no client can do anything about. Of a budget, its parent, to which it reports, has no more to give either; a grant
#: that is held waits for a person, and in a simulation none comes.
_WAITS = frozenset(("budget_exhausted", "step_up_required"))
#: A tree that has been done for so long has forgotten its tokens, and what it has not finished by then.
_FORGETS_AFTER = 300 * SECOND


class AgentPlay:
    """Plays the agents of a tenant. Actors: agents by number.

    Parameters
    ----------
    access_ttl : lifetime of an access token, microseconds.
    orders : numbers for steps, not used by anybody else.
    """

    def __init__(self, intents: Intents, requests: Requests, access_ttl: int, orders: Iterator[int]) -> None:
        self._intents = intents
        self._requests = requests
        self._orders = orders
        self.heed(access_ttl)
        #: What each agent holds, by number, from its registration until its tree has been done for a while.
        self.holders: dict[int, Holder] = {}
        self._tree_ends = _tree_ends(intents)
        self._by_end = np.argsort(self._tree_ends, kind="stable")
        self._forgotten = 0
        #: Intents that came to nothing because their agent had no token any more.
        self.skipped = 0
        self._preparing: dict[int, Callable[[Step, Holder], Operation | None]] = {
            Kind.CONFIRM: self._confirm,
            Kind.ISSUE: self._issue,
            Kind.ISSUE_CHILD: self._ask_parent,
            Kind.VERIFY: self._call,
            Kind.EXECUTION: self._report,
            Kind.INTROSPECT: self._introspect,
            Kind.REVOKE: self._revoke,
            _REFRESH: self._refresh,
        }

    def heed(self, access_ttl: int) -> None:
        """Access tokens live for so long from now on, microseconds: careful agents refresh in time for that."""
        self._margin = int(access_ttl * _MARGIN)

    def prepare(self, step: Step) -> Operation | None:
        """The operation of a step; None where its agent has stopped or never got this far."""
        if step.kind == Kind.REGISTER:
            return self._requests.register(step.actor)
        if step.kind == Kind.CANCEL:
            return self._requests.cancel(step.actor)
        holder = self.holders.get(step.actor)
        operation = None
        if holder is not None and not holder.stopped:
            operation = self._preparing[step.kind](step, holder)
        if operation is None and self._is_intent(step):
            self.skipped += 1
        return operation

    def settle(
        self,
        step: Step,
        operation: Operation,
        answer: Answer | OAuthError,
        limited: TooManyRequests | None,
    ) -> Iterable[Step]:
        """Take an answer in and say what the agent does next; ``limited`` where it asked too often."""
        if isinstance(answer, Registration):
            assert answer.client_secret is not None, "simulated agents have secrets"
            client = Client(answer.client_id, answer.client_secret)
            self.holders[step.actor] = Holder(client, answer.registration_token)
            return ()
        holder = self.holders.get(step.actor)
        if holder is None:
            return ()
        if limited is not None:
            return self._later(step, operation, holder, limited)
        holder.limited = 0
        match operation:
            case Verify():
                return self._settle_call(step, holder, answer)
            case Issue() | IssueChild():
                return self._settle_grant(step, holder, answer)
            case Refresh():
                return self._settle_refresh(step, holder, answer)
            case Revoke(by=Client()):
                holder.stopped = True
        return ()

    def forget(self, now: int, besides: frozenset[int]) -> None:
        """Drop what agents of trees hold that have been done for long, so that memory stays flat, besides some."""
        last = int(np.searchsorted(self._tree_ends, now - _FORGETS_AFTER, sorter=self._by_end))
        for number in self._by_end[self._forgotten : last].tolist():
            if number not in besides:
                self.holders.pop(number, None)
        self._forgotten = last

    def _confirm(self, step: Step, holder: Holder) -> Operation:
        return self._requests.confirm(step.actor, holder.registration_token)

    def _issue(self, step: Step, holder: Holder) -> Operation:
        return self._requests.issue(step.actor, holder.client)

    def _call(self, step: Step, holder: Holder) -> Operation | None:
        token = holder.access_token
        if token is None:
            return None
        if self._refreshes_now(step, holder):
            return self._refresh(step, holder)
        return self._requests.verify(step.actor, token, step.ref)

    def _introspect(self, step: Step, holder: Holder) -> Operation | None:
        token = holder.access_token
        return None if token is None else self._requests.introspect(token, step.ref)

    def _revoke(self, step: Step, holder: Holder) -> Operation | None:
        token = holder.access_token
        return None if token is None else self._requests.revoke(step.actor, holder.client, token)

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
        parent = self.holders.get(self._parent(step))
        token = None if parent is None else parent.token_at(step.time)
        if token is None:
            return None
        return self._requests.issue_child(step.actor, holder.client, token, again=holder.attempts > 0)

    def _refresh(self, step: Step, holder: Holder) -> Refresh | None:
        if holder.access_token is None or holder.refresh_token is None:
            return None
        return self._requests.refresh(step.actor, holder.client, holder.refresh_token, step.ref)

    def _report(self, step: Step, holder: Holder) -> Operation | None:
        """How a call went, once, if it was let through."""
        if holder.access_token is None or holder.open_call != step.ref:
            return None
        holder.open_call = -1
        return self._requests.outcome(holder.access_token, step.ref)

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
        if holder.attempts >= _ATTEMPTS or getattr(answer, "reason", None) in _WAITS:
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
        if answer.error.reason in _WAITS:
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


def _tree_ends(intents: Intents) -> Longs:
    """When the last agent of each agent's tree is done; parents are asked for tokens after their own end, too."""
    population = intents.population
    ends = np.maximum.reduceat(intents.plans.ended, population.roots)
    return np.asarray(ends[population.tree], np.int64)
