"""The play of one tenant: honest agents that follow their intents and react to refusals, and attackers beside them.

What agents intend is drawn beforehand (:mod:`agentsim.simulation.intents`); here they ask the server for it, and do what
a client would do where it says no: refresh a token that has expired, ask again for a grant that has ended, ask
for less where it was too much, and stop where their task has been stopped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

import numpy as np

from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
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
from agentsim.simulation.attacks import ATTACKERS, Attacker, Victim
from agentsim.simulation.intents import Intents, Kind
from agentsim.simulation.plans import Ask
from agentsim.simulation.rounds import Step
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.streams import STREAM, generator

#: Steps that follow from answers, beside the kinds of intents.
_REFRESH, _ATTACK, _ATTACK_OUTCOME = 100, 101, 102
#: Between a refusal and the reaction to it, microseconds: a client's round trip.
_REACTION = SECOND // 4
#: How long a child waits for a parent that has no token yet.
_PATIENCE = 5 * SECOND
#: How often an agent asks for a grant before it gives up.
_ATTEMPTS = 4
#: Careful agents refresh when less than this share of the lifetime is left.
_MARGIN = 0.1


@dataclass(slots=True)
class _Agent:
    """What an agent holds at the moment. A stopped agent asks for nothing any more."""

    client: Client
    registration_token: str
    access_token: str | None = None
    refresh_token: str | None = None
    expires_at: int = 0
    #: Since when it holds its token, and the one that it held before.
    held_since: int = 0
    earlier_token: str | None = None
    attempts: int = 0
    stopped: bool = False
    #: The call that was let through last and whose outcome is still to be reported.
    open_call: int = -1

    def token_at(self, moment: int) -> str | None:
        """What others could have of it then: rounds of one window may have gone on to a later token."""
        return self.access_token if moment >= self.held_since else self.earlier_token


@dataclass(slots=True)
class _Instance:
    """One attacker at work on one victim."""

    attacker: Attacker
    victim: int
    attack_id: int


@dataclass(frozen=True, slots=True)
class AttackRecord:
    """One operation of an attacker: what the labels are made of."""

    log_id: int
    kind: str
    attack_id: int
    stealth: float


class TenantPlay:
    """Plays one tenant of a scenario. Actors: agents by number, attackers after them."""

    def __init__(self, scenario: Scenario, tenant: int, intents: Intents) -> None:
        self._intents = intents
        self._owner = scenario.tenants[tenant].name
        self._admin = Admin(self._owner)
        self._margin = int(scenario.policy.access_ttl * _MARGIN)
        self._call = intents.calls
        self._agents: dict[int, _Agent] = {}
        self._instances, self._wakes = _cast(scenario, tenant, intents)
        self._orders = count(len(intents) + len(self._instances))
        #: Outcomes that attackers' calls will report, by the order of their step.
        self._outcomes: dict[int, RecordExecution] = {}
        #: Attackers' operations, in order.
        self.attacks: list[AttackRecord] = []
        #: Intents that came to nothing because their agent had no token any more, by kind.
        self.skipped: Counter[str] = Counter()
        self._scope = lru_cache(4096)(self._scope_of)

    def intended(self, start: int, window: int) -> Iterator[list[Step]]:
        """Steps of each window: intents, and the first step of each attacker."""
        intents = self._intents
        after = np.where(intents.kind == Kind.ISSUE_CHILD, intents.population.parent[intents.agent], -1)
        columns = (intents.time, np.arange(len(intents)), intents.agent, after, intents.kind, intents.call)
        waking = [(step.time - start) // window for step in self._wakes]
        for number, part in enumerate(intents.windows(start, window)):
            steps = [Step(*row) for row in zip(*(column[part].tolist() for column in columns), strict=True)]
            first, last = bisect_left(waking, number), bisect_left(waking, number + 1)
            yield steps + self._wakes[first:last]

    def prepare(self, step: Step) -> Operation | None:
        """The operation of a step; None where its agent has stopped or never got this far."""
        if step.kind == Kind.REGISTER:
            return self._register(step.actor)
        if step.kind == _ATTACK:
            return self._attack(step)
        if step.kind == _ATTACK_OUTCOME:
            return self._outcomes.pop(step.order)
        if step.kind == Kind.CANCEL:
            return Revoke(
                by=self._admin,
                task_id=self._intents.task_id(step.actor),
                reason="cancelled_by_owner",
                source_ip=None,
            )
        agent = self._agents.get(step.actor)
        operation = None if agent is None or agent.stopped else self._prepare(step, agent)
        if operation is None and step.order < len(self._intents):
            self.skipped[Kind(step.kind).name.lower()] += 1
        return operation

    def settle(self, step: Step, operation: Operation, answer: Answer | OAuthError) -> Iterable[Step]:
        """Take an answer in and say what follows from it."""
        if step.kind in (_ATTACK, _ATTACK_OUTCOME):
            return self._settle_attack(step, operation, answer)
        if isinstance(answer, Registration):
            client = Client(answer.client_id, answer.client_secret)
            self._agents[step.actor] = _Agent(client, answer.registration_token)
            return ()
        agent = self._agents.get(step.actor)
        if agent is None:
            return ()
        match operation:
            case Issue() | IssueChild():
                return self._settle_grant(step, agent, operation, answer)
            case Refresh():
                return self._settle_refresh(step, agent, answer)
            case Verify():
                return self._settle_call(step, agent, answer)
            case Revoke(by=Client()):
                agent.stopped = True
        return ()

    def _prepare(self, step: Step, agent: _Agent) -> Operation | None:
        number = step.actor
        match step.kind:
            case Kind.CONFIRM:
                return Confirm(
                    registration_token=agent.registration_token, source_ip=self._intents.host(number)
                )
            case Kind.ISSUE:
                return self._issue(number, agent)
            case Kind.ISSUE_CHILD:
                return self._issue_child(step, agent)
        if agent.access_token is None:
            return None
        match step.kind:
            case Kind.VERIFY:
                if self._refreshes_now(step, agent):
                    return self._refresh(number, agent)
                return self._verify(number, agent.access_token, step.ref)
            case Kind.EXECUTION:
                return self._execution(agent, agent.access_token, step.ref)
            case Kind.INTROSPECT:
                return Introspect(
                    token=agent.access_token, include_task_history=True, caller=self._resource(step.ref)
                )
            case Kind.REVOKE:
                return Revoke(
                    by=agent.client,
                    token=agent.access_token,
                    reason="completed",
                    source_ip=self._intents.host(number),
                )
        return self._refresh(number, agent)

    def _refreshes_now(self, step: Step, agent: _Agent) -> bool:
        """Whether a careful agent refreshes before this call. Retried calls are not put off again."""
        return (
            step.order < len(self._intents)
            and agent.refresh_token is not None
            and bool(self._intents.plans.proactive[step.actor])
            and step.time >= agent.expires_at - self._margin
        )

    # Operations.

    def _register(self, number: int) -> Register:
        intents = self._intents
        tools, resources = intents.registered(number)
        role = intents.role(number)
        return Register(
            by=self._admin,
            agent_name=intents.agent_name(number),
            description=intents.population.catalogue.settings[int(intents.population.role[number])].summary,
            allowed_tools=tools,
            resource_access=resources,
            max_scope_level=intents.registered_level(number),
            role=role,
        )

    def _issue(self, number: int, agent: _Agent) -> Issue:
        intents = self._intents
        tools, resources = intents.asked(number)
        return Issue(
            by=agent.client,
            task_id=intents.task_id(number),
            task_description=intents.task_description(number),
            scope=self._scope(tools, resources),
            required_tools=tools,
            required_resources=resources,
            scope_level=intents.level(number),
            source_ip=intents.host(number),
        )

    def _issue_child(self, step: Step, agent: _Agent) -> IssueChild | None:
        intents, number = self._intents, step.actor
        parent_number = int(intents.population.parent[number])
        parent = self._agents.get(parent_number)
        parent_token = None if parent is None else parent.token_at(step.time)
        if parent_token is None:
            return None
        ask = Ask.NEED if agent.attempts else Ask(int(intents.plans.ask[number]))
        tools, resources = intents.needed(number) if ask == Ask.NEED else intents.asked(number)
        everything = ask == Ask.ALL
        return IssueChild(
            by=agent.client,
            parent_token=parent_token,
            parent_task_id=intents.task_id(parent_number),
            task_id=intents.task_id(number),
            task_description=intents.task_description(number),
            scope=None if everything else self._scope(tools, resources),
            required_tools=None if everything else tools,
            required_resources=None if everything else resources,
            scope_level=intents.level(number),
            scope_inheritance="full" if everything else "restricted",
            source_ip=intents.host(number),
        )

    def _refresh(self, number: int, agent: _Agent) -> Refresh | None:
        if agent.refresh_token is None:
            return None
        return Refresh(
            by=agent.client, refresh_token=agent.refresh_token, source_ip=self._intents.host(number)
        )

    def _verify(self, number: int, token: str, call: int) -> Verify:
        catalogue = self._intents.population.catalogue
        host = self._intents.host(number, call)
        return Verify(
            token=token,
            task_id=self._intents.task_id(number),
            required_tools=(catalogue.tools[self._call.tool[call]],),
            required_resources=(self._resource(call),),
            caller=f"host-{host}",
            source_ip=host,
        )

    def _execution(self, agent: _Agent, token: str, call: int) -> RecordExecution | None:
        """How a call went, once, if it was let through."""
        if agent.open_call != call:
            return None
        agent.open_call = -1
        tool = self._intents.population.catalogue.tools[self._call.tool[call]]
        return self._report(token, tool, self._resource(call), call)

    def _report(self, token: str, tool: str, resource: str, call: int) -> RecordExecution:
        """How a call went: as the drawn call of this number did."""
        calls = self._call
        return RecordExecution(
            token=token,
            tool=tool,
            resource=resource,
            outcome="error" if calls.error[call] else "success",
            duration_us=int(calls.duration[call]),
            args_digest=calls.args_digest(call),
            n_args=int(calls.n_args[call]),
            arg_chars=int(calls.arg_chars[call]),
            result_chars=int(calls.result_chars[call]),
        )

    def _resource(self, call: int) -> str:
        name: str = self._intents.population.catalogue.resources[self._call.resource[call]]
        return name

    def _scope_of(self, tools: tuple[str, ...], resources: tuple[str, ...]) -> str:
        """Each tool with those of the resources that it works on."""
        catalogue = self._intents.population.catalogue
        scope = []
        for tool in tools:
            works_on = catalogue.resource_names(int(catalogue.tool_resources[catalogue.tools.index(tool)]))
            scope += [f"{tool}:{resource}" for resource in resources if resource in works_on]
        return " ".join(scope)

    # Reactions.

    def _settle_grant(
        self, step: Step, agent: _Agent, operation: Issue | IssueChild, answer: Answer | OAuthError
    ) -> Iterable[Step]:
        agent.attempts += 1
        if isinstance(answer, TokenGrant):
            self._hold(agent, answer, step.time)
            return self._again(step, Kind.VERIFY) if step.ref >= 0 else ()
        assert isinstance(answer, OAuthError)
        if agent.attempts >= _ATTEMPTS:
            agent.stopped = True
        elif answer.reason == "parent_expired":
            # The child asks its parent to refresh, and comes back.
            parent = int(self._intents.population.parent[step.actor])
            refresh = Step(step.time + _REACTION, next(self._orders), parent, -1, _REFRESH)
            again = Step(
                step.time + 3 * _REACTION, next(self._orders), step.actor, parent, step.kind, step.ref
            )
            return (refresh, again)
        elif answer.error == "invalid_scope":
            return self._again(step, step.kind)
        else:
            agent.stopped = True
        return ()

    def _settle_refresh(self, step: Step, agent: _Agent, answer: Answer | OAuthError) -> Iterable[Step]:
        if isinstance(answer, TokenGrant):
            self._hold(agent, answer, step.time)
            return self._again(step, Kind.VERIFY) if step.ref >= 0 else ()
        # The grant has ended: ask for a new one, where that is still to be had.
        agent.access_token = agent.refresh_token = None
        if agent.attempts >= _ATTEMPTS:
            agent.stopped = True
            return ()
        child = self._intents.population.parent[step.actor] >= 0
        kind = Kind.ISSUE_CHILD if child else Kind.ISSUE
        return self._again(step, kind)

    def _settle_call(self, step: Step, agent: _Agent, answer: Answer | OAuthError) -> Iterable[Step]:
        assert isinstance(answer, Verification)
        if answer.is_valid:
            agent.open_call = step.ref
            if step.order >= len(self._intents):
                # A retried call may come after the moment at which its outcome was to be reported.
                done = step.time + int(self._call.duration[step.ref])
                return (Step(done, next(self._orders), step.actor, -1, Kind.EXECUTION, step.ref),)
            return ()
        assert answer.error is not None
        if answer.error.error != "invalid_token" or step.order >= len(self._intents):
            return ()
        if agent.refresh_token is None:
            agent.stopped = True
            return ()
        return self._again(step, _REFRESH)

    def _again(self, step: Step, kind: int) -> tuple[Step]:
        parent = int(self._intents.population.parent[step.actor]) if kind == Kind.ISSUE_CHILD else -1
        return (Step(step.time + _REACTION, next(self._orders), step.actor, parent, kind, step.ref),)

    @staticmethod
    def _hold(agent: _Agent, grant: TokenGrant, now: int) -> None:
        agent.earlier_token, agent.held_since = agent.access_token, now
        agent.access_token, agent.refresh_token = grant.access_token, grant.refresh_token
        agent.expires_at = grant.expires_at

    # Attackers.

    def _attack(self, step: Step) -> Operation | None:
        instance = self._instances[step.ref]
        agent = self._agents.get(instance.victim)
        token = None if agent is None else agent.token_at(step.time)
        if agent is None or token is None:
            return None
        return instance.attacker.act(self._victim(instance.victim, agent, token))

    def _settle_attack(self, step: Step, operation: Operation, answer: Answer | OAuthError) -> Iterable[Step]:
        instance = self._instances[step.ref]
        attacker = instance.attacker
        assert answer.log_id is not None
        self.attacks.append(AttackRecord(answer.log_id, attacker.kind, instance.attack_id, attacker.stealth))
        if step.kind == _ATTACK_OUTCOME:
            return
        if isinstance(operation, Verify) and isinstance(answer, Verification) and answer.is_valid:
            yield self._outcome(step, operation, attacker.rng)
        if attacker.observe(answer):
            pause = attacker.pause(self._intents.gap(instance.victim))
            yield step._replace(time=step.time + pause, order=next(self._orders))

    def _outcome(self, step: Step, call: Verify, rng: np.random.Generator) -> Step:
        """The report of an attacker's call: it goes as some honest call went, or its absence would betray it."""
        model = int(rng.integers(len(self._call)))
        done = step._replace(
            time=step.time + int(self._call.duration[model]), order=next(self._orders), kind=_ATTACK_OUTCOME
        )
        outcome = self._report(call.token, call.required_tools[0], call.required_resources[0], model)
        outcome.args_digest = rng.bytes(6).hex()
        self._outcomes[done.order] = outcome
        return done

    def _victim(self, number: int, agent: _Agent, token: str) -> Victim:
        intents = self._intents
        host = intents.host(number)
        return Victim(
            client=agent.client,
            access_token=token,
            refresh_token=agent.refresh_token,
            task_id=intents.task_id(number),
            tools=intents.granted_work(number),
            unusual=intents.unusual_work(number),
            caller=f"host-{host}",
            source_ip=host,
        )


def _cast(scenario: Scenario, tenant: int, intents: Intents) -> tuple[list[_Instance], list[Step]]:
    """Draw attackers and their victims: one agent of each attacked tree, at some moment of its work."""
    population, plans = intents.population, intents.plans
    roots = population.roots
    sizes = np.diff(np.append(roots, len(population)))
    streams = generator(scenario.seed, STREAM.ATTACKS, tenant).spawn(len(scenario.attacks))
    instances: list[_Instance] = []
    wakes: list[tuple[int, int]] = []
    for settings, rng in zip(scenario.attacks, streams, strict=True):
        attacked = np.flatnonzero(rng.random(len(roots)) < settings.prevalence)
        victims = roots[attacked] + (rng.random(len(attacked)) * sizes[attacked]).astype(np.int64)
        begun = plans.issued[victims] + SECOND
        moments = begun + (rng.random(len(attacked)) * 0.7 * (plans.ended[victims] - begun)).astype(np.int64)
        moments = np.maximum(moments, scenario.start_us + settings.start)
        seeds = rng.spawn(len(attacked))
        for victim, moment, own in zip(victims.tolist(), moments.tolist(), seeds, strict=True):
            if moment < min(plans.ended[victim], intents.time[-1]):
                wakes.append((moment, len(instances)))
                attacker = ATTACKERS[settings.kind](settings.stealth, own)
                instances.append(_Instance(attacker, victim, len(instances)))
    steps = [
        Step(moment, len(intents) + place, len(population) + place, instances[place].victim, _ATTACK, place)
        for moment, place in wakes
    ]
    return instances, sorted(steps)
