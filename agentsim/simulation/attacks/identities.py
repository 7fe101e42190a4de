"""Attacks with identities: false ones, borrowed ones, and secrets that are guessed."""

from __future__ import annotations

import numpy as np

from agentsim.server import (
    Client,
    Confirm,
    Issue,
    OAuthError,
    Operation,
    Register,
    Registration,
)
from agentsim.server.answers import Activation, Answer
from agentsim.simulation.attacks.base import Attacker
from agentsim.simulation.attacks.holding import Holding
from agentsim.simulation.attacks.victims import Tools, Victim, pairs


class RogueRegistration(Holding):
    """Somebody with a foot in the owner's pipeline registers an agent of their own, lets it confirm, and puts it to work."""

    kind = "rogue_registration"
    tags = ("ASI04", "ASI10", "T13", "AML.T0103")
    signals = ("namesakes", "granted_tools", "granted_resources", "used_tools_share", "depth")
    deviation = "a second agent bears its victim's name"
    loud = 30
    quiet = 1.0
    stays = True

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._client: Client | None = None
        self._token: str | None = None

    def act(self, victim: Victim) -> Operation | None:
        """Register, confirm, ask for a grant, work."""
        host = self.elsewhere(victim)
        if self._client is None:
            return self._register(victim)
        if self._token is not None:
            return Confirm(registration_token=self._token, source_ip=host)
        if self.grant is None:
            tools = victim.work if self.quietly() else victim.registered
            return self.root(victim, self._client, tools, victim.registered_level, host)
        tools = self._granted(victim)
        return self.renewal(self._client, host) or self.call(
            victim, tools, token=self.grant.access_token, task_id=self.grant.task_id, host=host
        )

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Keep what the registration gives; without it there is nothing more to do."""
        match answer:
            case Registration(client_id=client_id, client_secret=secret) if secret is not None:
                self._client, self._token = Client(client_id, secret), answer.registration_token
            case Activation():
                self._token = None
        return super().observe(answer) and self._client is not None

    def begin(self, victim: Victim) -> None:
        """As many operations as others, after those that it takes to be an agent at all."""
        super().begin(victim)
        self._left += 3

    def _granted(self, victim: Victim) -> Tools:
        """What to call: all that it has when loud, the victim's work when quiet, or where it has no more."""
        assert self.grant is not None
        everything = set(victim.registered) <= set(self.grant.allowed_tools)
        return victim.registered if everything and not self.quietly() else victim.work

    def _register(self, victim: Victim) -> Register:
        name, summary = victim.agent_name, victim.summary
        if not self.quietly():
            name, summary = "Admin Helper", "helps administrators"
        return Register(
            by=victim.admin,
            agent_name=name,
            description=summary,
            allowed_tools=tuple(sorted(victim.registered)),
            resource_access=_resources(victim.registered),
            max_scope_level=victim.registered_level,
            role=victim.role,
        )


class _Borrowed(Holding):
    """Takes a root grant with its victim's credentials, from another host, and works with it."""

    loud = 30
    quiet = 1.0
    stays = True

    def act(self, victim: Victim) -> Operation:
        """Take the grant, for all that the client is registered for when loud; then work."""
        host = self.elsewhere(victim)
        if self.grant is None:
            tools, level = self._wanted(victim)
            return self.root(victim, victim.client, tools, level, host)
        return self.renewal(victim.client, host) or self.call(
            victim, victim.work, token=self.grant.access_token, task_id=self.grant.task_id, host=host
        )

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Nothing to do without a grant."""
        return super().observe(answer) and self.grant is not None

    def _wanted(self, victim: Victim) -> tuple[Tools, str]:
        if self.quietly():
            return victim.work, victim.level
        return {**victim.tools, **victim.registered}, victim.registered_level


class NhiReuse(_Borrowed):
    """An agent's credentials serve a second application: it takes grants of its own with them, from another host."""

    kind = "nhi_reuse"
    tags = ("NHI8", "NHI9", "ASI03")
    signals = (
        "source_ips",
        "depth",
        "tools_rare_role",
        "used_tools_share",
        "grants",
        "count",
        "executions",
        "diversity",
        "caller",
        "transitions_rare_role",
    )
    deviation = "one client has two grants at work on two hosts"


class HumanUse(_Borrowed):
    """A person drives an agent's client from their own machine, with a person's rhythm."""

    kind = "human_use"
    tags = ("NHI10", "T14")
    signals = (
        "pause_mean_s",
        "burstiness",
        "source_ips",
        "transitions_rare_role",
        "grants",
        "count",
        "executions",
        "diversity",
        "caller",
        "depth",
    )
    deviation = "a few calls at once, then a long pause, as people work"

    def pause(self, gap: int) -> int:
        """Four short pauses for each long one; their mean is that of others."""
        mean = super().pause(gap)
        return int(mean * (0.2 if self.rng.random() < 0.8 else 4.2)) + 100_000


class CredentialStuffing(Attacker):
    """Client secrets are tried that have leaked elsewhere, or are guessed; none of them is right."""

    kind = "credential_stuffing"
    tags = ("NHI4", "NHI2", "T9")
    signals = ("invalid_client_of_source", "refused_credential", "refused_share", "caller")
    deviation = "its secret is wrong"
    loud = 60
    stays = True

    def act(self, victim: Victim) -> Operation:
        """Ask for a grant with a secret that is not the client's."""
        name, description = self.errand(victim)
        guess = Client(victim.client.client_id, self.rng.bytes(32).hex())
        return Issue(
            by=guess,
            task_id=name,
            task_description=description,
            scope=" ".join(pairs(victim.work)),
            scope_level=victim.level,
            source_ip=self.elsewhere(victim),
        )


def _resources(tools: Tools) -> tuple[str, ...]:
    return tuple(sorted({name for names in tools.values() for name in names}))
