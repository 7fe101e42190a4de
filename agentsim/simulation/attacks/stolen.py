"""Attacks with tokens that are somebody else's, or in a place where they do not belong."""

from __future__ import annotations

import numpy as np

from agentsim.server import Introspect, OAuthError, Operation, Refresh, TokenGrant, Verification
from agentsim.server.answers import Answer
from agentsim.simulation.attacks.base import Attacker
from agentsim.simulation.attacks.victims import Agents, Flags, Victim

_FOREIGN = "https://elsewhere.example"


class TokenTheft(Attacker):
    """A stolen access token is used by somebody else."""

    kind = "token_theft"
    tags = ("ASI03", "T9", "NHI2", "RFC 9700 A5", "AML.T0091.000")
    signals = ("caller", "refused_ended")
    deviation = "the token is presented from another host than its owner's, while that goes on using it"
    loud = 30

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._token: str | None = None

    def act(self, victim: Victim) -> Operation:
        """Use the token that was stolen first, from another caller; when loud, for whatever it may be good for."""
        if self._token is None:
            self._token = victim.access_token
        tools = victim.work
        if not self.quietly():
            tools = {**victim.tools, "secrets_read": ("vault",), "file_write": ("prod",)}
        return self.call(victim, tools, token=self._token, host=self.elsewhere(victim))

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Give up once the token is dead."""
        dead = (
            isinstance(answer, Verification)
            and answer.error is not None
            and answer.error.error == "invalid_token"
        )
        return super().observe(answer) and not dead


class RefreshReplay(Attacker):
    """A stolen refresh token is used, beside or after its owner."""

    kind = "refresh_replay"
    tags = ("RFC 9700 4.14", "NHI2", "NHI7", "T9")
    signals = (
        "refused_refresh_reuse",
        "refreshes",
        "refreshes_per_verify",
        "caller",
    )
    deviation = "one refresh token is used by two"
    loud = 15

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._stolen: str | None = None
        self._access: str | None = None

    def act(self, victim: Victim) -> Operation | None:
        """Steal the refresh token, redeem it, and use what it gives."""
        host = self.elsewhere(victim)
        if self._access is not None:
            return self.call(victim, victim.work, token=self._access, host=host)
        self._stolen = self._stolen or victim.refresh_token
        if self._stolen is None:
            return None
        return Refresh(by=victim.client, refresh_token=self._stolen, source_ip=host)

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Go on as long as it works."""
        if isinstance(answer, TokenGrant):
            self._access = answer.access_token
        refused = isinstance(answer, OAuthError) or (isinstance(answer, Verification) and not answer.is_valid)
        return super().observe(answer) and not refused


class AudienceConfusion(Attacker):
    """A token turns up at resource servers that it was not meant for; they look it up and try it."""

    kind = "audience_confusion"
    tags = ("T9", "ASI03", "RFC 9700 A5")
    # It is refused where it is presented, so that nothing comes of the call.
    signals = (
        "introspections",
        "foreign_lookups",
        "caller",
        "refused_not_granted",
        "refused_other",
        "refused_share",
        "executions_per_verify",
    )
    deviation = "resource servers that its task has nothing to do with ask about it"

    def act(self, victim: Victim) -> Operation:
        """When quiet, look it up at a resource that it is not for, every second time; when loud, present it there and elsewhere."""
        if self.rng.random() < self.stealth / 2:
            return self.call(victim, victim.work)
        tool = self.choose(sorted(victim.tools))
        own = {name for names in victim.tools.values() for name in names}
        known = {name for names in victim.beyond.values() for name in names}
        there = self.choose(sorted(known - own) or ["vault"])
        if self.quietly():
            return Introspect(token=victim.access_token, include_task_history=True, caller=there)
        presented = self.call(victim, {tool: (there,)}, host=self.elsewhere(victim))
        if self.rng.random() < 0.5:
            presented.audience = _FOREIGN
        return presented


class Repudiation(Attacker):
    """An agent acts under its parent's token, so that what it does is not written down under its own name."""

    kind = "repudiation"
    tags = ("T8", "ASI03")
    # What it uses is a parent's grant, and only who has a child is a parent.
    signals = ("caller", "decisions", "children")
    deviation = "the parent's token comes from the child's host"
    kin = True

    @classmethod
    def victims(cls, agents: Agents) -> Flags:
        """Agents that have a parent."""
        return agents.parent >= 0

    def act(self, victim: Victim) -> Operation | None:
        """Call with the parent's token from its own host; when quiet, only what the parent calls, too."""
        parent = victim.parent
        if parent is None:
            return None
        usual = self.quietly() or not parent.unusual
        return self.call(parent, parent.work if usual else parent.unusual, host=victim.source_ip)
