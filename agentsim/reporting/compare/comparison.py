"""Two or more Runs set side by side: opened, measured, and told apart from noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from agentsim.experiments.sweep.cells import written
from agentsim.reporting.compare import finding, noise
from agentsim.reporting.compare.measures import measure
from agentsim.reporting.compare.sides import Sides, differing, open_sides

#: More settings than these are counted and not listed.
_MOST_SETTINGS = 40


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    sides : what is compared; the first is what the others are compared with.
    figures : one row per figure and side, see :func:`agentsim.reporting.compare.noise.table`, and ``beyond``: whether the
        difference to the first side is more than noise.
    settings : one row per setting that differs: ``setting``, and a column of text for each side.
    paired : all sides have the same seeds.
    found : whether attacks were looked for.
    """

    sides: Sides
    figures: pd.DataFrame
    settings: pd.DataFrame
    paired: bool
    found: bool

    @property
    def first(self) -> str:
        """The label of the first side."""
        return self.sides.sides[0].label

    @property
    def judged(self) -> pd.DataFrame:
        """The rows of which noise could be told."""
        return self.figures[self.figures["p"].notna()]

    @property
    def beyond(self) -> pd.DataFrame:
        """The differences that are more than noise, the largest ratio first."""
        rows = self.figures[self.figures["beyond"]]
        # Twice as much and half as much are as far apart; what the first side has nothing of is further still.
        far = rows["ratio"].map(lambda ratio: max(ratio, 1 / ratio) if ratio > 0 else float("inf"))
        return rows.assign(far=far).sort_values(["far", "p"], ascending=[False, True], kind="stable")


def compare(given: Sequence[str], *, budget: float, companion_agents: int) -> Comparison:
    """Compare Runs.

    Parameters
    ----------
    given : directories of Runs, of cells of a sweep, or of whole sweeps.
    budget : alerts a day for which the threshold is chosen that attacks are looked for with.
    companion_agents : agents in each of the two runs that the detector learns from, at most; 0 looks for no attacks.

    Raises
    ------
    ReportError
        If there are fewer than two Runs, or one is given twice.
    RunError, SweepError
        If there is no Run, it is not finished, or a sweep cannot be read.
    """
    sides = open_sides(given)
    labels = [side.label for side in sides]
    paired = not sides.only_seeds and all(side.seeds == sides.sides[0].seeds for side in sides)
    figures = noise.table([[measure(run) for run in side.runs] for side in sides], labels, paired=paired)
    judged = finding.judge_sides(sides.sides, budget=budget, companion_agents=companion_agents)
    if judged is not None:
        figures = pd.concat([figures, finding.rows(judged, labels)], ignore_index=True)
    return Comparison(sides, noise.with_findings(figures), _settings(sides), paired, judged is not None)


def _settings(sides: Sides) -> pd.DataFrame:
    """What differs, a row for each setting; between Runs of one kind, their seeds."""
    settings = [dict(side.settings) for side in sides]
    keys = differing(settings)
    rows = [{"setting": key, **{side.label: _text(side.settings.get(key)) for side in sides}} for key in keys]
    if sides.only_seeds:
        rows.append({"setting": "seed", **{side.label: side.seeds[0] for side in sides}})
    if len(rows) > _MOST_SETTINGS:
        more = {side.label: "…" for side in sides}
        rows = [*rows[:_MOST_SETTINGS], {"setting": f"{len(rows) - _MOST_SETTINGS} more", **more}]
    return pd.DataFrame(rows, columns=["setting", *(side.label for side in sides)])


def _text(value: Any) -> str:
    text = "–" if value is None else str(written(value))
    return text if len(text) <= 60 else f"{text[:59]}…"
