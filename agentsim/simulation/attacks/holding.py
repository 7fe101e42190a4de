"""Attackers that hold a grant of their own, and keep it as honest clients do."""

from __future__ import annotations

import re

import numpy as np

from agentsim.server import Client, Issue, OAuthError, Refresh, TokenGrant, Verification
from agentsim.server.answers import Answer
from agentsim.simulation.attacks.base import Attacker
from agentsim.simulation.attacks.victims import Tools, Victim, pairs

#: The number of a case in the text of a task.
_CASE = re.compile(r"\d+")
#: Errors that say that the grant which is held is of no more use.
_OF_THE_GRANT = ("invalid_token", "invalid_grant", "insufficient_user_authentication")


class Holding(Attacker):
    """Holds the grant that it was given last; it refreshes when a token has run out, and gives up when the grant has ended."""

    def __init__(self, stealth: float, rng: np.random.Generator) -> None:
        super().__init__(stealth, rng)
        self.grant: TokenGrant | None = None
        self._lapsed = False

    def observe(self, answer: Answer | OAuthError) -> bool:
        """Take a grant, or that the token has run out; go on as long as there is something to hold."""
        if isinstance(answer, TokenGrant):
            self.grant, self._lapsed = answer, False
        refusal = answer.error if isinstance(answer, Verification) else answer
        ended = False
        if isinstance(refusal, OAuthError):
            self._lapsed = refusal.reason == "expired"
            # A refusal of anything else than the token is no reason to stop.
            ended = refusal.error in _OF_THE_GRANT and not self._can_renew()
        return super().observe(answer) and not ended

    def renewal(self, client: Client, host: str) -> Refresh | None:
        """The refresh of a grant whose token has run out."""
        if not self._can_renew():
            return None
        assert self.grant is not None
        assert self.grant.refresh_token is not None
        return Refresh(by=client, refresh_token=self.grant.refresh_token, source_ip=host)

    def _can_renew(self) -> bool:
        return self._lapsed and self.grant is not None and self.grant.refresh_token is not None

    def root(self, victim: Victim, client: Client, tools: Tools, level: str, host: str) -> Issue:
        """Ask for a root grant for these tools, in the form in which honest agents ask: each has a case of its own."""
        name, description = self.errand(victim)
        description = _CASE.sub(str(1000 + int(self.rng.integers(9000))), description)
        return Issue(
            by=client,
            task_id=name,
            task_description=description,
            scope=" ".join(pairs(tools)),
            required_tools=tuple(sorted(tools)),
            required_resources=tuple(sorted({name for names in tools.values() for name in names})),
            scope_level=level,
            budget=victim.budget,
            source_ip=host,
        )
