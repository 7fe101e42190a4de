"""What attackers get to know: of a tenant's agents beforehand, and of their victims while these work."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from agentsim.server import Admin
from agentsim.simulation.attacks import NEVER, Agents, Victim, without
from agentsim.simulation.attacks.victims import Tools
from agentsim.simulation.holder import Holder
from agentsim.simulation.intents import Intents

#: As many hosts, and tasks of one tree, as an attacker gets to know at most.
_MOST_HOSTS, _MOST_TASKS = 256, 32


class Insight:
    """Looks at the agents of one tenant as their attackers do.

    Parameters
    ----------
    owner : the organisation.
    holders : what each agent holds at the moment, by number.
    """

    def __init__(self, owner: str, intents: Intents, holders: dict[int, Holder]) -> None:
        self._admin = Admin(owner)
        self._intents = intents
        self._holders = holders
        self._registered = lru_cache(None)(self._registered_work)
        self._known = {
            tool: intents.population.catalogue.resource_names(int(mask))
            for tool, mask in zip(
                intents.population.catalogue.tools, intents.population.catalogue.tool_resources, strict=True
            )
        }
        self._hosts = tuple(
            intents.address(number) for number in range(min(int(intents.plans.host.max()) + 1, _MOST_HOSTS))
        )

    def victim(self, number: int, moment: int, *, kin: bool) -> Victim | None:
        """What is known of an agent at a moment; None where it has nothing that could be stolen.

        Parameters
        ----------
        kin : whether its parent and children are wanted, too.
        """
        victim = self._look(number, moment)
        if victim is not None and kin:
            self._add_kin(victim, number, moment)
        return victim

    def update(self, victim: Victim, number: int, moment: int, *, kin: bool) -> bool:
        """Bring a victim's tokens, and its kin, up to a moment; whether it has a token still."""
        holder = self._holders.get(number)
        token = None if holder is None else holder.token_at(moment)
        if holder is not None and token is not None:
            victim.access_token, victim.refresh_token = token, holder.refresh_token
        self._note_calls(victim, number, moment)
        if kin:
            self._add_kin(victim, number, moment)
        return token is not None

    def _add_kin(self, victim: Victim, number: int, moment: int) -> None:
        population = self._intents.population
        parent, first = int(population.parent[number]), int(population.first_child[number])
        victim.parent = None if parent < 0 else self._look(parent, moment)
        children = (
            self._look(child, moment) for child in range(first, first + int(population.children[number]))
        )
        victim.children = [child for child in children if child is not None]

    def _look(self, number: int, moment: int) -> Victim | None:
        holder, intents = self._holders.get(number), self._intents
        token = None if holder is None else holder.token_at(moment)
        if holder is None or token is None:
            return None
        population = intents.population
        settings = population.catalogue.settings[int(population.role[number])]
        tools, registered = intents.granted_work(number), self._registered(int(population.role[number]))
        host = intents.host(number)
        victim = Victim(
            client=holder.client,
            access_token=token,
            refresh_token=holder.refresh_token,
            task_id=intents.task_id(number),
            task_description=intents.task_description(number),
            tools=tools,
            level=intents.level(number),
            work=_both(intents.own_work(number), tools) or tools,
            unusual=intents.unusual_work(number),
            beyond=without({**registered, **self._known}, tools),
            registered=registered,
            registered_level=intents.registered_level(number),
            agent_name=intents.agent_name(number),
            role=intents.role(number),
            summary=settings.summary,
            budget=settings.budget,
            steps=settings.steps,
            gap_spread=settings.gap_spread,
            habits=self._habits(int(population.role[number])),
            errands=self._errands(number),
            caller=f"host-{host}",
            source_ip=host,
            hosts=self._hosts,
            admin=self._admin,
        )
        self._note_calls(victim, number, moment)
        return victim

    def _registered_work(self, role: int) -> Tools:
        """What agents of a role register for: each tool with those of the resources that it works on."""
        catalogue = self._intents.population.catalogue
        resources = catalogue.role_resources[role]
        masks = {
            tool: int(catalogue.tool_resources[catalogue.tools.index(tool)] & resources)
            for tool in catalogue.tool_names(catalogue.role_tools[role])
        }
        return {tool: catalogue.resource_names(mask) for tool, mask in masks.items() if mask}

    def _errands(self, number: int) -> tuple[str, ...]:
        """Names of tasks of the tree that are of the same kind: they have the same description, too."""
        population, kind = self._intents.population, self._intents.plans.kind
        first, last = np.searchsorted(population.tree, [population.tree[number], population.tree[number] + 1])
        same = first + np.flatnonzero(kind[first:last] == kind[number])
        near = same[np.argsort(np.abs(same - number), kind="stable")][:_MOST_TASKS]
        return tuple(self._intents.task_id(agent) for agent in near.tolist())

    def _habits(self, role: int) -> Mapping[str, Mapping[str, float]]:
        settings = self._intents.population.catalogue.settings[role]
        return {**settings.chain, "": settings.start}

    def _note_calls(self, victim: Victim, number: int, moment: int) -> None:
        """How many calls the agent has made by then, the tool of the last, and the host that it is on."""
        calls, intents = self._intents.calls, self._intents
        first, last = int(calls.first[number]), int(calls.first[number + 1])
        since = moment - int(intents.plans.issued[number])
        victim.calls = int(np.searchsorted(calls.offset[first:last], since, side="right"))
        if victim.calls:
            victim.last_tool = intents.population.catalogue.tools[calls.tool[first + victim.calls - 1]]
            victim.source_ip = intents.host(number, first + victim.calls - 1)
            victim.caller = f"host-{victim.source_ip}"


def _both(tools: Tools, others: Tools) -> Tools:
    """What is in both."""
    return without(tools, without(tools, others))


def all_agents(intents: Intents) -> Agents:
    """What the agents of a tenant intend, as far as attacks are cast by it."""
    population, plans = intents.population, intents.plans
    stopped = np.where(plans.revokes, plans.ended, NEVER)
    stopped = np.minimum(stopped, np.where(plans.cancelled > 0, plans.cancelled, NEVER))
    for children in list(population.levels())[1:]:
        stopped[children] = np.minimum(stopped[children], stopped[population.parent[children]])
    return Agents(
        parent=population.parent.astype(np.int64),
        children=population.children.astype(np.int64),
        begins=plans.issued,
        ends=plans.ended,
        stopped=stopped,
    )
