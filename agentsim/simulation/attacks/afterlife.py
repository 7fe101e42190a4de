"""Attacks that begin when the work is done: grants that should be dead, or should have been ended."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from agentsim.server import Client, OAuthError, Operation, Refresh, TokenGrant, Verification
from agentsim.server.answers import Answer
from agentsim.server.clock import SECOND
from agentsim.simulation.attacks.base import Attacker
from agentsim.simulation.attacks.victims import NEVER, Agents, Flags, Longs, Victim, pairs

#: How long a grant that is only kept alive rests between two calls.
_SLEEP = 300 * SECOND


class OrphanAfterRevoke(Attacker):
    """An agent does not take it that the grant above it has been ended: it goes on calling, refreshing and delegating."""

    kind = "orphan_after_revoke"
    tags = ("ASI10", "T13", "NHI1")
    signals = (
        "refused_ended",
        "refused_parent_ended",
        "active_s",
        "refused_share",
        "honoured_after_revocation",
        "executions_per_verify",
        "count",
        "caller",
        "transitions_rare_role",
        # Trees that an owner stops while they are at work are larger than others.
        "diversity",
    )
    deviation = "goes on after the grant above its own was ended"
    loud = 30
    quiet = 1.0
    stays = True

    @classmethod
    def victims(cls, agents: Agents) -> Flags:
        """Agents that have their grant when one above it is ended, and are not long done by then."""
        above = agents.stopped_above
        return (above < NEVER) & (agents.begins < above) & (above < agents.ends + 60 * SECOND)

    @classmethod
    def moments(cls, agents: Agents, victims: Longs, uniform: npt.NDArray[np.float64]) -> Longs:
        """Within half a minute of the end above."""
        return agents.stopped_above[victims] + SECOND + (uniform * 30 * SECOND).astype(np.int64)

    def act(self, victim: Victim) -> Operation:
        """Call; when loud, try to refresh and to have children as well."""
        if self.quietly():
            return self.call(victim, victim.work)
        ways = 3 if victim.refresh_token is not None else 2
        match int(self.rng.integers(ways)):
            case 0:
                return self.call(victim, victim.work)
            case 1:
                return self.delegate(victim, pairs(victim.work))
        assert victim.refresh_token is not None
        return Refresh(by=victim.client, refresh_token=victim.refresh_token, source_ip=victim.source_ip)


class LongLived(Attacker):
    """A grant is kept alive after its work is done: refreshed again and again, used now and then, never given back."""

    kind = "long_lived"
    tags = ("NHI7", "NHI1")
    signals = ("timing", "refreshes", "refreshes_per_verify")
    deviation = "its grant outlives its work"
    loud = 40
    quiet = 1.0
    stays = True

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._access: str | None = None
        self._refresh: str | None = None
        self._lapsed = True

    @classmethod
    def victims(cls, agents: Agents) -> Flags:
        """Agents whose grant nobody ends."""
        return np.asarray(agents.stopped == NEVER)

    @classmethod
    def moments(cls, agents: Agents, victims: Longs, uniform: npt.NDArray[np.float64]) -> Longs:
        """Within a minute after the work is done."""
        return agents.ends[victims] + SECOND + (uniform * 60 * SECOND).astype(np.int64)

    def act(self, victim: Victim) -> Operation | None:
        """Refresh whenever it must, and when loud whenever it can; else make one of its calls."""
        self._refresh = self._refresh or victim.refresh_token
        if self._access is None or self._lapsed or self.rng.random() < 0.5 * (1 - self.stealth):
            return self._renewal(victim.client, victim.source_ip)
        return self.call(victim, victim.work, token=self._access)

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Go on until the grant has reached its own end."""
        if isinstance(answer, TokenGrant):
            self._access, self._refresh, self._lapsed = answer.access_token, answer.refresh_token, False
        elif isinstance(answer, Verification) and answer.error is not None:
            self._lapsed = answer.error.error == "invalid_token"
        over = isinstance(answer, OAuthError) and answer.error == "invalid_grant"
        return super().observe(answer) and not over

    def pause(self, gap: int) -> int:
        """As others after a refresh; after a call it sleeps for minutes, since there is nothing to do."""
        return super().pause(gap if self._access is None or self._lapsed else max(gap, _SLEEP))

    def _renewal(self, client: Client, host: str) -> Operation | None:
        if self._refresh is None:
            return None
        return Refresh(by=client, refresh_token=self._refresh, source_ip=host)
