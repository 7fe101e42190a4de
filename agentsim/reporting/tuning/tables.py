"""Outcomes and comparisons as HTML that reads well on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape

import numpy as np
import pandas as pd

from agentsim.reporting import words
from agentsim.reporting.tuning.bench import Outcome
from agentsim.risk import Estimate
from agentsim.risk.thresholds import Comparison

_CELL = "padding:.15em .9em .15em 0;text-align:left;font-weight:normal;vertical-align:top"
_NAME, _VALUE = f"{_CELL};opacity:.8", f"{_CELL};font-variant-numeric:tabular-nums"


def chosen(outcome: Outcome) -> str:
    """The setting in words."""
    policy = outcome.choice.policy
    begins = (
        f"alerts from a score of {outcome.score:.3f} on" if np.isfinite(outcome.score) else "no alerts at all"
    )
    match policy.by:
        case "budget":
            return f"{begins}, chosen for {words.number(policy.budget)} alerts a day"
        case "cost":
            return f"{begins}, chosen for the least cost"
        case _:
            return begins


def figures(outcome: Outcome) -> dict[str, str]:
    """What a setting does, each figure with its name."""
    report, reach = outcome.report, outcome.reach
    delay = report.recall["microseconds"].get("all", np.nan)
    return {
        "alerts a day": _estimate(report.alerts_per_day, words.number),
        "attacks found": f"{report.found} of {report.attacks}, {_estimate(report.overall, words.percent)}",
        "alerts that are attacks": _estimate(report.precision, words.percent),
        "false alarms per 1,000 honest tasks": _estimate(report.false_alarms, words.number),
        "cost a day": words.number(np.nan if report.cost_per_day is None else report.cost_per_day),
        "median time to the first alert": words.duration(delay),
        "grants within reach before the first alert, mean of an attack": words.number(reach.grants),
        "resources within reach before the first alert": words.number(reach.resources),
    }


def outcome_html(outcome: Outcome) -> str:
    """A setting: its figures, attacks found by kind, and what weakens it."""
    kinds = outcome.report.recall.drop(index="all").sort_values("recall", kind="stable")
    rows = [
        (_plain(kind), f"{row.found:.0f} of {row.attacks:.0f}", f"{words.percent(row.recall)}")
        for kind, row in kinds.iterrows()
    ]
    warnings = [*outcome.choice.warnings, *outcome.report.warnings]
    return (
        f"<p><strong>{escape(_capital(chosen(outcome)))}</strong></p>"
        f"{_table((), figures(outcome).items())}"
        f"<details><summary>Attacks found, by kind</summary>{_table(('attack', 'found', ''), rows)}</details>"
        + "".join(f"<p>{escape(_capital(warning))}.</p>" for warning in warnings)
    )


def comparison_html(compared: Comparison, old: Outcome, new: Outcome) -> str:
    """Two settings side by side, and the alerts that the second gains and loses."""
    olds, news = figures(old), figures(new)
    sides = [("", chosen(old), chosen(new)), *((name, olds[name], news[name]) for name in olds)]
    roles = compared.by_role.reset_index()
    names = ["gained", "lost"]
    changed = roles[roles[names].any(axis=1)]
    columns = ["role", "kind", "old", "new", "gained", "gained_right", "lost", "lost_right"]
    kinds = compared.by_attack
    moved = kinds[kinds[names].any(axis=1)].reset_index()
    gained, lost = (int(roles[name].sum()) for name in names)
    return (
        f"<p><strong>{words.plural(gained, 'alert')} gained, {words.count(lost)} lost</strong></p>"
        f"{_table(('', 'kept', 'now'), sides)}"
        + _part(
            "Alerts by role",
            changed[columns],
            ("role", "of", "kept", "now", "gained", "of attacks", "lost", "of attacks"),
        )
        + _part(
            "Attacks found by kind",
            moved[["attack", "attacks", "old", "new"]],
            ("attack", "attacks", "kept", "now"),
        )
    )


def note_html(text: str, *, wrong: bool = False) -> str:
    """A line about what was done, or why it was not."""
    mark = "<strong>Not done.</strong> " if wrong else ""
    return f'<p role="status">{mark}{escape(text)}</p>'


def _part(title: str, rows: pd.DataFrame, header: Sequence[str]) -> str:
    if rows.empty:
        return ""
    told = [tuple(map(_plain, row)) for row in rows.itertuples(index=False)]
    return f"<details open><summary>{escape(title)}</summary>{_table(header, told)}</details>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col" style="{_NAME}">{escape(name)}</th>' for name in header)
    body = "".join(_row(*row) for row in rows)
    return f'<table style="border-collapse:collapse">{f"<tr>{head}</tr>" if header else ""}{body}</table>'


def _row(name: str, *values: str) -> str:
    cells = "".join(f'<td style="{_VALUE}">{escape(value)}</td>' for value in values)
    return f'<tr><th scope="row" style="{_NAME}">{escape(name)}</th>{cells}</tr>'


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _plain(value: object) -> str:
    return str(value).replace("_", " ") or "no role"


def _estimate(estimate: Estimate, form: Callable[[float], str]) -> str:
    if not np.isfinite(estimate.value):
        return "–"
    return f"{form(estimate.value)} ({form(estimate.low)} to {form(estimate.high)})"
