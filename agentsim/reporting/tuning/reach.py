"""How far attackers get before the first alert: the blast radius that a threshold leaves them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from agentsim.experiments.containment.attackers import operations_of, reach_of
from agentsim.risk import Case
from agentsim.risk.behaviour import Flags
from agentsim.risk.thresholds.delays import first_alerts, touched_alerts
from agentsim.run import Run


class Reach(NamedTuple):
    """Mean over all attacks, of those that are never found as well.

    Attributes
    ----------
    grants : those that its operations used before its first alert, and all that hang below them.
    resources : those that were granted there.
    """

    grants: float
    resources: float


@dataclass(frozen=True)
class Attackers:
    """What the attackers of a Run did; ``instance`` names the attack as a :class:`Case` does."""

    run: Run
    operations: pd.DataFrame

    @classmethod
    def of(cls, run: Run) -> Attackers:
        """Those of a Run."""
        rows = operations_of(run)
        instance = rows["tenant"].astype(str) + "/" + rows["attack_id"].astype(str)
        return cls(run, rows.assign(instance=instance))

    def reach(self, case: Case, alert: Flags) -> Reach:
        """What was honoured before each attack's first alert, all of it where there was none, could reach.

        Parameters
        ----------
        case : of the same Run.
        alert : per entity of the case.
        """
        first = pd.Series(
            first_alerts(case, touched_alerts(case, alert)), case.worst.index.get_level_values("instance")
        )
        seen = self.operations["timestamp"] >= self.operations["instance"].map(first)
        reached = reach_of(self.run, self.operations[self.operations["honoured"] & ~seen])
        attacks = len(case.worst)
        if not attacks:
            return Reach(float("nan"), float("nan"))
        return Reach(
            *(float(reached[name].sum()) / attacks for name in ("grants_reached", "resources_reached"))
        )
