"""What the ``anomaly`` report says, for simulated and replayed Runs alike: sections, method and limits."""

from __future__ import annotations

from typing import Literal

import pandas as pd

from agentsim.experiments import UNSEEN, DetectionResult, judge
from agentsim.reporting import words
from agentsim.reporting.anomaly.ranking import precision_recall, scores
from agentsim.reporting.anomaly.replayed import found, left_out, within_agent
from agentsim.reporting.anomaly.simulated import budgets, detectors, recall
from agentsim.reporting.anomaly.stealth import by_stealth
from agentsim.reporting.errors import ReportError
from agentsim.reporting.figures import Folded, Note, Picture, Table
from agentsim.reporting.opening import open_run
from agentsim.reporting.summary import Number, label_of

#: Who misses more than a tenth of the attacks, or is wrong more often than right, should not call it in order.
_MOST, _HALF = 0.9, 0.5


def tone(result: DetectionResult) -> Literal["good", "watch"]:
    """Whether the attacks can be seen within the budget; for recorded traces, at 1 % false alarms."""
    if result.report is None:
        seen = result.numbers[1].value >= _MOST
    else:
        report, attacked = result.report, result.scores["attacked"].any()
        kept = report.alerts_per_day.low <= result.alert_budget
        seen = kept and bool(
            not attacked or (report.overall.value >= _MOST and report.precision.value >= _HALF)
        )
    return "good" if seen else "watch"


def numbers(result: DetectionResult) -> list[Number]:
    """The three numbers; what is in parentheses becomes the note."""
    told = []
    for number in result.numbers:
        value, _, interval = number.text.partition(" (")
        note = f"95% interval {interval.rstrip(')')}" if interval else ""
        told.append(Number(value=value, label=number.label, note=note))
    return told


def findings(result: DetectionResult) -> list[Picture | Table | Note]:
    """What was seen, picture by picture."""
    if result.kind == "replay":
        return [
            within_agent(result),
            found(result),
            left_out(result),
            precision_recall(result),
            scores(result),
        ]
    return [
        recall(result),
        *by_stealth(result),
        budgets(result),
        precision_recall(result),
        scores(result),
        detectors(result),
    ]


def beside(result: DetectionResult, replayed: str, alert_budget: float) -> list[Picture | Table | Note]:
    """The same question asked of recorded traces.

    Parameters
    ----------
    result : of the reported Run.
    replayed : directory of a replayed Run; empty for none.
    alert_budget : alerts a day.

    Raises
    ------
    RunError
        If there is no such Run.
    ReportError
        If it is no replay.
    """
    if not replayed:
        if result.kind == "replay":
            return [
                Note(
                    "This report is about recorded traces; simulated attacks are in the report of a simulated run."
                )
            ]
        text = "No recorded traces were set beside this run. Name a replayed one: -p replayed=data/runs/NAME"
        return [Note(text)]
    run = open_run(replayed)
    if run.manifest.kind != "replay":
        raise ReportError(
            f"replayed={replayed}: this run is a {run.manifest.kind}, not a replay of recorded traces"
        )
    real = judge(run, alert_budget=alert_budget)
    return [Note(f"Recorded traces, run {label_of(run)}: {real.verdict}"), within_agent(real), found(real)]


def method(result: DetectionResult) -> list[str]:
    """How this was done, seeds included."""
    seeds = ", ".join(f"{name} {seed}" for name, seed in result.seeds.items())
    return [*result.method, f"Seeds: {seeds}."]


def limits(result: DetectionResult) -> list[str]:
    """What weakens the numbers, and what they do not say."""
    said = [
        "A token server sees who asked for which tool, resource and scope, when, from where, and what was refused. It "
        "sees no prompt, no argument and no answer: an attack that does what its task usually does is invisible here.",
    ]
    if result.kind == "replay":
        said.append(
            "The traces come from benchmarks with injected attacks, not from the wild; other models, tools and attackers will differ."
        )
    else:
        said += [
            "The simulated attacks are our own invention, and so is what honest agents do. That a detector sees them says that it works "
            "as meant, not that it would see yours.",
            f"Shares are of attacks in this run; {words.number(result.alert_budget)} alerts a day mean something else where attacks are rarer.",
        ]
    return [*said, *(_sentence(warning) for warning in result.warnings)]


def unseen() -> list[Folded]:
    """What no token server sees, with the reasons, and the attacks that may come of it."""
    rows = [
        {
            "threat": f"{threat.name[0].upper()}{threat.name[1:]} ({', '.join(threat.tags)})",
            "why it is not seen": threat.reason,
            "what may be seen of it": ", ".join(effect.replace("_", " ") for effect in threat.effects),
        }
        for threat in UNSEEN
    ]
    summary = f"What a token server cannot see, and why: {len(rows)} kinds of threats"
    return [Folded(pd.DataFrame(rows), summary)]


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:].rstrip(".") + "." if text else text
