"""Commands on trained models: model train, model show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, app, print_json
from agentsim.cli.plain import say

if TYPE_CHECKING:
    from agentsim.risk.modelcard import ModelCard

model = typer.Typer(
    help="Train detectors on a Run that nobody attacked, and tell what a trained model is.",
    rich_markup_mode="markdown",
    no_args_is_help=True,
)
app.add_typer(model, name="model")


@model.command(epilog="Example: `agentsim model train data/runs/reference -o models/acme`")
def train(
    run: Annotated[Path, typer.Argument(help="The directory of a Run without attackers.", metavar="RUN")],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The model's directory; a model there is replaced.", metavar="DIR"),
    ],
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of what is drawn in training.")] = 0,
    as_json: Json = False,
) -> None:
    """Train the detectors on what is usual in a Run, and save them with a card that says where they are from.

    What the Run holds counts as usual: take one without attackers, of another seed than those to be judged. The same Run
    and seed give the same estimators to the byte. Models are saved with skops, never as pickle.
    """
    from agentsim.risk.model import train as fit
    from agentsim.run import Run

    card = fit(Run(run), name=out.name, seed=seed).save(out)
    if as_json:
        print_json({"model": str(out), **card.model_dump(mode="json", by_alias=True)})
        return
    _print_head(card)
    say(f"\nNext: agentsim model show {out}")


@model.command(epilog="Example: `agentsim model show models/acme`")
def show(
    path: Annotated[Path, typer.Argument(help="The model's directory.", metavar="DIR")],
    as_json: Json = False,
) -> None:
    """Tell what a model was trained on, what it reads and what it is not for.

    The model is opened for it: one that was changed, or was made by something else, is refused.
    """
    from agentsim.risk.model import load

    card = load(path).card
    if as_json:
        print_json({"model": str(path), **card.model_dump(mode="json", by_alias=True)})
        return
    _print_head(card)
    _print_parts(card)


def _print_head(card: ModelCard) -> None:
    from agentsim.cli.terminal import print_figures

    kinds = card.kinds.items()
    figures = {
        "model": card.name,
        "made": card.created_at,
        "trained on": ", ".join(f"{run.name} (seed {run.seed})" for run in card.training),
        "learned from": ", ".join(
            f"{entry.entities:,} {kind}s in {entry.trees:,} trees" for kind, entry in kinds
        ),
        "features": len(card.features),
        "seed": card.seed,
    }
    if card.estimators is not None:
        figures |= {"sha256": card.estimators.sha256, "bytes": card.estimators.bytes}
    print_figures(figures)
    if card.warnings:
        say("\n" + "\n".join(f"Warning: {warning}" for warning in card.warnings))


def _print_parts(card: ModelCard) -> None:
    from agentsim.cli.terminal import print_rows

    say("\nTrained on\n")
    print_rows(("name", "kind", "seed", "digest", "reproduce"), [run.model_dump() for run in card.training])
    say("\nDetectors\n")
    print_rows(
        ("of", "detector", "estimator", "parameters"),
        [
            {"of": kind, "detector": each.name, **estimator}
            for kind, entry in card.kinds.items()
            for each in entry.detectors
            for estimator in _estimators(each.estimators)
        ],
    )
    say("\nFeatures\n")
    print_rows(
        ("feature", "family", "unit", "meaning"),
        [{"feature": name, **entry.model_dump()} for name, entry in card.features.items()],
    )
    say("\nVersions\n")
    print_rows(
        ("library", "version"), [{"library": name, "version": text} for name, text in card.versions.items()]
    )
    say(f"\nUse: {card.intended_use}")
    say("\n".join(f"Limit: {limit}" for limit in card.limits))


def _estimators(estimators: dict[str, dict[str, object]]) -> list[dict[str, str]]:
    rows = []
    for parameters in estimators.values():
        told = {name: value for name, value in parameters.items() if name != "class"}
        text = ", ".join(f"{name}={value}" for name, value in told.items() if value is not None)
        rows.append({"estimator": str(parameters["class"]), "parameters": text})
    return rows
