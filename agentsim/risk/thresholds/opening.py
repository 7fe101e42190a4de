"""The model that a file of thresholds was chosen for. Apart from reading the file, since models take long to import."""

from __future__ import annotations

from pathlib import Path

from agentsim.risk.model import Model, load
from agentsim.risk.thresholds.case import ThresholdError
from agentsim.risk.thresholds.file import ThresholdFile


def open_model(file: ThresholdFile, path: Path) -> Model:
    """Open the model that the thresholds were chosen for.

    Parameters
    ----------
    file, path : the thresholds, and where they were read: the model is named as seen from there.

    Raises
    ------
    ThresholdError
        If the file names no model, or another one is where it says.
    ModelError
        If none is there, or it cannot be trusted.
    """
    if file.model is None:
        raise ThresholdError(
            f"{path}: names no model, so nothing can be scored; 'agentsim tune -o' writes both"
        )
    model = load(path.parent / file.model.file)
    if (found := digest(model)) != file.model.sha256:
        raise ThresholdError(
            f"{path}: chosen for the model {file.model.sha256[:12]}…, but {file.model.file} is {found[:12]}…; "
            "scores of another model mean something else, so choose anew with 'agentsim tune'"
        )
    return model


def digest(model: Model) -> str:
    """The SHA-256 of a saved model; empty where it was never saved."""
    return model.card.estimators.sha256 if model.card.estimators else ""
