"""Pictures of how well a detector ranks, for simulated and replayed Runs alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from agentsim.experiments import DetectionResult
from agentsim.palette import ALARM, GUIDE, MAIN, PALE, SOFT
from agentsim.reporting import words
from agentsim.reporting.figures import Note, Picture, canvas


def precision_recall(result: DetectionResult) -> Picture | Note:
    """Precision over recall of the chosen detector, with the point at which it operates."""
    curve, base = result.curve, float(result.scores["attacked"].mean())
    if curve.empty or not base:
        return Note("Without attacks there is no precision to draw.")
    with canvas(3.2) as (figure, axes):
        axes.plot(100 * curve["recall"], 100 * curve["precision"], color=MAIN)
        axes.axhline(100 * base, color=SOFT, linewidth=1, linestyle=":")
        axes.annotate(
            f"chance: {words.percent(base)}",
            (0, 100 * base),
            xytext=(4, 4),
            textcoords="offset points",
            fontsize=8.5,
            color=SOFT,
        )
        point = _operating_point(result)
        if point is not None:
            axes.plot(100 * point[0], 100 * point[1], "D", color=ALARM, markersize=8)
            axes.annotate(
                f"the threshold:\n{words.percent(point[0])} found, {words.percent(point[1])} right",
                (100 * point[0], 100 * point[1]),
                xytext=(-10, -6),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize=8.5,
            )
        axes.set_xlim(0, 102)
        axes.set_ylim(0, 104)
        axes.set_xlabel("attacks found (%)")
        axes.set_ylabel("alerts that are attacks (%)")
    half = curve[curve["recall"] >= 0.5]["precision"].max()
    finding = (
        f"To find half of the attacks, {words.percent(half)} of the alerts are right"
        f" (a random pick: {words.percent(base)})"
    )
    alt = f"Curve of precision over recall of the detector '{result.chosen}'. {finding}."
    steps = curve.iloc[np.unique(np.linspace(0, len(curve) - 1, 25).round().astype(int))]
    table = pd.DataFrame(
        {
            "score at least": steps["threshold"],
            "attacks found (%)": 100 * steps["recall"],
            "alerts that are attacks (%)": 100 * steps["precision"],
        }
    )
    return Picture(figure, finding, alt, table)


def scores(result: DetectionResult) -> Picture | Note:
    """How the scores of attacked and other grants lie."""
    rows = result.scores
    # Trees and agents are scored, too, but on one scale; one distribution is enough.
    rows = rows[rows["kind"] == "grant"] if "kind" in rows else rows
    score, attacked = rows[result.chosen], rows["attacked"].astype(bool)
    if not attacked.any():
        return Note("Nobody attacked in this run: all scores are those of honest agents.")
    edges = np.linspace(score.min(), np.nextafter(score.max(), np.inf), 41)
    shares = {
        kind: 100 * np.histogram(score[mask], edges)[0] / mask.sum()
        for kind, mask in (("others", ~attacked), ("attacked", attacked))
    }
    with canvas(2.9) as (figure, axes):
        axes.stairs(shares["others"], edges, fill=True, color=PALE)
        axes.stairs(shares["others"], edges, color=GUIDE, linewidth=0.8)
        axes.stairs(shares["attacked"], edges, color=ALARM, linewidth=1.8)
        axes.set_ylim(bottom=0)
        _name_peaks(axes, edges, shares)
        if result.threshold is not None and np.isfinite(result.threshold):
            axes.axvline(result.threshold, color=MAIN, linewidth=1.4, linestyle="--")
            axes.annotate(
                "alert from here ",
                (result.threshold, 0.6),
                xycoords=("data", "axes fraction"),
                xytext=(-3, -4),
                textcoords="offset points",
                ha="right",
                va="top",
                fontsize=8.5,
                color=MAIN,
            )
        axes.set_xlabel(f"score ({result.chosen})")
        axes.set_ylabel("share of grants (%)")
    above = float((score[attacked] > score[~attacked].quantile(0.99)).mean())
    finding = f"{words.percent(above)} of the attacked grants score above 99% of the others"
    alt = f"Two distributions of scores, of {words.count(int(attacked.sum()))} attacked and {words.count(int((~attacked).sum()))} other grants. {finding}."
    table = pd.DataFrame(
        {"score from": edges[:-1], "others (%)": shares["others"], "attacked (%)": shares["attacked"]}
    )
    return Picture(figure, finding, alt, table)


def _operating_point(result: DetectionResult) -> tuple[float, float] | None:
    """Recall of attacks and precision at the threshold; None where none was chosen or nothing reaches it."""
    if result.report is None or not result.report.alerts:
        return None
    return result.report.overall.value, result.report.precision.value


def _name_peaks(axes: Axes, edges: np.ndarray, shares: dict[str, np.ndarray]) -> None:
    """Write each distribution's name beside its highest step."""
    for kind, color, text in (("others", SOFT, "not attacked"), ("attacked", ALARM, "attacked")):
        place = int(np.argmax(shares[kind]))
        late = place > len(shares[kind]) / 2
        axes.annotate(
            text,
            (edges[place] if late else (edges[place] + edges[place + 1]) / 2, shares[kind][place]),
            xytext=(-8 if late else 8, 0),
            textcoords="offset points",
            ha="right" if late else "left",
            va="center",
            fontsize=8.5,
            color=color,
        )
