"""Pictures of detection in replayed traces: each suite judged without its labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import pandas as pd

from agentsim.experiments import DetectionResult
from agentsim.palette import OTHER, SOFT
from agentsim.reporting import words
from agentsim.reporting.anomaly.simulated import interval
from agentsim.reporting.charts import dots, pairs
from agentsim.reporting.figures import Picture, Table, canvas


def within_agent(result: DetectionResult) -> Picture:
    """ROC-AUC inside each agent, per left-out suite and detector."""
    groups = _by_suite(result, "within_roc_auc")
    with _panels(groups) as (figure, grid):
        for axes, (suite, rows) in zip(grid[:, 0], groups, strict=True):
            estimates = _estimates(rows, "within_roc_auc")
            notes = [f"{value:.2f} ({low:.2f} to {high:.2f})" for value, low, high in estimates]
            dots(axes, list(rows["detector"]), estimates, notes)
            axes.axvline(0.5, color=SOFT, linewidth=1, linestyle=":")
            axes.set_title(_about(suite, rows), loc="left", fontsize=9.5, fontweight="bold")
        grid[-1, 0].set_xlabel("ROC-AUC within agent (dotted: chance)")
    chosen = result.detectors[result.detectors["detector"] == result.chosen]
    finding = (
        f"'{result.chosen}' ranks the runs of an agent with a ROC-AUC of "
        f"{_and([f'{value:.2f} on {suite}' for suite, value in zip(chosen['suite'], chosen['within_roc_auc'], strict=True)])}"
    )
    alt = f"Dots with 95% intervals, one panel for each left-out suite. {_told(groups, 'within_roc_auc', '{:.2f}')}."
    return Picture(figure, finding, alt, _table(result))


def found(result: DetectionResult) -> Picture:
    """Attacks found at 1 % and 5 % false alarms, per left-out suite and detector."""
    groups = _by_suite(result, "recall_at_5")
    with _panels(groups) as (figure, grid):
        for axes, (suite, rows) in zip(grid[:, 0], groups, strict=True):
            at_1, at_5 = (_estimates(rows, name, 100) for name in ("recall_at_1", "recall_at_5"))
            notes = [
                f"{words.percent(one[0] / 100)} · {words.percent(five[0] / 100)}"
                for one, five in zip(at_1, at_5, strict=True)
            ]
            dots(axes, list(rows["detector"]), at_5, notes)
            dots(axes, list(rows["detector"]), at_1, [""] * len(rows), OTHER, "s")
            axes.set_title(_about(suite, rows), loc="left", fontsize=9.5, fontweight="bold")
        # Room for the marker at 0, and for the longest interval.
        highest = 100 * float(result.detectors["recall_at_5_high"].max())
        grid[-1, 0].set_xlim(-0.02 * highest, 1.03 * highest)
        grid[-1, 0].set_xlabel("attacks found (%): square at 1%, dot at 5% false alarms")
    chosen = result.detectors[result.detectors["detector"] == result.chosen]
    told = [
        f"{words.percent(row['recall_at_1'])} and {words.percent(row['recall_at_5'])} on {row['suite']}"
        for _, row in chosen.iterrows()
    ]
    finding = f"At 1% and 5% false alarms it finds {_and(told)}"
    alt = (
        "Squares and dots with 95% intervals, one panel for each left-out suite: the share of attacks found at 1% and 5% "
        f"false alarms. At 5%: {_told(groups, 'recall_at_5', '{:.0%}')}."
    )
    columns = ["recall_at_1", "recall_at_5"]
    table = pd.DataFrame(
        {
            "left-out suite": result.detectors["suite"],
            "detector": result.detectors["detector"],
            **{
                f"found at {name[-1]}% false alarms (95%)": [
                    interval(*row) for row in _estimates(result.detectors, name)
                ]
                for name in columns
            },
        }
    )
    return Picture(figure, finding, alt, table)


def left_out(result: DetectionResult) -> Table:
    """All figures of each detector on each suite."""
    suites = list(dict.fromkeys(result.detectors["suite"]))
    return Table(_table(result), f"Each suite judged without its labels: {_and(suites)}")


def _table(result: DetectionResult) -> pd.DataFrame:
    rows = result.detectors
    return pd.DataFrame(
        {
            "left-out suite": rows["suite"],
            "detector": rows["detector"],
            "within agent (95%)": [
                f"{value:.3f} ({low:.3f}–{high:.3f})"
                for value, low, high in _estimates(rows, "within_roc_auc")
            ],
            "ROC-AUC": rows["roc_auc"],
            "PR-AUC": rows["pr_auc"],
            "found at 1% (%)": 100 * rows["recall_at_1"],
            "at 5% (%)": 100 * rows["recall_at_5"],
        }
    )


def _panels(groups: list[tuple[str, pd.DataFrame]]) -> AbstractContextManager[tuple[Any, Any]]:
    """A figure with one panel for each suite, as high as its detectors need."""
    height = 0.6 + sum(0.55 + 0.3 * len(rows) for _, rows in groups)
    return canvas(height, len(groups), sharex=True, squeeze=False)


def _by_suite(result: DetectionResult, column: str) -> list[tuple[str, pd.DataFrame]]:
    return [
        (str(suite), rows.sort_values(column, ascending=False))
        for suite, rows in result.detectors.groupby("suite")
    ]


def _estimates(rows: pd.DataFrame, column: str, factor: float = 1) -> list[tuple[float, float, float]]:
    columns = [column, f"{column}_low", f"{column}_high"]
    return [
        (factor * value, factor * low, factor * high)
        for value, low, high in rows[columns].itertuples(index=False)
    ]


def _about(suite: str, rows: pd.DataFrame) -> str:
    scored, attacks = int(rows["scored"].iloc[0]), int(rows["attacks"].iloc[0])
    return f"{suite} left out: {words.count(attacks)} successful attacks in {words.count(scored)} runs"


def _told(groups: list[tuple[str, pd.DataFrame]], column: str, form: str) -> str:
    return ". ".join(
        f"{suite}: {', '.join(pairs(list(rows['detector']), [form.format(value) for value in rows[column]]))}"
        for suite, rows in groups
    )


def _and(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
