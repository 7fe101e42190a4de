"""Pictures of detection in a simulated Run: what an alert budget buys."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from agentsim.experiments import DetectionResult
from agentsim.palette import ACCENT, INK, MAIN, SOFT
from agentsim.reporting import words
from agentsim.reporting.charts import dots, pairs, thousands
from agentsim.reporting.figures import Note, Picture, canvas

#: Budgets that a reader may have in mind, in alerts a day.
_BUDGETS = (10, 30, 100, 300, 1000, 3000, 10_000)


def recall(result: DetectionResult) -> Picture | Note:
    """Attacks found per kind, with intervals."""
    rows = result.recall[result.recall["detector"] == result.chosen].copy()
    if rows.empty or not rows["attacks"].max():
        return Note("Nobody attacked in this run, so there was nothing to find.")
    rows = pd.concat([rows[rows["attack"] != "all"].sort_values("recall"), rows[rows["attack"] == "all"]])
    labels = [
        f"{kind.replace('_', ' ')} ({words.count(n)})"
        for kind, n in zip(rows["attack"], rows["attacks"], strict=True)
    ]
    estimates = list(rows[["recall", "low", "high"]].itertuples(index=False, name=None))
    notes = [interval(*estimate) for estimate in estimates]
    with canvas(0.9 + 0.34 * len(rows)) as (figure, axes):
        dots(axes, labels, [tuple(100 * part for part in estimate) for estimate in estimates], notes)
        axes.set_xlim(0, 100)
        axes.set_xlabel("attacks found within the budget (%)")
    kinds = rows[rows["attack"] != "all"]
    worst, best = kinds.iloc[0], kinds.iloc[-1]
    finding = f"{_name(best)} is seen best ({words.percent(best['recall'])} found)"
    if best["recall"] == worst["recall"]:
        finding = f"{words.percent(best['recall'])} of each kind of attack are found"
    elif len(kinds) > 1:
        finding += f", {_name(worst, capital=False)} least ({words.percent(worst['recall'])})"
    alt = f"Dots with 95% intervals, the share of attacks found by kind: {'; '.join(pairs(labels, notes))}."
    table = pd.DataFrame(
        {
            "attack": [kind.replace("_", " ") for kind in rows["attack"]],
            "attacks": rows["attacks"].astype(int),
            "found": rows["found"].astype(int),
            "found (%)": 100 * rows["recall"],
            "95% from": 100 * rows["low"],
            "to": 100 * rows["high"],
        }
    )
    return Picture(figure, finding, alt, table)


def budgets(result: DetectionResult) -> Picture | Note:
    """What other budgets would buy."""
    curve = result.curve
    if curve.empty or not result.scores["attacked"].any():
        return Note("Without attacks there is no telling what another budget would find.")
    table = _at_budgets(result)
    with canvas(3.1) as (figure, axes):
        for name, color, dashes in (("recall", MAIN, "-"), ("precision", ACCENT, "--")):
            axes.plot(curve["alerts_per_day"], 100 * curve[name], dashes, color=color)
        axes.set_xscale("log")
        axes.set_ylim(0, 104)
        thousands(axes.xaxis)
        axes.axvline(result.alert_budget, color=SOFT, linewidth=1, linestyle=":")
        axes.annotate(
            "the budget",
            (result.alert_budget, 0),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=8.5,
        )
        _label(axes, curve.iloc[-1], "recall", "attacks\nfound", MAIN, (6, 0))
        # Beside its fall, where the other curve is far away.
        fallen = curve.iloc[int((curve["precision"] - curve["precision"].max() / 3).abs().argmin())]
        _label(axes, fallen, "precision", "alerts that\nare attacks", INK, (8, 8))
        axes.set_xlabel("alerts a day")
        axes.set_ylabel("share (%)")
    here, more = _near(table, result.alert_budget), _near(table, 10 * result.alert_budget)
    finding = (
        f"{words.count(result.alert_budget)} alerts a day would find {words.percent(here['attacks found (%)'] / 100)} "
        f"of the attacks, ten times as many {words.percent(more['attacks found (%)'] / 100)}"
    )
    listed = [
        f"{words.count(row['alerts a day'])} a day find {words.percent(row['attacks found (%)'] / 100)}"
        for _, row in table.iterrows()
    ]
    alt = f"Two curves over alerts a day: attacks found rises, alerts that are attacks falls. {'; '.join(listed)}."
    return Picture(figure, finding, alt, table)


def detectors(result: DetectionResult) -> Picture:
    """The detectors compared."""
    rows = result.detectors.sort_values("pr_auc", ascending=False)
    labels = [f"{name} (chosen)" if name == result.chosen else str(name) for name in rows["detector"]]
    estimates = list(rows[["pr_auc", "pr_auc_low", "pr_auc_high"]].itertuples(index=False, name=None))
    notes = [f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in estimates]
    chance = float(rows["base_rate"].iloc[0])
    with canvas(0.9 + 0.36 * len(rows)) as (figure, axes):
        dots(axes, labels, estimates, notes)
        axes.axvline(chance, color=SOFT, linewidth=1, linestyle=":")
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"PR-AUC (dotted: chance, {words.number(chance)})")
    finding = f"Over all budgets, '{rows['detector'].iloc[0]}' ranks attacked grants best"
    alt = f"Dots with 95% intervals, PR-AUC of each detector: {'; '.join(pairs(labels, notes))}. Chance is {words.number(chance)}."
    table = pd.DataFrame(
        {
            "detector": labels,
            "PR-AUC": rows["pr_auc"],
            "95% from": rows["pr_auc_low"],
            "to": rows["pr_auc_high"],
            "ROC-AUC": rows["roc_auc"],
            "alerts": rows["alerts"].astype(int),
            "attacks found (%)": 100 * rows["found"],
            "alerts right (%)": 100 * rows["precision"],
            "found at 1% false alarms (%)": 100 * rows["recall_at_1"],
            "at 5% (%)": 100 * rows["recall_at_5"],
        }
    )
    return Picture(figure, finding, alt, table)


def interval(value: float, low: float, high: float) -> str:
    """A share with its interval, in per cent."""
    return f"{words.percent(value)} ({words.percent(low)} to {words.percent(high)})"


def _at_budgets(result: DetectionResult) -> pd.DataFrame:
    """The curve at round budgets and at the one asked for: the most alerts that stay within each."""
    curve = result.curve.sort_values("alerts_per_day")
    most = float(curve["alerts_per_day"].max())
    wanted = sorted(
        {*(float(b) for b in _BUDGETS if b <= most), result.alert_budget, 10 * result.alert_budget}
    )
    place = np.searchsorted(curve["alerts_per_day"], wanted, side="right") - 1
    rows = curve.iloc[np.maximum(place, 0)]
    within = place >= 0
    return pd.DataFrame(
        {
            "alerts a day": wanted,
            "attacks found (%)": np.where(within, 100 * rows["recall"], 0.0),
            "alerts that are attacks (%)": np.where(within, 100 * rows["precision"], np.nan),
        }
    )


def _near(table: pd.DataFrame, budget: float) -> pd.Series[float]:
    row: pd.Series[float] = table[table["alerts a day"] == budget].iloc[0]
    return row


def _label(
    axes: Axes, point: pd.Series[float], column: str, text: str, color: str, offset: tuple[float, float]
) -> None:
    """Write a curve's name beside one of its points."""
    axes.annotate(
        text,
        (point["alerts_per_day"], 100 * point[column]),
        xytext=offset,
        textcoords="offset points",
        va="center",
        fontsize=8.5,
        color=color,
    )


def _name(row: pd.Series[float], *, capital: bool = True) -> str:
    name = str(row["attack"]).replace("_", " ")
    return name.capitalize() if capital else name
