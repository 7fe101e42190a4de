"""Attacks that stay within a grant, or at its edge: what is done with it, how often, and what it is tried for."""

from __future__ import annotations

import numpy as np

from agentsim.server import Operation, UpdateAgent, Verify
from agentsim.simulation.attacks.base import Attacker
from agentsim.simulation.attacks.victims import Agents, Flags, Victim, pairs


class TaskHijack(Attacker):
    """A task is turned to other ends, inside its granted scopes: other tools, other resources."""

    kind = "task_hijack"
    tags = ("ASI01", "ASI02", "T2", "T6")
    signals = (
        "tools_new_task",
        "tools_rare_task",
        "resources",
        "resources_new_task",
        "resources_rare_task",
        "transitions_new_task",
        "transitions_rare_task",
        "transitions_rare_role",
    )
    deviation = "half of its calls are none that its task makes"

    def act(self, victim: Victim) -> Operation | None:
        """Call what is granted but not what this task does; when quiet, half of the time what it does.

        Where nothing else is granted there is nothing to turn the task to.
        """
        if not victim.unusual:
            return None
        imitate = self.rng.random() < self.stealth / 2
        return self.call(victim, victim.work if imitate else victim.unusual)


class CostHarvesting(Attacker):
    """A loop: the same call on the same resource over and over, and when loud the same small child again and again."""

    kind = "cost_harvesting"
    tags = ("ASI02", "T2", "T4", "AML.T0034.002")
    signals = (
        "most_repeats",
        "longest_run",
        "verifies",
        "decisions",
        "executions",
        "tool_entropy",
        "transitions_rare_role",
        "children",
        "own_children",
        "cost",
    )
    deviation = "makes one call again and again"
    loud = 80
    quiet = 1.5

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._loop: tuple[str, str] | None = None

    def act(self, victim: Victim) -> Operation:
        """Make the one call, or when loud sometimes exchange the token for the one scope that it needs."""
        if self._loop is None:
            tool = self.choose(sorted(victim.work))
            self._loop = tool, self.choose(victim.work[tool])
        tool, resource = self._loop
        if self.rng.random() < 0.3 * (1 - self.stealth):
            return self.delegate(victim, [f"{tool}:{resource}"])
        return self.call(victim, {tool: (resource,)})


class LowAndSlowRecon(Attacker):
    """An agent finds out what its token is good for: it tries scopes that it was never given, one at a time."""

    kind = "low_and_slow_recon"
    tags = ("ASI02", "T2", "AML.T0084.001")
    signals = (
        "refused_not_granted",
        "excess_asked",
        "resources_new_role",
        "refused_share",
        "executions_per_verify",
    )
    deviation = "one call in three tries something that it was not granted"
    loud = 40

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._tried = 0

    def act(self, victim: Victim) -> Operation:
        """Try the next scope that others have; when quiet, two times in three do some work instead."""
        unknown = pairs(victim.beyond)
        if not unknown or self.rng.random() < self.stealth * 2 / 3:
            return self.call(victim, victim.work)
        self._tried += 1
        tool, _, resource = unknown[self._tried % len(unknown)].partition(":")
        return self.call(victim, {tool: (resource,)})


class ToctouDrift(Attacker):
    """An agent's registration is narrowed in the middle of its task, and it goes on using what its old token still says.

    The owner's part is played, too, and not labelled. Nobody else's registration is changed in a simulation, so that the
    change itself gives the attack away to who reads the audit trail; no feature does.
    """

    kind = "toctou_drift"
    tags = ("ASI03", "T3", "NHI5")
    signals = (
        "withdrawn_uses",
        "refused_beyond_registration",
        "tools_rare_task",
        "excess_asked",
        "own_children",
        "refused_share",
    )
    deviation = "uses a tool that was taken from its registration after the token was issued"

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._tool: str | None = None

    @classmethod
    def victims(cls, agents: Agents) -> Flags:
        """Agents without children: what these are registered for is not touched."""
        return np.asarray(agents.children == 0)

    def act(self, victim: Victim) -> Operation | None:
        """Have the owner take a tool away, then use it; when loud, ask for it anew as well."""
        if len(victim.registered) < 2:
            return None
        self.innocent = self._tool is None
        if self._tool is None:
            self._tool = self.choose(sorted((not self.quietly() and victim.unusual) or victim.work))
            kept = tuple(sorted(set(victim.registered) - {self._tool}))
            return UpdateAgent(by=victim.admin, client_id=victim.client.client_id, allowed_tools=kept)
        if not self.quietly() and self.rng.random() < 0.5:
            return self.delegate(victim, pairs({self._tool: victim.tools[self._tool]}))
        return self._use(victim)

    def _use(self, victim: Victim) -> Verify:
        """Use the tool half of the time, and the others in between, as a task does."""
        assert self._tool is not None
        taken = {self._tool: victim.tools[self._tool]}
        return self.call(victim, taken if self.rng.random() < 0.5 else victim.work)
