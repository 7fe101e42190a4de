"""Attacks on delegation: children that should not be, or have too much, or are brought down."""

from __future__ import annotations

import numpy as np

from agentsim.server import IssueChild, OAuthError, Operation, Revoke, TokenGrant
from agentsim.server.answers import Answer
from agentsim.simulation.attacks.base import Attacker
from agentsim.simulation.attacks.holding import Holding
from agentsim.simulation.attacks.victims import Agents, Flags, Victim, pairs, without


class ScopeEscalation(Attacker):
    """A compromised agent asks for children with more than its own token has."""

    kind = "scope_escalation"
    tags = ("ASI03", "T3", "NHI5", "AML.T0012")
    signals = (
        "refused_beyond_parent",
        "refused_beyond_registration",
        "excess_asked",
        "refused_share",
        "own_children",
    )
    deviation = "asks for a scope that its grant does not have"
    #: What it is after when it is loud, in the order in which it asks.
    _WANTED = (
        "secrets_read:vault",
        "admin_console:iam",
        "db_export:customers",
        "payment_send:bank",
        "file_write:prod",
    )

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._asked = 0

    def act(self, victim: Victim) -> Operation:
        """Ask for its own tools and one step more; when quiet, only for what others of the organisation have."""
        self._asked += 1
        own, beyond = pairs(victim.tools), pairs(victim.beyond)
        if beyond and self.quietly():
            wanted = [self.choose(beyond)]
        else:
            wanted = list(self._WANTED[: 1 + self._asked % len(self._WANTED)])
        return self.delegate(victim, [self.choose(own), *wanted])


class UnscopedInheritance(Holding):
    """A parent hands all that it has to a child that needs one tool of it."""

    kind = "unscoped_inheritance"
    tags = ("ASI03", "T3", "NHI5")
    signals = (
        "tools_of_parent",
        "used_tools_share",
        "tools",
        "tool_entropy",
        "elder_siblings",
        "own_children",
        "grants",
        "count",
        "executions",
        "diversity",
        "timing",
        "scope",
    )
    deviation = "its child holds all of its parent's scope and uses one tool of it"
    loud = 20

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._tool: str | None = None

    def act(self, victim: Victim) -> Operation:
        """Make the child and call its one tool; when loud, make more children like it."""
        if self._tool is None:
            self._tool = self.choose(sorted(victim.work))
        child = self.grant
        if child is None or self.rng.random() < 0.5 * (1 - self.stealth):
            return self.delegate(victim, None)
        renewed = self.renewal(victim.client, victim.source_ip)
        if renewed is not None:
            return renewed
        tools = {self._tool: victim.work[self._tool]}
        return self.call(victim, tools, token=child.access_token, task_id=child.task_id)


class RunawayFanout(Attacker):
    """An agent makes children, and these make children, without end; some of them do a little work."""

    kind = "runaway_fanout"
    tags = ("ASI08", "ASI10", "T4", "AML.T0034.002")
    signals = (
        "children",
        "grants",
        "elder_siblings",
        "refused_limit",
        "own_children",
        "count",
        "executions",
        "executions_per_verify",
        "diversity",
        "timing",
        "scope",
        "caller",
    )
    deviation = "has more children than its role has"
    loud = 60

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._made: list[TokenGrant] = []

    def act(self, victim: Victim) -> Operation:
        """Make a child of the newest when loud, of the victim when quiet; now and then use one."""
        if self._made and self.rng.random() < 0.35 + 0.4 * self.stealth:
            child = self._made[int(self.rng.integers(len(self._made)))]
            if self.rng.random() < 0.25:
                return self.call(victim, victim.work)
            return self.call(victim, victim.work, token=child.access_token, task_id=child.task_id)
        parent = self._made[-1] if self._made and not self.quietly() else None
        return self.delegate(
            victim,
            pairs(victim.work),
            token=None if parent is None else parent.access_token,
            parent_task_id=None if parent is None else parent.task_id,
        )

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Go on from the newest child; where that is one too deep, from another."""
        if isinstance(answer, TokenGrant):
            self._made.append(answer)
        elif isinstance(answer, OAuthError) and self._made:
            self._made.pop()
        return super().observe(answer)


class ConfusedDeputy(Attacker):
    """An agent has its parent, which may do more, do for it what it may not do itself."""

    kind = "confused_deputy"
    tags = ("ASI03", "ASI07", "T9", "T12")
    signals = (
        "tools_new_task",
        "tools_rare_task",
        "transitions_new_task",
        "refused_beyond_registration",
        "excess_asked",
        "children",
        "scope",
        # Only trees in which somebody has delegated can be struck, and these are larger.
        "grants",
        "count",
        "executions",
        "caller",
    )
    deviation = "its parent's token is used for what only the child's task wants"
    kin = True

    @classmethod
    def victims(cls, agents: Agents) -> Flags:
        """Agents that have a parent."""
        return agents.parent >= 0

    def act(self, victim: Victim) -> Operation | None:
        """When loud, ask for all that the deputy has; when quiet, let the deputy call what the agent lacks."""
        deputy = victim.parent
        if deputy is None:
            return None
        if not self.quietly():
            return self._ask(victim, deputy)
        lacking = without(deputy.tools, victim.tools)
        return self.call(deputy, lacking) if lacking else None

    def _ask(self, victim: Victim, deputy: Victim) -> IssueChild:
        return self.delegate(
            victim,
            pairs(deputy.tools),
            token=deputy.access_token,
            parent_task_id=deputy.task_id,
            level=deputy.registered_level,
        )


class Cascade(Attacker):
    """A parent ends its children's grants in the middle of their work, again and again: many fail for one that is bad."""

    kind = "cascade"
    tags = ("ASI08", "T5")
    signals = (
        "refused_ended",
        "elder_siblings",
        "ended_others",
        "children",
        "refused_share",
        "executions_per_verify",
        # Only trees in which somebody has delegated can be struck, and these are larger.
        "grants",
        "decisions",
    )
    deviation = "revokes grants of children that are at work"
    kin = True

    @classmethod
    def victims(cls, agents: Agents) -> Flags:
        """Agents that have children."""
        return agents.children > 0

    def act(self, victim: Victim) -> Operation:
        """End a child's grant, where there is one; when quiet, every second time only do some work."""
        if not victim.children or self.rng.random() < self.stealth / 2:
            return self.call(victim, victim.work)
        child = victim.children[int(self.rng.integers(len(victim.children)))]
        return Revoke(
            by=victim.client, token=child.access_token, reason="completed", source_ip=victim.source_ip
        )
