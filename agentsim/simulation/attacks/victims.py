"""What an attacker may know: of all agents beforehand, to choose its victim, and of that victim while it is at work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from agentsim.server import Admin, Client

#: Each tool with the resources that it may be used on, in canonical order.
Tools = dict[str, tuple[str, ...]]
Longs = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
#: Later than any moment.
NEVER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Agents:
    """All agents of a tenant as they intend to work, one entry for each in every array. Times are microseconds."""

    #: Number of the parent, -1 for a root; how many children there are.
    parent: Longs
    children: Longs
    #: When the agent has its grant, and when its work is done.
    begins: Longs
    ends: Longs
    #: When its grant, or one above it, is to be revoked; ``NEVER`` where nobody intends to.
    stopped: Longs

    @property
    def stopped_above(self) -> Longs:
        """When a grant above the agent's own is to be revoked."""
        return np.where(self.parent >= 0, self.stopped[self.parent], NEVER)


@dataclass(slots=True, kw_only=True)
class Victim:
    """What an attacker knows of the agent that it has compromised, at this moment."""

    client: Client
    #: The tokens that the agent holds now; once it holds none any more, the last that it had.
    access_token: str
    refresh_token: str | None
    task_id: str
    task_description: str
    #: What its grant holds, and the scope level.
    tools: Tools
    level: str
    #: Of that, what the task at hand calls, and what it does not call.
    work: Tools
    unusual: Tools
    #: What is not in its grant although the organisation has it: the agent's registration first.
    beyond: Tools
    #: What its role calls together with what the roles below it call, and the level that goes with it.
    registered: Tools
    registered_level: str
    agent_name: str
    role: str
    #: What the role says of itself, what a root of it may spend, how many calls its tasks have on average, and the
    #: standard deviation of the logarithm of the times between them.
    summary: str
    budget: int | None
    steps: float
    gap_spread: float
    #: How its role goes on from one tool to the next, as weights; under the empty name, how it begins.
    habits: Mapping[str, Mapping[str, float]]
    #: How many calls it has made so far, and the tool of the last; empty where there is none.
    calls: int = 0
    last_tool: str = ""
    #: Tasks of its tree that are like its own, which is among them.
    errands: tuple[str, ...]
    caller: str
    source_ip: str
    #: Addresses of some hosts of the organisation.
    hosts: tuple[str, ...]
    #: Who registers agents there. Attackers with a foot in the pipeline that does may use it.
    admin: Admin
    #: Those beside it that hold a token at this moment, known as well as it is itself, but for their own kin. Only for
    #: attackers that ask for it (:attr:`Attacker.kin`).
    parent: Victim | None = None
    children: list[Victim] = field(default_factory=list)


def pairs(tools: Tools) -> list[str]:
    """Each tool with each of its resources, as scopes."""
    return [f"{tool}:{resource}" for tool, resources in tools.items() for resource in resources]


def without(tools: Tools, others: Tools) -> Tools:
    """What is in the first and not in the second."""
    rest = {
        tool: tuple(name for name in resources if name not in others.get(tool, ()))
        for tool, resources in tools.items()
    }
    return {tool: resources for tool, resources in rest.items() if resources}
