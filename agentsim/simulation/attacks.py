"""Attackers: small state machines that add operations of their own beside what honest agents do.

All of them are our own invention, made to exercise what a token server could see. An attacker never changes what its
victim intends: with attacks switched off, every benign intent is drawn the same.

The engine wakes an attacker, lets it ask for one operation, and tells it the answer; the attacker says when to
wake it next. ``stealth`` goes from 0 (loud: fast, far outside the grant) to 1 (the pace and the tools of the victim's
role, one deviation).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agentsim.server import (
    Client,
    IssueChild,
    OAuthError,
    Operation,
    Refresh,
    TokenGrant,
    Verification,
    Verify,
)
from agentsim.server.answers import Answer
from agentsim.server.clock import SECOND

#: Where stolen tokens are used from.
_ELSEWHERE = "203.0.113."


@dataclass(slots=True)
class Victim:
    """What an attacker knows of the agent that it has compromised, at this moment."""

    client: Client
    access_token: str
    refresh_token: str | None
    task_id: str
    #: Granted tools, each with the resources that it may be used on, in canonical order.
    tools: dict[str, tuple[str, ...]]
    #: Tools of the role that the task at hand does not call, with their resources, as far as granted.
    unusual: dict[str, tuple[str, ...]]
    caller: str
    source_ip: str


class Attacker(ABC):
    """One attack on one victim.

    Parameters
    ----------
    stealth : 0 to 1.
    rng : draws of this attacker alone.
    """

    #: The name in scenarios and labels.
    kind: ClassVar[str]

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        self.stealth = stealth
        self.rng = rng
        self._left = self.count(loud=12, quiet=3)

    @abstractmethod
    def act(self, victim: Victim) -> Operation | None:
        """The next operation; None gives up."""

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Take the answer in; whether to go on."""
        self._left -= 1
        return self._left > 0

    def pause(self, gap: int) -> int:
        """Microseconds until the next operation: a burst when loud, the role's own mean ``gap`` when quiet."""
        mean = self.stealth * gap + (1 - self.stealth) * SECOND
        return int(self.rng.exponential(mean)) + 100_000

    def count(self, *, loud: int, quiet: int) -> int:
        """How many operations, between the loud and the quiet figure, at least one."""
        return max(1, int(self.rng.poisson(quiet + (1 - self.stealth) * (loud - quiet))))

    def choose(self, names: Sequence[str]) -> str:
        """One of these, all alike."""
        return names[int(self.rng.integers(len(names)))]

    def call(
        self,
        victim: Victim,
        tools: dict[str, tuple[str, ...]],
        *,
        token: str | None = None,
        host: str | None = None,
    ) -> Verify:
        """A tool call that looks as the victim's own would, but for the token and the host, where given."""
        tool = self.choose(sorted(tools))
        return Verify(
            token=victim.access_token if token is None else token,
            task_id=victim.task_id,
            required_tools=(tool,),
            required_resources=(self.choose(tools[tool]),),
            caller=victim.caller if host is None else f"host-{host}",
            source_ip=victim.source_ip if host is None else host,
            include_history=False,
        )


class ScopeEscalation(Attacker):
    """A compromised agent asks for children with more than its own token has."""

    kind = "scope_escalation"
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
        """Ask for its own tools and one step more; when quiet, only for a neighbour of what it has."""
        self._asked += 1
        own = [f"{tool}:{resource}" for tool, resources in victim.tools.items() for resource in resources]
        if self.rng.random() < self.stealth:
            wanted = [f"{self.choose(own)}-archive"]
        else:
            wanted = list(self._WANTED[: 1 + self._asked % len(self._WANTED)])
        return IssueChild(
            by=victim.client,
            parent_token=victim.access_token,
            task_id=f"{victim.task_id}/{self.choose(['fetch', 'retry', 'helper', 'export'])}-{self._asked}",
            parent_task_id=victim.task_id,
            task_description="Fetch additional context",
            scope=" ".join([self.choose(own), *wanted]),
            source_ip=victim.source_ip,
        )


class TokenTheft(Attacker):
    """A stolen access token is used by somebody else."""

    kind = "token_theft"

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._left = self.count(loud=30, quiet=6)
        self._token: str | None = None
        self._host = f"{_ELSEWHERE}{rng.integers(1, 255)}"

    def act(self, victim: Victim) -> Operation:
        """Use the token that was stolen first, from another caller; when loud, for whatever it may be good for."""
        if self._token is None:
            self._token = victim.access_token
        tools = victim.tools
        if self.rng.random() > self.stealth:
            tools = {**tools, "secrets_read": ("vault",), "file_write": ("prod",)}
        return self.call(victim, tools, token=self._token, host=self._host)

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

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self._left = self.count(loud=15, quiet=4)
        self._stolen: str | None = None
        self._access: str | None = None
        self._host = f"{_ELSEWHERE}{rng.integers(1, 255)}"

    def act(self, victim: Victim) -> Operation | None:
        """Steal the refresh token, redeem it, and use what it gives."""
        if self._access is not None:
            return self.call(victim, victim.tools, token=self._access, host=self._host)
        self._stolen = self._stolen or victim.refresh_token
        if self._stolen is None:
            return None
        return Refresh(by=victim.client, refresh_token=self._stolen, source_ip=self._host)

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Go on as long as it works."""
        if isinstance(answer, TokenGrant):
            self._access = answer.access_token
        refused = isinstance(answer, OAuthError) or (isinstance(answer, Verification) and not answer.is_valid)
        return super().observe(answer) and not refused


class TaskHijack(Attacker):
    """A task is turned to other ends, inside its granted scopes: other tools, other resources."""

    kind = "task_hijack"

    def act(self, victim: Victim) -> Operation:
        """Call what is granted but not what this task does; when quiet, half of the time what it does."""
        imitate = not victim.unusual or self.rng.random() < self.stealth / 2
        return self.call(victim, victim.tools if imitate else victim.unusual)


#: Attackers by kind.
ATTACKERS: dict[str, type[Attacker]] = {
    attacker.kind: attacker for attacker in (ScopeEscalation, TokenTheft, RefreshReplay, TaskHijack)
}
