"""How ``agentsim drill`` lays out what was found."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from agentsim.cli.plain import say
from agentsim.cli.terminal import print_table

if TYPE_CHECKING:
    import pandas as pd

    from agentsim.experiments.drill import Drill

_RECALL = {
    "attacks": "attacks",
    "found": "found",
    "recall %": "recall %",
    "from": "low %",
    "to": "high %",
    "PR-AUC": "pr_auc",
    "base rate": "base_rate",
}


def print_drill(told: Drill, folder: Path) -> None:
    """Print what a drill tells."""
    say(told.verdict)
    if len(told.giveaways):
        say("\nThe simulator gives these away, by features that are no signal of theirs:")
    _table(told.giveaways, {"Attack": "attack", "of": "kind", "by": "feature", "ROC-AUC": "roc_auc"})
    _table(
        told.detectors,
        {
            "Detector": "detector",
            "recall %": "mean_recall %",
            "from": "mean_recall_low %",
            "to": "mean_recall_high %",
            "PR-AUC": "pr_auc",
            "base rate": "base_rate",
            "false/1,000": "false_alarms_per_1000",
            "worst Run": "worst_run_false_alarms_per_1000",
        },
    )
    best = told.detectors["detector"].iloc[0]
    _table(told.kinds[told.kinds["detector"] == best].sort_values("recall"), {"Attack": "attack", **_RECALL})
    if len(told.below):
        say("\nFewer than 80 % are found of:")
    print_table(("Attack", "why"), told.below[["attack", "why"]].itertuples(index=False, name=None))
    if len(told.sweep):
        say("\nRecall % of the default model by stealth:")
        by_stealth = 100 * told.sweep.pivot_table(index="attack", columns="stealth", values="recall")
        rows = [(str(kind), *(f"{value:.0f}" for value in row)) for kind, *row in by_stealth.itertuples()]
        print_table(("Attack", *(f"{stealth:g}" for stealth in by_stealth.columns)), rows)
    if len(told.corruptions):
        _table(
            told.corruptions,
            {
                "Corruption": "corruption",
                "detector": "detector",
                "recall %": "mean_recall %",
                "from": "low %",
                "to": "high %",
                "PR-AUC": "pr_auc",
                "false/1,000": "false_alarms_per_1000",
            },
        )
    say(
        "\nrecall: mean over kinds of attack, each counting the same; from, to: 95 %. PR-AUC, base rate: each attack by its "
        "highest score\namong honest grants, trees and agents. false/1,000: alerts outside of attacked trees for each thousand "
        "honest tasks, on the\nsealed Runs; the threshold was chosen where nobody attacks. What learned from labels never "
        f"met the kind that it is judged on.\nRuns and figures: {folder}"
    )


def _table(frame: pd.DataFrame, columns: dict[str, str]) -> None:
    """Print columns of a table; one whose name ends in % holds shares."""
    shown = [
        frame[name].tolist()
        if not name.endswith(" %")
        else [f"{100 * value:.0f}" for value in frame[name.removesuffix(" %")]]
        for name in columns.values()
    ]
    rows = [
        tuple(f"{cell:.3g}" if isinstance(cell, float) else cell for cell in row)
        for row in zip(*shown, strict=True)
    ]
    print_table(tuple(columns), rows)
