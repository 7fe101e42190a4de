"""The attackers of one tenant at work: who is attacked when, what they do, and the record that labels are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from agentsim.server import OAuthError, Operation, RecordExecution, Verification, Verify
from agentsim.server.answers import Answer
from agentsim.server.clock import SECOND
from agentsim.simulation.attacks import ATTACKERS, Attacker, Victim
from agentsim.simulation.holder import Holder
from agentsim.simulation.intents import Intents
from agentsim.simulation.requests import Requests
from agentsim.simulation.rounds import Step
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.streams import STREAM, generator

#: A victim is attacked in the first part of its work: there must be something left to attack.
_LATEST = 0.7


class AttackStep(IntEnum):
    """What attackers do, beside the kinds of honest intents."""

    ACT = 101  #: an operation of the attacker's choice
    OUTCOME = 102  #: how its call went, reported by whoever received it


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


class Adversaries:
    """Plays the attackers of a tenant. Actors: numbers after those of the agents.

    Parameters
    ----------
    holders : what each agent holds at the moment, by number; the victims are among them.
    orders : numbers for steps, not used by anybody else.
    """

    def __init__(
        self,
        scenario: Scenario,
        tenant: int,
        intents: Intents,
        requests: Requests,
        holders: dict[int, Holder],
        orders: Iterator[int],
    ) -> None:
        self._intents = intents
        self._requests = requests
        self._holders = holders
        self._orders = orders
        self._instances: list[_Instance] = []
        #: Outcomes that calls will report, by the order of their step.
        self._outcomes: dict[int, RecordExecution] = {}
        #: The first step of each attacker, in order of time.
        self.wakes = sorted(self._cast(scenario, tenant))
        #: Agents whose credentials somebody else uses.
        self.victims = frozenset(instance.victim for instance in self._instances)
        #: Operations so far, in the order of their answers.
        self.records: list[AttackRecord] = []

    @property
    def actors(self) -> int:
        """The first number that is no agent's and no attacker's."""
        return len(self._intents.population) + len(self._instances)

    def prepare(self, step: Step) -> Operation | None:
        """The operation of a step; None where the victim has nothing that could be stolen."""
        if step.kind == AttackStep.OUTCOME:
            return self._outcomes.pop(step.order)
        instance = self._instances[step.ref]
        holder = self._holders.get(instance.victim)
        token = None if holder is None else holder.token_at(step.time)
        if holder is None or token is None:
            return None
        return instance.attacker.act(self._victim(instance.victim, holder, token))

    def settle(self, step: Step, operation: Operation, answer: Answer | OAuthError) -> Iterable[Step]:
        """Take an answer in: the outcome of a call that was let through, and what the attacker does next."""
        instance = self._instances[step.ref]
        attacker = instance.attacker
        # A call on which a resource server decided alone has no row.
        if answer.log_id:
            record = AttackRecord(answer.log_id, attacker.kind, instance.attack_id, attacker.stealth)
            self.records.append(record)
        if step.kind == AttackStep.OUTCOME:
            return
        if isinstance(operation, Verify) and isinstance(answer, Verification) and answer.is_valid:
            yield from self._outcome(step, operation, attacker.rng)
        if attacker.observe(answer):
            pause = attacker.pause(self._intents.gap(instance.victim))
            yield step._replace(time=step.time + pause, order=next(self._orders))

    def _outcome(self, step: Step, call: Verify, rng: np.random.Generator) -> Iterator[Step]:
        """The report of an attacker's call: it goes as some honest call went, or its absence would betray it."""
        calls = self._intents.calls
        model = int(rng.integers(len(calls)))
        if not calls.reported[model]:
            return
        done = step._replace(
            time=step.time + int(calls.duration[model]), order=next(self._orders), kind=AttackStep.OUTCOME
        )
        tool, resource = call.required_tools[0], call.required_resources[0]
        outcome = self._requests.outcome_like(call.token, tool, resource, model)
        outcome.args_digest = rng.bytes(6).hex()
        self._outcomes[done.order] = outcome
        yield done

    def _victim(self, number: int, holder: Holder, token: str) -> Victim:
        intents = self._intents
        host = intents.host(number)
        return Victim(
            client=holder.client,
            access_token=token,
            refresh_token=holder.refresh_token,
            task_id=intents.task_id(number),
            tools=intents.granted_work(number),
            unusual=intents.unusual_work(number),
            caller=f"host-{host}",
            source_ip=host,
        )

    def _cast(self, scenario: Scenario, tenant: int) -> Iterator[Step]:
        """Draw attackers and their victims: one agent of each attacked tree, at some moment of its work."""
        population, plans = self._intents.population, self._intents.plans
        roots = population.roots
        sizes = np.diff(np.append(roots, len(population)))
        last_intent = self._intents.time[-1]
        streams = generator(scenario.seed, STREAM.ATTACKS, tenant).spawn(len(scenario.attacks))
        for settings, rng in zip(scenario.attacks, streams, strict=True):
            attacked = np.flatnonzero(rng.random(len(roots)) < settings.prevalence)
            victims = roots[attacked] + (rng.random(len(attacked)) * sizes[attacked]).astype(np.int64)
            begun = plans.issued[victims] + SECOND
            working = plans.ended[victims] - begun
            moments = begun + (rng.random(len(attacked)) * _LATEST * working).astype(np.int64)
            moments = np.maximum(moments, scenario.start_us + settings.start)
            seeds = rng.spawn(len(attacked))
            for victim, moment, own in zip(victims.tolist(), moments.tolist(), seeds, strict=True):
                if moment < min(plans.ended[victim], last_intent):
                    place = len(self._instances)
                    attacker = ATTACKERS[settings.kind](settings.stealth, own)
                    self._instances.append(_Instance(attacker, victim, place))
                    actor = len(population) + place
                    yield Step(moment, next(self._orders), actor, victim, AttackStep.ACT, place)
