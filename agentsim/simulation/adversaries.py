"""The attackers of one tenant at work: who is attacked when, what they do, and the record that labels are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from agentsim.server import OAuthError, Operation, RecordExecution, Verification, Verify
from agentsim.server.answers import Answer
from agentsim.simulation.attacks import Agents, Attacker, Victim, find_attacker
from agentsim.simulation.holder import Holder
from agentsim.simulation.insight import Insight, all_agents
from agentsim.simulation.intents import Intents
from agentsim.simulation.requests import Requests
from agentsim.simulation.rounds import Step
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.streams import STREAM, generator


class AttackStep(IntEnum):
    """What attackers do, beside the kinds of honest intents."""

    ACT = 101  #: an operation of the attacker's choice
    OUTCOME = 102  #: how its call went, reported by whoever received it


Longs = npt.NDArray[np.int64]


@dataclass(slots=True)
class _Instance:
    """One attacker at work on one victim."""

    attacker: Attacker
    victim: int
    attack_id: int
    #: What it knows of its victim; None before it is woken first.
    known: Victim | None = None


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
        self._insight = Insight(scenario.tenants[tenant].name, intents, holders)
        self._orders = orders
        self._last_intent = int(intents.time[-1])
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
        victim = self._meet(instance, step.time)
        return None if victim is None else instance.attacker.act(victim)

    def settle(self, step: Step, operation: Operation, answer: Answer | OAuthError) -> Iterable[Step]:
        """Take an answer in: the outcome of a call that was let through, and what the attacker does next."""
        instance = self._instances[step.ref]
        attacker = instance.attacker
        # A call on which a resource server decided alone has no row.
        if answer.log_id and not attacker.innocent:
            record = AttackRecord(answer.log_id, attacker.kind, instance.attack_id, attacker.stealth)
            self.records.append(record)
        if step.kind == AttackStep.OUTCOME:
            return
        if isinstance(operation, Verify) and isinstance(answer, Verification) and answer.is_valid:
            yield from self._outcome(step, operation, attacker.rng)
        if attacker.observe(answer):
            following = step.time + max(1, attacker.pause(self._intents.gap(instance.victim)))
            # Who is alone in an organisation is not hidden by anything.
            if following <= self._last_intent:
                yield step._replace(time=following, order=next(self._orders))

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

    def _meet(self, instance: _Instance, moment: int) -> Victim | None:
        """What an attacker knows of its victim now; None where there is nothing that it could go on with."""
        attacker, known = instance.attacker, instance.known
        if known is not None:
            has_token = self._insight.update(known, instance.victim, moment, kin=attacker.kin)
            return known if has_token or attacker.stays else None
        instance.known = self._insight.victim(instance.victim, moment, kin=attacker.kin)
        if instance.known is not None:
            attacker.begin(instance.known)
        return instance.known

    def _cast(self, scenario: Scenario, tenant: int) -> Iterator[Step]:
        """Draw attackers and their victims: one agent of each attacked tree, at some moment of its work."""
        if not scenario.attacks:
            return
        population, agents = self._intents.population, all_agents(self._intents)
        streams = generator(scenario.seed, STREAM.ATTACKS, tenant).spawn(len(scenario.attacks))
        for settings, rng in zip(scenario.attacks, streams, strict=True):
            kind = find_attacker(settings.kind)
            victims = self._victims(kind, agents, settings.prevalence, rng)
            moments = kind.moments(agents, victims, rng.random(len(victims)))
            moments = np.maximum(moments, scenario.start_us + settings.start)
            latest = np.full(len(victims), self._last_intent)
            if not kind.stays:
                latest = np.minimum(latest, agents.ends[victims])
            seeds = rng.spawn(len(victims))
            for number in np.flatnonzero(moments < latest).tolist():
                place = len(self._instances)
                attacker = kind(settings.stealth, seeds[number])
                victim = int(victims[number])
                self._instances.append(_Instance(attacker, victim, place))
                actor = len(population) + place
                yield Step(int(moments[number]), next(self._orders), actor, victim, AttackStep.ACT, place)

    def _victims(
        self, kind: type[Attacker], agents: Agents, prevalence: float, rng: np.random.Generator
    ) -> Longs:
        """One agent of each tree that is drawn, where the tree has one that can be attacked in this way."""
        roots = self._intents.population.roots
        ends = np.append(roots[1:], len(agents.parent))
        attacked = np.flatnonzero(rng.random(len(roots)) < prevalence)
        drawn = rng.random(len(attacked))
        fit = np.flatnonzero(kind.victims(agents))
        first, last = (np.searchsorted(fit, edge[attacked]) for edge in (roots, ends))
        chosen = (first + drawn * (last - first)).astype(np.int64)
        return np.asarray(fit[chosen[last > first]], np.int64)
