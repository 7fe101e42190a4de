"""How ``agentsim tune`` lays out what it found."""

from __future__ import annotations

from collections.abc import Iterable
from math import isnan
from typing import TYPE_CHECKING, Any

from agentsim.cli.plain import say
from agentsim.cli.terminal import print_figures, print_rows, print_table

if TYPE_CHECKING:
    import pandas as pd

    from agentsim.experiments.tuning import Tuned
    from agentsim.risk import Estimate
    from agentsim.risk.thresholds import Comparison, ThresholdReport

_FOUND = ("Attack", "attacks", "found", "recall %", "from", "to", "operations", "seconds", "descendants")
_BY_ROLE = ["role", "kind", "old", "new", "gained", "gained_right", "lost", "lost_right"]
_ALERTS = ("kind", "tenant", "entity", "role", "old_score", "new_score", "attacked")


def print_tuned(tuned: Tuned) -> None:
    """Print thresholds and what they do."""
    file = tuned.file
    begin = {f"alert from ({kind})": _score(value) for kind, value in file.thresholds.items()}
    print_figures(
        {
            "detector": file.detector,
            **begin,
            "actions": ", ".join(f"{name} from {score:.4g}" for name, score in file.actions.items())
            or "none",
            "alerts where chosen": tuned.choice.alerts,
            **_figures(tuned.report),
        }
    )
    print_table(
        ("Role", "kind", "alert from"),
        [
            (role or "no role", kind, _score(value))
            for role, kinds in file.roles.items()
            for kind, value in kinds.items()
        ],
    )
    print_table(_FOUND, _found(tuned.report))
    if len(tuned.report.recall) > 1:
        say("\nfrom, to: 95 %, Wilson; then medians until the first alert, over the attacks that were found.")
    _warn(tuned.warnings)


def print_comparison(compared: Comparison) -> None:
    """Print what one set of thresholds gains and loses against another."""
    olds, news = _figures(compared.old), _figures(compared.new)
    print_table(("", "old", "new"), [(name, olds[name], news[name]) for name in olds])
    print_table(
        ("Role", "kind", "old", "new", "gained", "of attacks", "lost", "of attacks"),
        compared.by_role.reset_index()[_BY_ROLE].itertuples(index=False, name=None),
    )
    print_table(
        ("Attack", "attacks", "old", "new", "gained", "lost"),
        [(str(kind), *map(int, row)) for kind, row in compared.by_attack.iterrows()],
    )
    for title, rows in (("Gained, the highest", compared.gained), ("Lost, the highest", compared.lost)):
        if len(rows):
            say(f"\n{title}:")
            print_rows(_ALERTS, _told(rows))
    _warn(compared.warnings)


def _figures(report: ThresholdReport) -> dict[str, str]:
    figures = {
        "alerts": f"{report.alerts:,} ({', '.join(f'{kind} {n:,}' for kind, n in report.by_kind.items() if n) or 'none'})",
        "alerts a day": _estimate(report.alerts_per_day, "{:,.4g}"),
        "false alarms per 1,000 honest tasks": _estimate(report.false_alarms, "{:.3g}"),
        "alerts that are attacks": _estimate(report.precision, "{:.1%}"),
        "attacks found": f"{report.found:,} of {report.attacks:,}",
    }
    if report.cost_per_day is not None:
        figures["cost a day"] = f"{report.cost_per_day:,.4g}"
    return figures


def _found(report: ThresholdReport) -> Iterable[tuple[Any, ...]]:
    if not report.attacks:
        return
    for kind, row in report.recall.iterrows():
        shares = (f"{100 * row[name]:.0f}" for name in ("recall", "low", "high"))
        medians = (row["honoured"], row["microseconds"] / 1e6, row["descendants"])
        told = ("-" if isnan(value) else f"{value:,.3g}" for value in medians)
        yield str(kind), int(row["attacks"]), int(row["found"]), *shares, *told


def _told(rows: pd.DataFrame) -> Iterable[dict[str, Any]]:
    for row in rows.to_dict("records"):
        scores = {
            name: "-" if isnan(row[name]) else f"{row[name]:.4g}" for name in ("old_score", "new_score")
        }
        told = {str(name): value for name, value in row.items()}
        yield {**told, **scores, "attacked": "yes" if row["attacked"] else "no"}


def _estimate(estimate: Estimate, form: str) -> str:
    if isnan(estimate.value):
        return "not known"
    return f"{form.format(estimate.value)} ({form.format(estimate.low)} to {form.format(estimate.high)})"


def _score(value: float | None) -> str:
    return "never" if value is None else f"{value:.6g}"


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        say(f"\nNote: {warning[:1].upper()}{warning[1:]}.")
