"""The card of a saved model: what it was trained on, what it reads, and what it must not be used for."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sklearn.base import BaseEstimator

from agentsim.errors import UserError
from agentsim.inputs import MEGABYTE, read_bounded
from agentsim.risk.catalogue import FEATURES
from agentsim.risk.detectors import Combined, Detector, Deviating, DeviationForest
from agentsim.risk.evidence import Evidence
from agentsim.risk.states import EntityKind
from agentsim.run import Run
from agentsim.run.provenance import versions

#: Raised whenever a field changes its meaning, or the estimators' file its layout.
SCHEMA = 1
_LARGEST = 16 * MEGABYTE

INTENDED_USE = (
    "Ranks grants of the organisation that the training Run is of by how unusual they are, for people who look "
    "at alerts and for thresholds chosen on Runs of other seeds."
)
LIMITS = (
    "What is unusual is not always an attack, and an attack that does what its victim does is not unusual.",
    "Trained on simulated work, it knows our simulator's agents; train it on your own Runs before you rely on it.",
    "Whatever was in the training Run counts as usual: attacks in it will not be seen again.",
    "A role, tool or resource that came up after training looks unusual until the model is trained again.",
    "The hash tells that the file is the one that the card speaks of, not who made them.",
)


class ModelError(UserError):
    """A file is no model that this version can trust and use; the message says why and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingRun(_Part):
    """A Run that a model has learned from."""

    name: str
    kind: str
    seed: int | None
    #: :meth:`agentsim.run.Manifest.digest`.
    digest: str
    commit: str | None
    #: The command that makes the same Run again.
    reproduce: str


class DetectorEntry(_Part):
    """One detector: its estimators with their parameters."""

    name: str
    class_name: str
    estimators: dict[str, dict[str, Any]]


class KindEntry(_Part):
    """What scores one kind of entity."""

    #: Entities and trees that it was trained on.
    entities: int
    trees: int
    roles: tuple[str, ...]
    detectors: tuple[DetectorEntry, ...]
    #: How many of the detectors' ranks are summed.
    largest: int
    features: tuple[str, ...]


class FeatureEntry(_Part):
    """A feature as it was when the model learned."""

    family: str
    unit: str
    meaning: str


class EstimatorsEntry(_Part):
    """The file that holds the estimators."""

    file: str
    sha256: str
    bytes: int


class ModelCard(_Part):
    """What a model says of itself, in ``card.json``."""

    #: ``schema`` in the file.
    format: int = Field(default=SCHEMA, alias="schema")
    name: str
    created_at: str
    #: Seed of what is drawn in training: folds, and the cuts of forests.
    seed: int
    training: tuple[TrainingRun, ...]
    kinds: dict[EntityKind, KindEntry]
    features: dict[str, FeatureEntry]
    versions: dict[str, str]
    intended_use: str = INTENDED_USE
    limits: tuple[str, ...] = LIMITS
    warnings: tuple[str, ...] = ()
    #: The estimators' file; None as long as it is not saved.
    estimators: EstimatorsEntry | None = None


def training_run(run: Run) -> TrainingRun:
    """What is to be known of a Run, to train the same again."""
    manifest = run.manifest
    return TrainingRun(
        name=manifest.name,
        kind=manifest.kind,
        seed=manifest.seed,
        digest=manifest.digest(),
        commit=manifest.commit,
        reproduce=manifest.reproduce,
    )


def kind_entry(combined: Combined, evidence: Evidence) -> KindEntry:
    """What is to be known of the detectors of one kind of entity, and of what they learned from."""
    wanted = {name for member in combined.members_ for name in _features(member)}
    return KindEntry(
        entities=len(evidence),
        trees=len(np.unique(evidence.tree)),
        roles=tuple(sorted(set(evidence.role))),
        detectors=tuple(_entry(member) for member in combined.members_),
        largest=combined.estimator_.largest,
        features=tuple(name for name in FEATURES if name in wanted),
    )


def feature_entries(kinds: Iterable[KindEntry]) -> dict[str, FeatureEntry]:
    """Unit and meaning of each feature that is read."""
    wanted = {name for kind in kinds for name in kind.features}
    return {
        name: FeatureEntry(family=feature.family, unit=feature.unit, meaning=feature.meaning)
        for name, feature in FEATURES.items()
        if name in wanted
    }


def library_versions() -> dict[str, str]:
    """Of all that takes part in training and loading."""
    return {**versions(), "scipy": version("scipy"), "skops": version("skops")}


def read_card(file: Path) -> ModelCard:
    """Read a card.

    Raises
    ------
    ModelError
        If there is none, it cannot be read, or a newer version wrote it.
    """
    try:
        data = json.loads(read_bounded(file, _LARGEST))
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(
            f"{file.parent}: no model here (no {file.name}); make one with 'agentsim model train'"
        ) from None
    except OSError as exc:
        raise ModelError(f"{file}: cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ModelError(f"{file}: cannot be read: {exc}") from exc
    except RecursionError:
        raise ModelError(f"{file}: cannot be read: nested too deeply") from None
    written = data.get("schema") if isinstance(data, dict) else None
    if isinstance(written, int) and written > SCHEMA:
        raise ModelError(f"{file}: of schema {written}, this version reads up to {SCHEMA}; update agentsim")
    try:
        return ModelCard.model_validate(data)
    except ValidationError as exc:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in exc.errors()]
        raise ModelError(f"{file}: not a model's card: {'; '.join(faults)}") from None


def _features(member: Detector) -> list[str]:
    return member.encoder_.names_ if isinstance(member, Deviating | DeviationForest) else []


def _entry(member: Detector) -> DetectorEntry:
    estimators = {
        name.rstrip("_"): {"class": type(part).__name__, **part.get_params(deep=False)}
        for name, part in vars(member).items()
        if isinstance(part, BaseEstimator)
    }
    return DetectorEntry(name=member.name, class_name=type(member).__name__, estimators=estimators)
