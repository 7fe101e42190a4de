"""What settings do: chosen on one Run, told on another. No widget here, so that a test can ask the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from agentsim.experiments.scene import Scene
from agentsim.experiments.tuning import Tuned, settle
from agentsim.reporting.tuning.reach import Attackers, Reach
from agentsim.risk import Choice, ThresholdPolicy, ThresholdReport, report
from agentsim.risk.thresholds import Comparison, Costs, compare, operating_points

#: Thresholds that can be chosen from, at most.
_POINTS = 200
_STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Outcome:
    """A setting and what it does.

    Attributes
    ----------
    choice : the thresholds, chosen on the first Run.
    report, reach : what they do on the other.
    """

    choice: Choice
    report: ThresholdReport
    reach: Reach

    @property
    def score(self) -> float:
        """From which score on there are alerts; infinite where there are none."""
        return self.choice.cut.lowest


@dataclass(frozen=True)
class Bench:
    """Everything scored once, so that settings can be tried one after the other."""

    scene: Scene

    @cached_property
    def thresholds(self) -> list[float]:
        """Scores that make a difference where thresholds are chosen, the highest first."""
        points = operating_points(self.scene.choosing, points=_POINTS)
        return [float(value) for value in points.figures["threshold"]]

    def budgets(self, beside: Sequence[float] = ()) -> list[float]:
        """Round numbers of alerts a day, and some others, up to as many as there can be."""
        most = len(self.scene.choosing.scored) / self.scene.choosing.days
        decades = 10.0 ** np.arange(np.ceil(np.log10(max(most, 10))))
        round_ones = {float(step * decade) for decade in decades for step in _STEPS}
        return sorted({*(value for value in round_ones if value <= most), *beside})

    def try_out(self, policy: ThresholdPolicy, costs: Costs) -> Outcome:
        """Choose by a policy, and tell what that does and costs.

        Raises
        ------
        ThresholdError
            If nothing can be chosen so.
        """
        choice, _ = self.scene.choose(policy)
        judged = self.scene.judged
        told = report(choice.cut, judged, costs=costs, chosen_on=self.scene.choosing)
        return Outcome(choice, told, self._attackers.reach(judged, choice.cut.alerts(judged.scored)))

    def compare(self, old: Outcome, new: Outcome) -> Comparison:
        """Which alerts the new setting gains and loses, on the Run that figures come from."""
        judged = self.scene.judged
        return compare(old.choice.cut, judged, new.choice.cut, judged)

    def save(self, outcome: Outcome, path: Path) -> Tuned:
        """Write the file of thresholds, and beside it the model where that is not saved yet.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        return settle(self.scene, outcome.choice.policy).write(path)

    @cached_property
    def _attackers(self) -> Attackers:
        return Attackers.of(self.scene.reported)
