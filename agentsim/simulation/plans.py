"""What each agent sets out to do: its task, what it asks for, when it begins and when it is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from agentsim.server.clock import SECOND
from agentsim.simulation.calls import Calls, make_calls
from agentsim.simulation.catalogue import Masks
from agentsim.simulation.population import Population
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.streams import STREAM, generator

Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
#: How many agents share a host on average, and the most hosts that a tenant's addresses have room for.
_AGENTS_PER_HOST, _MOST_HOSTS = 100, 65_536
#: Time that belongs to the registration of the first trees, before the first of them starts.
LEAD = 60 * SECOND


class Ask(IntEnum):
    """How much an agent asks for."""

    NEED = 0  #: what the task and those below it need
    ALL = 1  #: all that it may have: its registration for a root, ``scope_inheritance: full`` for a child
    TOO_MUCH = 2  #: a child asks for its whole registration, and for NEED once that has been refused


@dataclass(frozen=True, slots=True)
class Plans:
    """One entry per agent of a tenant in every array."""

    population: Population
    #: Kind of task, a place in ``catalogue.kind_text``.
    kind: npt.NDArray[np.int16]
    #: An :class:`Ask`.
    ask: npt.NDArray[np.int8]
    #: What the agent and all below it need, as masks: contained in what its parent needs.
    need_tools: Masks
    need_resources: Masks
    #: What it will hold if all goes as planned: never more than its parent holds.
    tools: Masks
    resources: Masks
    #: Scope level that it asks for, a place in ``catalogue.levels``: never above its parent's.
    level: npt.NDArray[np.int8]
    #: Whether it refreshes before its access token expires; others do once it has been refused.
    proactive: Flags
    #: Number of the host that it starts on, and the one it goes on from after ``moves_at`` calls.
    host: npt.NDArray[np.uint16]
    next_host: npt.NDArray[np.uint16]
    moves_at: npt.NDArray[np.int32]
    #: Absolute microseconds: registration, its confirmation, the request for the grant, and the end of the work.
    registered: Longs
    confirmed: Longs
    issued: Longs
    ended: Longs
    #: Whether its tree begins at all; agents of one that does not are registered and confirmed, and that is all.
    begun: Flags
    #: Whether it revokes its grant at the end, and when its owner cancels the task (0: never).
    revokes: Flags
    cancelled: Longs


def make_plans(scenario: Scenario, population: Population) -> tuple[Plans, Calls]:
    """Draw what every agent of a tenant is to do, and its calls."""
    catalogue, role, size = population.catalogue, population.role, len(population)
    tasks = generator(scenario.seed, STREAM.TASKS, population.tenant)
    kind = catalogue.kinds.draw(role, tasks.random(size)).astype(np.int16)
    ask = _asks(population, tasks.random(size))
    proactive = tasks.random(size) < catalogue.setting("proactive")[role]
    calls = make_calls(scenario.seed, population, kind)
    issued = _delegated(population, calls, tasks)
    endings = generator(scenario.seed, STREAM.ENDINGS, population.tenant)
    ended = _end(population, calls, issued, endings)
    begin, begun = _scheduled(scenario, population, ended)
    issued, ended = issued + begin, ended + begin
    registered = issued - (5 * SECOND + tasks.random(size) * (LEAD - 10 * SECOND)).astype(np.int64)
    need_tools = _gather(population, catalogue.kind_tools[kind])
    need_resources = _gather(population, catalogue.kind_resources[kind])
    tools, resources = _held(population, ask, need_tools, need_resources)
    host, next_host, moves_at = _hosts(population, np.diff(calls.first), scenario.seed)
    plans = Plans(
        population=population,
        kind=kind,
        ask=ask,
        need_tools=need_tools,
        need_resources=need_resources,
        tools=tools,
        resources=resources,
        level=_levels(population),
        proactive=proactive,
        host=host,
        next_host=next_host,
        moves_at=moves_at,
        registered=registered,
        confirmed=registered + ((issued - registered) * (0.1 + 0.8 * tasks.random(size))).astype(np.int64),
        issued=issued,
        ended=ended,
        begun=begun,
        revokes=endings.random(size) < catalogue.setting("revokes")[role],
        cancelled=_cancellations(population, issued, ended, endings),
    )
    return plans, calls


def _asks(population: Population, uniform: npt.NDArray[np.float64]) -> npt.NDArray[np.int8]:
    catalogue, role = population.catalogue, population.role
    careless = np.where(population.depth > 0, catalogue.setting("careless")[role], 0.0)
    broad = catalogue.setting("broad")[role]
    return np.select(
        [uniform < careless, uniform < careless + broad], [Ask.TOO_MUCH, Ask.ALL], Ask.NEED
    ).astype(np.int8)


def _delegated(population: Population, calls: Calls, rng: np.random.Generator) -> Longs:
    """When each agent asks for its grant, since its root did: some way through its parent's own work."""
    size, parent = len(population), population.parent
    issued = np.zeros(size, np.int64)
    into = (rng.random(size) * _own_time(calls)[parent]).astype(np.int64) + SECOND
    for children in list(population.levels())[1:]:
        issued[children] = issued[parent[children]] + into[children]
    return issued


def _on_time(population: Population, arrived: Longs) -> Longs:
    """When roots start that arrived then: some roles wait for a full hour, say, and start within its first second."""
    every = [role.every or 0 for role in population.catalogue.settings]
    waits = np.array(every, np.int64)[population.role[population.roots]]
    ahead = np.where(waits > 0, -arrived % np.maximum(waits, 1) + arrived % SECOND, 0)
    return np.asarray(arrived + ahead, np.int64)


def _own_time(calls: Calls) -> Longs:
    """Microseconds from each agent's grant to the result of its last call."""
    last = calls.first[1:] - 1
    return calls.offset[last] + calls.duration[last]


def _scheduled(scenario: Scenario, population: Population, ended: Longs) -> tuple[Longs, Flags]:
    """When each agent's tree begins, and whether it does; ``ended`` is when the agent is done, since then."""
    lengths = np.zeros(len(population.roots), np.int64)
    np.maximum.at(lengths, population.tree, ended)
    arrivals = generator(scenario.seed, STREAM.ARRIVALS, population.tenant)
    begin, begun = scenario.workload.schedule(lengths, population.tenant, scenario.tenant_agents(), arrivals)
    begin = _on_time(population, scenario.start_us + LEAD + begin)
    return begin[population.tree], begun[population.tree]


def _end(population: Population, calls: Calls, issued: Longs, rng: np.random.Generator) -> Longs:
    """When each agent is done, since its root began: after its last call, and mostly not before its children are."""
    size, parent, catalogue = len(population), population.parent, population.catalogue
    waits = rng.random(size) < catalogue.setting("waits")[population.role]
    closing = (rng.exponential(size=size) * SECOND).astype(np.int64) + SECOND // 10
    ended = issued + _own_time(calls) + closing
    for children in list(population.levels())[:0:-1]:
        awaited = children[waits[parent[children]]]
        np.maximum.at(ended, parent[awaited], ended[awaited] + closing[parent[awaited]])
    return ended


def _cancellations(population: Population, issued: Longs, ended: Longs, rng: np.random.Generator) -> Longs:
    """When the owner cancels a root's task, somewhere in its middle; 0 where that never happens."""
    draws = rng.random((2, len(population)))
    hit = (draws[0] < population.catalogue.setting("cancelled")[population.role]) & (population.depth == 0)
    when = issued + ((ended - issued) * (0.1 + 0.8 * draws[1])).astype(np.int64)
    return np.where(hit, when, 0)


def _gather(population: Population, own: Masks) -> Masks:
    """Each agent's own mask together with those of all below it."""
    needed = own.copy()
    for children in list(population.levels())[:0:-1]:
        np.bitwise_or.at(needed, population.parent[children], needed[children])
    return needed


def _held(
    population: Population, ask: npt.NDArray[np.int8], need_tools: Masks, need_resources: Masks
) -> tuple[Masks, Masks]:
    """What each agent's grant will hold, root first."""
    catalogue, role, parent = population.catalogue, population.role, population.parent
    all_tools, all_resources = catalogue.role_tools[role], catalogue.role_resources[role]
    tools = np.where(ask == Ask.NEED, need_tools, all_tools)
    resources = np.where(ask == Ask.NEED, need_resources, all_resources)
    for children in list(population.levels())[1:]:
        above_tools, above_resources = tools[parent[children]], resources[parent[children]]
        bounded = ask[children] == Ask.ALL
        tools[children] &= np.where(bounded, above_tools, tools[children])
        resources[children] &= np.where(bounded, above_resources, resources[children])
        refused = (tools[children] & ~above_tools) | (resources[children] & ~above_resources)
        tools[children] = np.where(refused > 0, need_tools[children], tools[children])
        resources[children] = np.where(refused > 0, need_resources[children], resources[children])
    return tools, resources


def _levels(population: Population) -> npt.NDArray[np.int8]:
    """Each role's level, lowered to the parent's where that is lower."""
    level = population.catalogue.role_level[population.role]
    for children in list(population.levels())[1:]:
        level[children] = np.minimum(level[children], level[population.parent[children]])
    return level.astype(np.int8)


def _hosts(
    population: Population, calls: Longs, seed: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.uint16], npt.NDArray[np.int32]]:
    """The host of each agent, the one that it may move to, and after how many calls (never: all of them)."""
    rng = generator(seed, STREAM.PLACES, population.tenant)
    size = len(population)
    hosts = min(max(4, size // _AGENTS_PER_HOST), _MOST_HOSTS)
    places = rng.integers(hosts, size=(2, size)).astype(np.uint16)
    draws = rng.random((2, size))
    moves = draws[0] < population.catalogue.setting("moves")[population.role]
    return places[0], places[1], np.where(moves, draws[1] * calls, calls).astype(np.int32)
