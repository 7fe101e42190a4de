"""What a drill plays: one organisation under every kind of attack at one stealth, over seeds of one purpose each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agentsim.errors import UserError
from agentsim.experiments.companions import companion_seed
from agentsim.settings.durations import format_duration
from agentsim.settings.faults import suggestion
from agentsim.simulation import Scenario
from agentsim.simulation.attacks import ATTACKERS
from agentsim.simulation.scenario import parse_scenario

#: Share of trees under each kind of attack: few, so that honest work stays what it was.
PREVALENCE = 0.005
#: Where few trees qualify, of those that do.
_PREVALENCES = {"orphan_after_revoke": 0.03}
#: One false alarm in a thousand honest tasks.
RATE = 0.001


class DrillError(UserError):
    """A drill cannot be held so; the message says why."""


@dataclass(frozen=True)
class Plan:
    """A drill.

    Attributes
    ----------
    scenario : the organisation; its own attacks are not played.
    kinds : the attacks that are.
    stealth : of all of them, 0 to 1.
    sealed : how many Runs are judged, each of a seed that nothing was learned from or chosen on.
    rate : false alarms for each honest task that the threshold allows.
    prevalence : share of trees under each kind; None for a small one of each kind's own.
    """

    scenario: Scenario
    kinds: tuple[str, ...] = tuple(ATTACKERS)
    stealth: float = 0.5
    sealed: int = 3
    rate: float = RATE
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.kinds if kind not in ATTACKERS]:
            raise DrillError(f"no such attack: {unknown[0]!r}; {suggestion(unknown[0], ATTACKERS)}")
        if not 0 <= self.stealth <= 1:
            raise DrillError(f"stealth is 0 to 1, got {self.stealth:g}")
        if not 0 < self.rate < 1:
            raise DrillError(f"a rate of false alarms lies between 0 and 1, got {self.rate:g}")
        if self.sealed < 1 or not self.kinds:
            raise DrillError("there is nothing to judge: a drill needs a sealed Run and a kind of attack")

    @property
    def judged(self) -> dict[str, Scenario]:
        """The sealed Runs by name."""
        return {
            f"sealed-{number}": self._attacked(f"sealed {number}") for number in range(1, self.sealed + 1)
        }

    @property
    def choosing(self) -> Scenario:
        """The attacked Run that labels are learned from."""
        return self._attacked("choosing")

    @property
    def reference(self) -> Scenario:
        """What is usual."""
        return self._quiet("reference")

    @property
    def calibration(self) -> Scenario:
        """What thresholds are chosen on: another seed, and nobody attacks."""
        return self._quiet("calibration")

    def at(self, stealth: float) -> Plan:
        """The same at another stealth; benign work stays as it is."""
        return replace(self, stealth=stealth)

    def _quiet(self, purpose: str) -> Scenario:
        return self.scenario.without_attacks().with_seed(companion_seed(self.scenario.seed, purpose))

    def _attacked(self, purpose: str) -> Scenario:
        start = min((attack.start for attack in self.scenario.attacks), default=0)
        attacks = [
            {
                "kind": kind,
                "prevalence": self.prevalence or _PREVALENCES.get(kind, PREVALENCE),
                "stealth": self.stealth,
                "start": format_duration(start),
            }
            for kind in self.kinds
        ]
        quiet = self._quiet(purpose)
        return parse_scenario({**quiet.resolved(), "attacks": attacks}, self.scenario.name)
