"""The threshold that a reader of the page can move: every figure is worked out and worded here, the script only shows it.

Without the script the page tells what the chosen threshold does, in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from agentsim.experiments import DetectionResult
from agentsim.reporting import words
from agentsim.reporting.figures import Note
from agentsim.reporting.interactive import Interactive
from agentsim.reporting.summary import TEMPLATES
from agentsim.risk.metrics import share
from agentsim.risk.thresholds import OperatingPoints, operating_points

#: Thresholds that a reader can choose from, at most.
POINTS = 200
#: What stands in the fields for costs until the reader writes something.
_COSTS = {"missed": 1000, "false_alarm": 10}
_NOBODY = "Where there are no alerts nobody acts: nothing is stopped, and no honest task is killed."
_FIGURES = {
    "alerts_per_day": "alerts a day",
    "found": "attacks found",
    "precision": "alerts that are attacks",
    "false_alarms": "false alarms per 1,000 honest tasks",
    "seconds": "median time from an attack's first step to its first alert",
}


def movable(result: DetectionResult, contained: pd.DataFrame | Note) -> Interactive | Note:
    """The thresholds of a judged Run, the chosen one first.

    Parameters
    ----------
    contained : what acting on alerts did where it was played, as :func:`agentsim.experiments.containment.results` has it;
        or why it was not.
    """
    if result.case is None or result.threshold is None:
        return Note(
            "Recorded traces have no days and no budget, so there is no threshold to move: see the shares found at 1% and 5% "
            "false alarms above."
        )
    if not len(result.case.worst):
        return Note("Nobody attacked in this run: moving the threshold would change false alarms alone.")
    points = operating_points(result.case, points=POINTS, keep=[result.threshold, np.inf])
    default = int(np.flatnonzero(points.figures["threshold"] == result.threshold)[0])
    told = _Told(points, result.case.days, default, None if isinstance(contained, Note) else contained)
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    html = environment.get_template("threshold.html.j2").render(
        names=_FIGURES, costs=_COSTS, told=told, default=default, last=len(points.figures) - 1
    )
    return Interactive(html, {"default": default, **told.data()}, script="threshold")


@dataclass(frozen=True)
class _Told:
    """Operating points in words; a place is the number of one of them."""

    points: OperatingPoints
    days: float
    default: int
    contained: pd.DataFrame | None

    @cached_property
    def score(self) -> list[str]:
        """Where alerts begin."""
        return [_score(value) for value in self.points.figures["threshold"]]

    @cached_property
    def figures(self) -> dict[str, list[str]]:
        """Per figure its text at each place."""
        rows, attacks = self.points.figures, int(self.points.attacks.sum())
        return {
            "alerts_per_day": [words.number(value) for value in rows["alerts_per_day"]],
            "found": [
                f"{hits} of {attacks} ({words.percent(hits / attacks)})" for hits in rows["found"].tolist()
            ],
            "precision": [words.percent(value) for value in rows["precision"]],
            "false_alarms": [words.number(value) for value in rows["false_alarms"]],
            "seconds": [words.duration(1e6 * value) for value in rows["seconds"]],
        }

    @cached_property
    def kinds(self) -> dict[str, list[tuple[int, int]]]:
        """Per kind of attack how many were found of how many, at each place; hardest to find at the chosen one first."""
        found, attacks = self.points.found, self.points.attacks
        order = (found.iloc[self.default] / attacks).sort_values(kind="stable").index
        totals = {**attacks.loc[order].to_dict(), "all": int(attacks.sum())}
        hits = {**found, "all": self.points.figures["found"]}
        return {
            str(kind): [(one, int(total)) for one in hits[kind].tolist()] for kind, total in totals.items()
        }

    @cached_property
    def sentences(self) -> list[str]:
        """What is read aloud."""
        told = (self.figures[name] for name in ("alerts_per_day", "found", "precision"))
        return [
            f"{score}: {alerts} alerts a day, attacks found {found}, {right} of the alerts are attacks."
            for score, alerts, found, right in zip(self.score, *told, strict=True)
        ]

    @cached_property
    def stopped(self) -> list[str]:
        """What acting on alerts did at the nearest threshold that it was played with; empty where it was not."""
        if self.contained is None:
            return [""] * len(self.score)
        played = self.contained[self.contained["threshold"].notna()].reset_index(drop=True)
        columns = (played[name].tolist() for name in ("threshold", "honoured_share", "honest_killed_share"))
        told = [_stopped(*row) for row in zip(*columns, strict=True)]
        measured = played["threshold"].to_numpy(np.float64)
        return [
            told[int(np.argmin(np.abs(measured - value)))] if np.isfinite(value) else _NOBODY
            for value in self.points.figures["threshold"]
        ]

    def line(self, name: str) -> str:
        """A share over all places, as points of a polyline in a box of 100 by 100."""
        values = self.points.figures[name].to_numpy(np.float64)
        shares = values / self.points.attacks.sum() if name == "found" else values
        across = np.linspace(0, 100, len(shares))
        seen = np.isfinite(shares)
        return " ".join(
            f"{x:.1f},{100 - 100 * y:.1f}" for x, y in zip(across[seen], shares[seen], strict=True)
        )

    def kind(self, kind: str, place: int) -> str:
        """How many attacks of a kind were found at a place, with the interval of their share."""
        return _found(*self.kinds[kind][place])

    def share(self, kind: str, place: int) -> float:
        """The same in per cent, to draw."""
        hits, total = self.kinds[kind][place]
        return round(100 * hits / total, 1)

    def data(self) -> dict[str, Any]:
        """What the script shows, and counts from which it works out costs."""
        rows = self.points.figures
        missed = self.points.attacks.sum() - rows["found"]
        places = range(len(rows))
        return {
            "score": self.score,
            "figures": self.figures,
            "kinds": [[self.kind(kind, place) for place in places] for kind in self.kinds],
            "shares": [[self.share(kind, place) for place in places] for kind in self.kinds],
            "sentences": self.sentences,
            "stopped": self.stopped,
            "alerts_per_day": [round(value, 3) for value in rows["alerts_per_day"].tolist()],
            "missed": missed.tolist(),
            "wrong": rows["wrong"].tolist(),
            "days": self.days,
        }


@lru_cache(4096)
def _found(hits: int, total: int) -> str:
    value, low, high = share(hits, total)
    return f"{hits} of {total} ({words.percent(value)}; {words.percent(low)} to {words.percent(high)})"


def _score(value: float) -> str:
    return f"Alerts from a score of {value:.3f} on" if np.isfinite(value) else "No alerts at all"


def _stopped(threshold: float, honoured: float, killed: float) -> str:
    return (
        f"The nearest threshold at which acting was played is {threshold:g}: ending the tree of each alert stopped "
        f"{words.percent(1 - honoured)} of what attackers would have done, and killed {words.percent(killed)} of the honest tasks."
    )
