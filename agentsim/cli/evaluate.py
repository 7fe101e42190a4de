"""The command ``evaluate``: detectors judged on recorded attacks that they did not learn from."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say

if TYPE_CHECKING:
    import pandas as pd

    from agentsim.risk import HeldOut

#: What people see of each suite, the column that it is, and whether with its interval: JSON has them all.
_COLUMNS = {
    "within agent: ROC-AUC": ("within_roc_auc", True),
    "PR-AUC": ("within_pr_auc", False),
    "plain: ROC-AUC": ("roc_auc", False),
    "PR-AUC ": ("pr_auc", False),
    "found at 1 %": ("recall_at_1", False),
    "at 5 %": ("recall_at_5", True),
}


class LeaveOut(StrEnum):
    """What may be left out of learning."""

    SUITE = "suite"
    TASK = "task"
    AGENT = "agent"


@app.command(epilog="Example: `agentsim evaluate data/runs/traces --leave-out suite --no-sizes`")
def evaluate(
    run: Annotated[
        Path, typer.Argument(help="A replayed Run with labels, from `agentsim replay`.", metavar="RUN")
    ],
    train: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Another replayed Run: labels are learned from it alone."),
    ] = None,
    leave_out: Annotated[
        LeaveOut | None,
        typer.Option(
            help="Whose labels are never learned while it is judged; an agent with all that run on its model.",
            show_default="suite, nothing with --train",
        ),
    ] = None,
    no_sizes: Annotated[
        bool,
        typer.Option(
            "--no-sizes",
            help="Leave out the detectors that read lengths and digests of arguments and results.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Judge detectors on recorded attacks, with whole suites, tasks or agents left out of learning.

    Only attacked runs are scored. Never-attacked runs of the judged suite by other models say what its tasks need. *Within
    agent* compares the runs of one agent with each other and averages with its positives as weights: how often an agent falls
    is mostly a matter of the agent. The prior knows that alone. Intervals are of 95 %, by resampling tasks.
    """
    from agentsim.risk import hold_out
    from agentsim.run import Run

    found = hold_out(
        Run(run),
        train=None if train is None else Run(train),
        leave_out=None if leave_out is None else leave_out.value,
        sizes=not no_sizes,
        progress=progress(),
    )
    if as_json:
        named = {"run": str(run), "train": None if train is None else str(train)}
        print_json(named | _as_dict(found))
        return
    _print(found)


def _as_dict(found: HeldOut) -> dict[str, Any]:
    return {
        "leave_out": found.leave_out,
        "figures": json.loads(found.figures.to_json(orient="records")),
        "over_suites": json.loads(found.over_suites().to_json(orient="records")),
        "warnings": list(found.warnings),
    }


def _print(found: HeldOut) -> None:
    from agentsim.cli.terminal import print_table

    for suite, rows in found.figures.groupby("suite", sort=False):
        about = rows.iloc[0]
        say(
            f"\n{suite}: {about['scored']:,.0f} attacked runs scored, {about['attacks']:,.0f} attacks succeeded "
            f"(base rate {about['base_rate']:.3f}; within agent {about['within_base_rate']:.3f})"
        )
        print_table(
            ("detector", "learns", *_COLUMNS),
            [
                (row["detector"], row["learns"], *(_figure(row, *column) for column in _COLUMNS.values()))
                for _, row in rows.iterrows()
            ],
        )
    if found.figures["suite"].nunique() > 1:
        say("\nOver the suites, ROC-AUC within agent")
        print_table(
            ("detector", "learns", "mean", "worst"),
            [
                (row["detector"], row["learns"], row["mean"], row["worst"])
                for _, row in found.over_suites().iterrows()
            ],
        )
    for warning in found.warnings:
        say(f"\nNote: {warning}")


def _figure(row: pd.Series[Any], name: str, with_interval: bool) -> str:
    if row[name] != row[name]:
        return "-"
    interval = f" ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})" if with_interval else ""
    return f"{row[name]:.3f}{interval}"
