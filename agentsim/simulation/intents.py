"""What honest agents intend: every event of one tenant, in order of time, as flat arrays.

An intent says who wants what when; what becomes of it is the server's decision and the engine's reaction. An agent
whose access token has run out refreshes as its plan says, one whose grant has ended asks for another, or stops. Intents depend on the
scenario's seed, population, roles and workload alone: attacks and policy change none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from agentsim.simulation.calls import Calls
from agentsim.simulation.plans import Ask, Plans, make_plans
from agentsim.simulation.population import Population, make_population
from agentsim.simulation.scenario import Scenario

Longs = npt.NDArray[np.int64]
#: How soon after a call its receiver introspects the token, microseconds.
_INTROSPECTION_DELAY = 2_000


class Kind(IntEnum):
    """What is intended. The numbers order what one agent does."""

    REGISTER = 0  #: the owner registers the agent
    CONFIRM = 1  #: the agent redeems its registration token
    ISSUE = 2  #: a root asks for its grant
    ISSUE_CHILD = 3  #: a child asks for its grant below its parent's
    VERIFY = 4  #: a tool call: the receiver asks whether the token may be used for it
    INTROSPECT = 5  #: the receiver of a call looks the token up
    EXECUTION = 6  #: the call's result is reported; not if the call was refused, nor by every receiver
    REVOKE = 7  #: the agent ends its own grant, done with its task
    CANCEL = 8  #: the owner ends the task of a root, and all below


@dataclass(frozen=True, slots=True)
class Intents:
    """Every intended event of one tenant, sorted by (time, agent, ordinal)."""

    population: Population
    plans: Plans
    calls: Calls
    #: Absolute microseconds.
    time: Longs
    agent: npt.NDArray[np.int32]
    #: Tells an agent's events apart: with the agent, the name of the intent.
    ordinal: npt.NDArray[np.int32]
    #: A :class:`Kind`.
    kind: npt.NDArray[np.uint8]
    #: Number of the call that a VERIFY, INTROSPECT or EXECUTION is about; -1 elsewhere.
    call: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.time)

    def windows(self, start: int, window: int) -> Iterator[slice]:
        """The events of each window of ``window`` microseconds from ``start`` on, up to the last event's."""
        count = int(self.time[-1] - start) // window + 1
        edges = np.searchsorted(self.time, start + np.arange(count + 1) * window, side="left")
        for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            yield slice(first, last)

    def asked(self, agent: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tools and resources that an agent asks for at first."""
        catalogue, plans, role = self.population.catalogue, self.plans, self._role(agent)
        if plans.ask[agent] == Ask.NEED:
            return self.needed(agent)
        return catalogue.tool_names(catalogue.role_tools[role]), catalogue.resource_names(
            catalogue.role_resources[role]
        )

    def needed(self, agent: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tools and resources that an agent asks for once more has been refused."""
        catalogue, plans = self.population.catalogue, self.plans
        return catalogue.tool_names(plans.need_tools[agent]), catalogue.resource_names(
            plans.need_resources[agent]
        )

    def registered(self, agent: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Tools and resources that an agent registers for."""
        catalogue, role = self.population.catalogue, self._role(agent)
        return catalogue.tool_names(catalogue.role_tools[role]), catalogue.resource_names(
            catalogue.role_resources[role]
        )

    def granted_work(self, agent: int) -> dict[str, tuple[str, ...]]:
        """Tools that an agent's grant will hold, each with the resources among them that it works on."""
        catalogue, plans = self.population.catalogue, self.plans
        found = {}
        for tool in catalogue.tool_names(plans.tools[agent]):
            mask = catalogue.tool_resources[catalogue.tools.index(tool)] & plans.resources[agent]
            if mask:
                found[tool] = catalogue.resource_names(mask)
        return found

    def own_work(self, agent: int) -> dict[str, tuple[str, ...]]:
        """Tools that an agent's own task calls, each with its resources."""
        catalogue, kind = self.population.catalogue, int(self.plans.kind[agent])
        return {
            tool: catalogue.works_on(kind, code)
            for code, tool in enumerate(catalogue.tools)
            if catalogue.works_on(kind, code)
        }

    def unusual_work(self, agent: int) -> dict[str, tuple[str, ...]]:
        """What an agent's grant holds and its own task does not call: room for a hijacked task."""
        own = self.own_work(agent)
        rest = {
            tool: tuple(name for name in resources if name not in own.get(tool, ()))
            for tool, resources in self.granted_work(agent).items()
        }
        return {tool: resources for tool, resources in rest.items() if resources}

    def host(self, agent: int, call: int = -1) -> str:
        """Address of the host that an agent is on, at the beginning or at one of its calls."""
        plans = self.plans
        moved = call >= 0 and call - self.calls.first[agent] >= plans.moves_at[agent]
        return self.address(int(plans.next_host[agent] if moved else plans.host[agent]))

    def address(self, host: int) -> str:
        """Address of a host of the tenant."""
        return f"10.{self.population.tenant % 256}.{host >> 8}.{host & 255}"

    def agent_name(self, agent: int) -> str:
        """A name that says the role and tells agents apart, for example ``code_reviewer-0000017``."""
        return f"{self.role(agent)}-{agent:07d}"

    def role(self, agent: int) -> str:
        """Name of the agent's role."""
        return self.population.catalogue.roles[self._role(agent)]

    def _role(self, agent: int) -> int:
        return int(self.population.role[agent])

    def level(self, agent: int) -> str:
        """The scope level that the agent asks for."""
        return self.population.catalogue.levels[int(self.plans.level[agent])]

    def registered_level(self, agent: int) -> str:
        """The scope level that the agent registers for."""
        catalogue = self.population.catalogue
        return catalogue.levels[int(catalogue.role_level[self._role(agent)])]

    def gap(self, agent: int) -> int:
        """Mean microseconds between two calls of the agent's role."""
        return self.population.catalogue.settings[self._role(agent)].gap

    def principal(self, agent: int) -> str | None:
        """The person for whom a root acts; None for the organisation."""
        personal = self.population.catalogue.settings[self._role(agent)].personal
        return f"person-{self.population.tree[agent]:07d}" if personal else None

    def task_id(self, agent: int) -> str:
        """Name of the agent's task, unique within the tenant."""
        return f"task-{agent:07d}"

    def task_description(self, agent: int) -> str:
        """Text of the agent's task; agents of one tree work on the same case."""
        text = self.population.catalogue.kind_text[int(self.plans.kind[agent])]
        # An odd factor permutes the numbers, so that neighbouring trees do not have neighbouring cases.
        case = 1000 + int(self.population.tree[agent]) * 7919 % 9000
        return text.replace("{n}", str(case))


def make_intents(scenario: Scenario, tenant: int) -> Intents:
    """Draw everything that the honest agents of one tenant intend."""
    population = make_population(scenario, tenant)
    plans, calls = make_plans(scenario, population)
    per_call = 1 + calls.introspected.astype(np.int64) + calls.reported
    # An agent's events stand together: three to begin with, those of its calls, and perhaps two to end with.
    before_call = np.concatenate([[0], np.cumsum(per_call)])
    cancels = plans.cancelled > 0
    per_agent = 3 + np.diff(before_call[calls.first]) + plans.revokes + cancels
    begin = np.concatenate([[0], np.cumsum(per_agent)])
    table = _Table(int(begin[-1]))
    agents = np.arange(len(population), dtype=np.int32)
    table.put(begin[:-1], plans.registered, agents, 0, Kind.REGISTER)
    table.put(begin[:-1] + 1, plans.confirmed, agents, 1, Kind.CONFIRM)
    issue = np.where(population.depth == 0, Kind.ISSUE, Kind.ISSUE_CHILD)
    table.put(begin[:-1] + 2, plans.issued, agents, 2, issue)
    _put_calls(table, plans, calls, begin[:-1] + 3 - before_call[calls.first[:-1]], before_call)
    last = 3 + 3 * np.diff(calls.first)
    done, stopped = np.flatnonzero(plans.revokes), np.flatnonzero(cancels)
    table.put((begin[1:] - 1 - cancels)[done], plans.ended[done], agents[done], last[done], Kind.REVOKE)
    table.put(
        begin[1:][stopped] - 1, plans.cancelled[stopped], agents[stopped], last[stopped] + 1, Kind.CANCEL
    )
    return table.sorted(population, plans, calls)


def _put_calls(table: _Table, plans: Plans, calls: Calls, shift: Longs, before_call: Longs) -> None:
    """Put the events of all calls; ``shift`` leads from a count of call events to the place in the table."""
    agent, numbers = calls.agent, np.arange(len(calls), dtype=np.int32)
    place = before_call[:-1] + shift[agent]
    time = plans.issued[agent] + calls.offset
    ordinal = (3 + 3 * (numbers - calls.first[agent])).astype(np.int32)
    table.put(place, time, agent, ordinal, Kind.VERIFY, numbers)
    asked, reported = np.flatnonzero(calls.introspected), np.flatnonzero(calls.reported)
    table.put(
        (place + 1 + calls.introspected)[reported],
        (time + calls.duration)[reported],
        agent[reported],
        (ordinal + 2)[reported],
        Kind.EXECUTION,
        numbers[reported],
    )
    delay = np.minimum(_INTROSPECTION_DELAY, calls.duration[asked])
    table.put(
        place[asked] + 1,
        time[asked] + delay,
        agent[asked],
        ordinal[asked] + 1,
        Kind.INTROSPECT,
        numbers[asked],
    )


class _Table:
    """The columns of :class:`Intents` while they are being filled, in order of agent and ordinal."""

    def __init__(self, size: int) -> None:
        self.time = np.zeros(size, np.int64)
        self.agent = np.zeros(size, np.int32)
        self.ordinal = np.zeros(size, np.int32)
        self.kind = np.zeros(size, np.uint8)
        self.call = np.full(size, -1, np.int32)

    def put(
        self,
        place: Longs,
        time: Longs,
        agent: npt.NDArray[np.int32],
        ordinal: npt.NDArray[np.integer] | int,
        kind: npt.NDArray[np.integer] | int,
        call: npt.NDArray[np.int32] | int = -1,
    ) -> None:
        self.time[place], self.agent[place], self.ordinal[place] = time, agent, ordinal
        self.kind[place], self.call[place] = kind, call

    def _keep(self, wanted: npt.NDArray[np.bool_]) -> None:
        self.time, self.agent, self.ordinal = self.time[wanted], self.agent[wanted], self.ordinal[wanted]
        self.kind, self.call = self.kind[wanted], self.call[wanted]

    def sorted(self, population: Population, plans: Plans, calls: Calls) -> Intents:
        if not plans.begun.all():
            self._keep(plans.begun[self.agent] | (self.kind <= Kind.CONFIRM))
        # Stable: events of the same microsecond stay in order of agent and ordinal.
        order = np.argsort(self.time, kind="stable")
        columns = (getattr(self, name)[order] for name in ("time", "agent", "ordinal", "kind", "call"))
        return Intents(population, plans, calls, *columns)
