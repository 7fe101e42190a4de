"""The command that judges detection on simulated attacks of sealed seeds: drill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.runs import RUNS

if TYPE_CHECKING:
    import pandas as pd

    from agentsim.experiments.drill import Drill

_SCENARIO = Path("data/scenarios/attacks.yaml")


@app.command(epilog="Example: `agentsim drill data/scenarios/attacks.yaml --stealth 0.5 --sweep`")
def drill(
    scenario: Annotated[
        Path,
        typer.Argument(
            help="The organisation, a YAML file; attacks of its own are not played.", metavar="SCENARIO"
        ),
    ] = _SCENARIO,
    stealth: Annotated[
        float, typer.Option(metavar="S", help="Of all attacks: 0 loud, 1 as their victims but for one thing.")
    ] = 0.5,
    rate: Annotated[
        float, typer.Option(metavar="SHARE", help="False alarms allowed for each honest task.")
    ] = 0.001,
    sealed: Annotated[
        int, typer.Option(min=1, metavar="N", help="How many Runs are judged, each of another seed.")
    ] = 3,
    agents: Annotated[int, typer.Option(min=1, metavar="N", help="Number of agents in each Run.")] = 12_000,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="What all seeds are made from, instead of the scenario's."),
    ] = None,
    sweep: Annotated[
        bool, typer.Option("--sweep", help="Play stealth 0, 0.25, 0.5, 0.75 and 1 as well.")
    ] = False,
    corrupt: Annotated[
        bool, typer.Option("--corrupt", help="Spoil what is learned from as well, and tell what that costs.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Where Runs and figures are kept; what is there already is not played again.",
            show_default="data/runs/NAME-SEED-drill",
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="J", help="Processes that tenants are dealt to.", show_default="one per core"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Play every kind of attack, and tell how many are found at one false alarm per thousand honest tasks.

    Detectors learn from a Run that nobody attacked, the threshold comes from another such Run, and figures from sealed Runs
    of other seeds. First it is checked that the simulator gives no attack away.
    """
    from agentsim.experiments.drill import STEALTHS, Plan
    from agentsim.experiments.drill import drill as hold
    from agentsim.simulation import load_scenario

    chosen = load_scenario(scenario).with_agents(agents)
    if seed is not None:
        chosen = chosen.with_seed(seed)
    plan = Plan(chosen, stealth=stealth, sealed=sealed, rate=rate)
    folder = out or RUNS / f"{chosen.name}-{chosen.seed}-drill"
    stealths = STEALTHS if sweep else ()
    told = hold(plan, folder, stealths=stealths, corrupt=corrupt, jobs=jobs, progress=progress())
    if as_json:
        print_json({"folder": str(folder), **told.as_dict()})
    else:
        _print(told, folder)


def _print(told: Drill, folder: Path) -> None:
    from agentsim.cli.terminal import print_table

    typer.echo(told.verdict)
    if len(told.giveaways):
        typer.echo("\nThe simulator gives these away, by features that are no signal of theirs:")
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
        typer.echo("\nFewer than 80 % are found of:")
    print_table(("Attack", "why"), told.below[["attack", "why"]].itertuples(index=False, name=None))
    if len(told.sweep):
        typer.echo("\nRecall % of the default model by stealth:")
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
    typer.echo(
        "\nrecall: mean over kinds of attack, each counting the same; from, to: 95 %. PR-AUC, base rate: each attack by its "
        "highest score\namong honest grants, trees and agents. false/1,000: alerts outside of attacked trees for each thousand "
        "honest tasks, on the\nsealed Runs; the threshold was chosen where nobody attacks. What learned from labels never "
        f"met the kind that it is judged on.\nRuns and figures: {folder}"
    )


_RECALL = {
    "attacks": "attacks",
    "found": "found",
    "recall %": "recall %",
    "from": "low %",
    "to": "high %",
    "PR-AUC": "pr_auc",
    "base rate": "base_rate",
}


def _table(frame: pd.DataFrame, columns: dict[str, str]) -> None:
    """Print columns of a table; one whose name ends in % holds shares."""
    from agentsim.cli.terminal import print_table

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
