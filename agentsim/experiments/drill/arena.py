"""The Runs of a drill, as detectors see them and with their truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from agentsim.experiments.companions import open_or_simulate
from agentsim.experiments.drill.plan import Plan
from agentsim.risk import Attacks, Case, Evidence, gather, read_attacks, read_behaviour
from agentsim.risk.peers import Peers
from agentsim.risk.states import KINDS, EntityKind
from agentsim.run import Run
from agentsim.simulation import Scenario

_DAY = 86_400e6


class Arena:
    """Where the Runs of a drill are kept; each is played once, and found again.

    Parameters
    ----------
    folder : directory for all of them.
    jobs : processes for the tenants of each; one per core if left out.
    progress : show a bar for each.
    """

    def __init__(self, folder: Path, *, jobs: int | None = None, progress: bool = False) -> None:
        self.folder = folder
        self.jobs = jobs
        self.progress = progress

    def reference(self, plan: Plan) -> Run:
        """The Run that detectors learn from."""
        return self._play(plan.reference, "reference")

    def calibration(self, plan: Plan) -> Run:
        """The Run that thresholds are chosen on."""
        return self._play(plan.calibration, "calibration")

    def choosing(self, plan: Plan) -> Run:
        """The Run that labels are learned from."""
        return self._play(plan.choosing, f"choosing-{_stealth(plan)}")

    def sealed(self, plan: Plan) -> list[Run]:
        """The Runs that are judged."""
        return list(self._sealed(plan))

    def _sealed(self, plan: Plan) -> Iterator[Run]:
        judged = plan.judged
        for name, scenario in tqdm(judged.items(), unit="run", disable=not self.progress, desc="sealed"):
            yield self._play(scenario, f"{name}-{_stealth(plan)}")

    def _play(self, scenario: Scenario, name: str) -> Run:
        run, _ = open_or_simulate(scenario, self.folder / name, self.progress, self.jobs)
        return run


def _stealth(plan: Plan) -> str:
    return f"{plan.stealth:.2f}"


@dataclass(frozen=True)
class Side:
    """A Run as detectors see it.

    Attributes
    ----------
    evidence : by kind of entity.
    attacks : its truth, for whoever judges.
    days : days of work that it stands for.
    """

    evidence: Mapping[EntityKind, Evidence]
    attacks: Attacks
    days: float

    @classmethod
    def of(cls, run: Run, peers: Peers | None = None) -> Side:
        """Read a Run, its entities compared with ``peers``; with each other where there are none."""
        behaviour = read_behaviour(run)
        evidence = {kind: gather(behaviour, kind, peers) for kind in KINDS}
        return cls(evidence, read_attacks(run), (run.manifest.end - run.manifest.start) / _DAY)

    def case(self, scored: pd.DataFrame) -> Case:
        """What one detector's scores come to here."""
        return Case(scored, self.attacks, self.days)
