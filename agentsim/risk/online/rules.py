"""What is done from which score on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from agentsim.risk.thresholds.cut import Cut
from agentsim.server.watch import ACTIONS, ActionKind


@dataclass(frozen=True)
class Rules:
    """Where alerts begin, and what is done about them.

    Attributes
    ----------
    cut : from which score on an entity is an alert.
    actions : from which score on what is done about an alert.
    """

    cut: Cut
    actions: Mapping[str, float]

    def action(self, kind: str, role: str, score: float) -> ActionKind:
        """What is done about an entity with this score: the hardest that begins at or below it."""
        if score < self.cut.at(kind, role):
            return "none"
        return next(
            (name for name in reversed(ACTIONS) if score >= self.actions.get(name, float("inf"))), "none"
        )

    def text(self) -> str:
        """All of it, the same for the same rules."""
        roles = {role: dict(kinds) for role, kinds in self.cut.roles.items()}
        return json.dumps([dict(self.cut.kinds), roles, dict(self.actions)], sort_keys=True)
