"""The people of one tenant at work: they sign in, call tools with a token of their own, and mostly sign out.

A person is a client of the actor class ``human``; each session is a root grant with a task of its own, below which
nothing hangs. Where the server says no they do what a browser does: renew a token that has run out, or give up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Issue,
    OAuthError,
    Operation,
    RecordExecution,
    Refresh,
    Register,
    Registration,
    Revoke,
    TokenGrant,
    Verification,
    Verify,
)
from agentsim.server.answers import Answer
from agentsim.server.clock import SECOND
from agentsim.simulation.people import People
from agentsim.simulation.rounds import Step
from agentsim.simulation.sessions import Call, Session

#: When people are registered, and how much later they confirm: within the time before the first agents' tasks.
_REGISTERED_WITHIN, _CONFIRMED_AFTER = 20 * SECOND, 10 * SECOND
#: Between a refusal and the renewal of a token, microseconds.
_REACTION = SECOND // 4


class PersonStep(IntEnum):
    """What people do, beside the kinds of agents' and attackers' steps."""

    REGISTER = 201  #: the owner registers a person; ``ref`` is the person
    CONFIRM = 202  #: the person redeems the registration token
    SIGN_IN = 203  #: a session begins; ``ref`` is the session
    CALL = 204  #: its next tool call
    OUTCOME = 205  #: how that call went
    RENEW = 206  #: its token has run out
    SIGN_OUT = 207  #: the session is over


@dataclass(slots=True)
class _Stay:
    """A session under way."""

    client: Client
    calls: list[Call]
    next: int = 0
    access_token: str = ""
    refresh_token: str | None = None
    #: Calls that were let through and whose outcomes are to be reported, the first made first.
    open: list[Call] = field(default_factory=list)


class PeoplePlay:
    """Plays the people of a tenant. Actors: from ``first_actor`` on the people, after them their sessions.

    Parameters
    ----------
    sessions : in order of time.
    orders : numbers for steps, not used by anybody else.
    """

    def __init__(
        self,
        people: People,
        count: int,
        sessions: list[Session],
        *,
        owner: str,
        tenant: int,
        start: int,
        first_actor: int,
        orders: Iterator[int],
    ) -> None:
        self._people = people
        self._count = count
        self._sessions = sessions
        self._admin = Admin(owner)
        self._tenant = tenant
        self._first_actor = first_actor
        self._orders = orders
        self._clients: dict[int, tuple[Client, str]] = {}
        self._stays: dict[int, _Stay] = {}
        uses = [f"{tool}:{name}" for tool, names in people.tools.items() for name in names]
        self._scope = " ".join(uses)
        #: Registrations, confirmations and the beginnings of sessions, in order of time.
        self.wakes = sorted(self._beginnings(start))

    def prepare(self, step: Step) -> Operation | None:
        """The operation of a step; None where the session never began or is over."""
        match step.kind:
            case PersonStep.REGISTER:
                return self._register(step.ref)
            case PersonStep.CONFIRM:
                known = self._clients.get(step.ref)
                return known and Confirm(registration_token=known[1], source_ip=self._host(step.ref))
            case PersonStep.SIGN_IN:
                return self._sign_in(step.ref)
        stay = self._stays.get(step.ref)
        return None if stay is None else self._within(step, stay)

    def settle(self, step: Step, answer: Answer | OAuthError) -> Iterable[Step]:
        """Take an answer in and say what the person does next."""
        if isinstance(answer, Registration):
            assert answer.client_secret is not None, "simulated people have secrets"
            client = Client(answer.client_id, answer.client_secret)
            self._clients[step.ref] = client, answer.registration_token
            return ()
        stay = self._stays.get(step.ref)
        if stay is None or step.kind == PersonStep.OUTCOME:
            return ()
        if isinstance(answer, TokenGrant):
            stay.access_token, stay.refresh_token = answer.access_token, answer.refresh_token
            return (self._next(step, stay),)
        if isinstance(answer, Verification):
            return self._settle_call(step, stay, answer)
        # Signed out, or turned away.
        del self._stays[step.ref]
        return ()

    def _settle_call(self, step: Step, stay: _Stay, answer: Verification) -> Iterable[Step]:
        if answer.error is not None and answer.error.reason == "expired" and stay.refresh_token is not None:
            return (self._step(step, step.time + _REACTION, PersonStep.RENEW),)
        if answer.error is not None and answer.error.error == "invalid_token":
            del self._stays[step.ref]
            return ()
        call = stay.calls[stay.next]
        stay.next += 1
        following = [self._next(step, stay)]
        if answer.is_valid:
            stay.open.append(call)
            following.append(self._step(step, step.time + call.duration, PersonStep.OUTCOME))
        return following

    def _next(self, step: Step, stay: _Stay) -> Step:
        """The next call at the moment that was intended, or, where that has passed, now; after the last the end."""
        if stay.next < len(stay.calls):
            planned = self._sessions[step.ref].begins + stay.calls[stay.next].offset
            return self._step(step, max(planned, step.time), PersonStep.CALL)
        last = stay.calls[-1]
        done = self._sessions[step.ref].begins + last.offset + last.duration + SECOND
        return self._step(step, max(done, step.time), PersonStep.SIGN_OUT)

    def _step(self, step: Step, time: int, kind: PersonStep) -> Step:
        return Step(time, next(self._orders), step.actor, -1, kind, step.ref)

    def _within(self, step: Step, stay: _Stay) -> Operation | None:
        session = self._sessions[step.ref]
        host = self._host(session.person)
        match step.kind:
            case PersonStep.CALL:
                call = stay.calls[stay.next]
                return Verify(
                    token=stay.access_token,
                    task_id=self._task(step.ref),
                    required_tools=(call.tool,),
                    required_resources=(call.resource,),
                    caller=f"host-{host}",
                    source_ip=host,
                    include_history=False,
                )
            case PersonStep.OUTCOME:
                return _outcome(stay.access_token, stay.open.pop(0))
            case PersonStep.RENEW:
                assert stay.refresh_token is not None
                return Refresh(by=stay.client, refresh_token=stay.refresh_token, source_ip=host)
        if session.signs_out:
            return Revoke(by=stay.client, token=stay.access_token, reason="completed", source_ip=host)
        del self._stays[step.ref]
        return None

    def _register(self, person: int) -> Register:
        people = self._people
        return Register(
            by=self._admin,
            agent_name=f"{people.role}-{person:07d}",
            description="a person who works with tools of their own",
            allowed_tools=tuple(people.tools),
            resource_access=tuple(sorted(people.resources)),
            max_scope_level=people.level,
            role=people.role,
            actor_class="human",
        )

    def _sign_in(self, number: int) -> Issue | None:
        session = self._sessions[number]
        known = self._clients.get(session.person)
        if known is None:
            return None
        self._stays[number] = _Stay(known[0], session.calls(self._people))
        return Issue(
            by=known[0],
            task_id=self._task(number),
            task_description="A session at work",
            scope=self._scope,
            scope_level=self._people.level,
            source_ip=self._host(session.person),
        )

    def _beginnings(self, start: int) -> Iterator[Step]:
        for person in range(self._count):
            actor = self._first_actor + person
            time = start + _REGISTERED_WITHIN * person // self._count
            yield Step(time, next(self._orders), actor, -1, PersonStep.REGISTER, person)
            time += _CONFIRMED_AFTER
            yield Step(time, next(self._orders), actor, -1, PersonStep.CONFIRM, person)
        for number, session in enumerate(self._sessions):
            actor = self._first_actor + self._count + number
            yield Step(session.begins, next(self._orders), actor, -1, PersonStep.SIGN_IN, number)

    def _task(self, number: int) -> str:
        return f"session-{number:07d}"

    def _host(self, person: int) -> str:
        return f"10.{128 + self._tenant % 128}.{person >> 8 & 255}.{person & 255}"


def _outcome(token: str, call: Call) -> RecordExecution:
    return RecordExecution(
        token=token,
        tool=call.tool,
        resource=call.resource,
        outcome="error" if call.error else "success",
        duration_us=call.duration,
        args_digest=call.args_digest,
        n_args=1,
        arg_chars=call.arg_chars,
        result_chars=call.result_chars,
    )
