"""The points of a comparison: the scenario without anybody who acts, and with each of a range of thresholds."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from agentsim.experiments.companions import Purpose, companion_seed
from agentsim.simulation import Scenario
from agentsim.simulation.scenario import parse_scenario

#: From one honest task in ten to one in a hundred thousand.
LOWEST, HIGHEST = 1.0, 5.0
Acting = Literal["step_up", "revoke_task", "revoke_tree", "disable_agent"]


class Plan(BaseModel):
    """What is played: a scenario (resolved), what is done about alerts, and how many thresholds."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    scenario: dict[str, Any]
    action: Acting
    points: int

    @property
    def played(self) -> Scenario:
        """The scenario of all points: the same seed, so everybody intends the same."""
        return parse_scenario(self.scenario, "containment")

    @property
    def reference(self) -> Scenario:
        """What is learned from: another seed, and nobody attacks."""
        return self._honest("reference")

    @property
    def calibration(self) -> Scenario:
        """What the default threshold is chosen on: a third seed, and nobody attacks."""
        return self._honest("calibration")

    def _honest(self, purpose: Purpose) -> Scenario:
        scenario = self.played
        return scenario.without_attacks().with_seed(companion_seed(scenario.seed, purpose))

    def thresholds(self, default: float) -> tuple[float, ...]:
        """Scores that lie evenly, from one honest task in ten to one in a hundred thousand; the nearest is moved to the default."""
        evenly = np.round(np.linspace(LOWEST, HIGHEST, self.points), 2)
        evenly[np.argmin(np.abs(evenly - default))] = default
        return tuple(evenly.tolist())


def plan(scenario: Scenario, *, points: int = 12, action: Acting = "step_up") -> Plan:
    """What is compared.

    Parameters
    ----------
    points : how many thresholds.
    action : what is done from the threshold on. What ends more than the grant that was found stops attackers no sooner,
        and kills the honest work below it.
    """
    return Plan(scenario=scenario.resolved(), action=action, points=points)
