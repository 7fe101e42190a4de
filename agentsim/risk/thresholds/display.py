"""How a notebook shows thresholds: how they are chosen, what they do, and the file that keeps them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from agentsim import fragments
from agentsim.risk.metrics import Estimate
from agentsim.risk.thresholds.file import ThresholdFile
from agentsim.risk.thresholds.policy import ThresholdPolicy
from agentsim.risk.thresholds.report import ThresholdReport

_WAYS = {
    "fixed": "this score",
    "budget": "so many alerts a day at most",
    "fdr": "this share of the alerts is false at most",
    "cost": "the least expected cost",
    "recall": "named attacks are found at least so often",
}


def policy_html(policy: ThresholdPolicy) -> str:
    """The way in which thresholds are chosen, and its settings."""
    return fragments.fragment(
        f"Thresholds by {policy.by}: {_WAYS[policy.by]}", fragments.facts(_settings(policy))
    )


def report_html(report: ThresholdReport) -> str:
    """What thresholds do on a Run."""
    told = {
        "alerts": report.alerts,
        "of these": ", ".join(f"{count:,} {kind}s" for kind, count in report.by_kind.items() if count)
        or None,
        "alerts a day": _estimate(report.alerts_per_day, "{:,.4g}"),
        "alerts that are attacks": _estimate(report.precision, "{:.0%}"),
        "false alarms per 1,000 honest tasks": _estimate(report.false_alarms, "{:,.3g}"),
        "attacks found": f"{report.found:,} of {report.attacks:,}",
        "cost a day": report.cost_per_day,
    }
    rows = [
        (
            str(kind),
            int(row.attacks),
            int(row.found),
            _estimate(Estimate(row.recall, row.low, row.high), "{:.0%}"),
        )
        for kind, row in report.recall.iterrows()
    ]
    recall = fragments.table(("attack", "attacks", "found", "share, 95 %"), rows)
    warnings = map(fragments.paragraph, report.warnings)
    return fragments.fragment("What the thresholds do", fragments.facts(told), recall, *warnings)


def file_html(file: ThresholdFile) -> str:
    """A file of thresholds."""
    expected = file.expected
    told = {
        "made": file.made,
        "may be used until": file.expires,
        "detector": file.detector,
        "model": file.model.file if file.model else None,
        "chosen by": ", ".join([file.chosen.by, *_words(_settings(file.chosen))]),
        "expected alerts a day": expected.alerts_per_day,
        "expected false alarms per 1,000 honest tasks": expected.false_alarms_per_1000,
        "expected to find": ", ".join(f"{kind} {share:.0%}" for kind, share in expected.recall.items())
        or None,
    }
    begins = [("all", kind, _begin(score)) for kind, score in file.thresholds.items()]
    begins += [
        (role, kind, _begin(score)) for role, kinds in file.roles.items() for kind, score in kinds.items()
    ]
    actions = fragments.table(("done about an alert", "from score"), list(file.actions.items()))
    return fragments.fragment(
        "Thresholds",
        fragments.facts(told),
        fragments.table(("role", "kind", "alert from score"), begins),
        actions,
    )


def _settings(policy: ThresholdPolicy) -> dict[str, Any]:
    """What was given beside the way; parts of it by their own names."""
    told: dict[str, Any] = {}
    for name, value in policy.arguments().items():
        if isinstance(value, Mapping):
            told |= {
                f"{name}: {part}": ", ".join(_words(each)) if isinstance(each, Mapping) else each
                for part, each in value.items()
            }
        elif name != "by":
            told[name] = value
    return told


def _words(told: Mapping[str, Any]) -> Iterable[str]:
    return (f"{name} {fragments.one_line(value)}" for name, value in told.items())


def _begin(score: float | None) -> object:
    return "never" if score is None else score


def _estimate(estimate: Estimate, form: str) -> str:
    """A value with its interval; what cannot be told says so."""
    if np.isnan(estimate.value):
        return "cannot be told"
    value, low, high = (form.format(each) for each in estimate)
    return value if np.isnan(estimate.low) else f"{value} ({low} to {high})"
