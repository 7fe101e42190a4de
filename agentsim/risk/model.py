"""A trained model: detectors of each kind of entity on one scale, saved with a card that says where it is from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from agentsim.fragments import one_line
from agentsim.inputs import MEGABYTE, read_bounded
from agentsim.risk.behaviour import Behaviour, read_behaviour
from agentsim.risk.evidence import Evidence, gather, learn_peers
from agentsim.risk.fitted import Fitted, fit
from agentsim.risk.modelcard import (
    SCHEMA,
    EstimatorsEntry,
    ModelCard,
    ModelError,
    feature_entries,
    kind_entry,
    library_versions,
    read_card,
    training_run,
)
from agentsim.risk.modelfile import dump_fitted, load_fitted
from agentsim.risk.states import KINDS, EntityKind
from agentsim.run import Run
from agentsim.run.files import replacing

CARD, ESTIMATORS = "card.json", "estimators.skops"
_LARGEST = 512 * MEGABYTE
#: With fewer entities, or trees, nothing can be said of what is usual.
_LEAST_ENTITIES, _LEAST_TREES = 30, 3
#: With fewer entities, one false alarm in a thousand rests on less than ten of them.
_FEW_ENTITIES = 10_000


@dataclass(frozen=True)
class Model:
    """What was learned from a Run, and its card."""

    fitted: Fitted
    card: ModelCard

    def score(self, run: Run) -> pd.DataFrame:
        """Scores of every entity of a Run.

        Returns
        -------
        One row per entity: ``kind``, ``tenant``, ``entity`` (id), ``tree`` (code; the same tree, the same code),
        ``role``, ``score``, and each detector's own rank under its name.
        """
        return pd.concat([table for _, table in self.judge(read_behaviour(run))], ignore_index=True)

    def judge(self, behaviour: Behaviour) -> Iterator[tuple[Evidence, pd.DataFrame]]:
        """The evidence of each kind of entity, and its scores as in :meth:`score`."""
        for kind in self.fitted.detectors:
            evidence = gather(behaviour, kind, self.fitted.peers)
            scores = self.score_evidence(kind, evidence)
            about = {
                "kind": kind,
                "tenant": evidence.tenant,
                "entity": scores.index,
                "tree": evidence.tree,
                "role": evidence.role,
            }
            yield evidence, pd.concat([pd.DataFrame(about, index=scores.index), scores], axis=1)

    def score_evidence(self, kind: EntityKind, evidence: Evidence) -> pd.DataFrame:
        """``score`` and each detector's own rank of the rows of some evidence, in its order and with its index."""
        return pd.DataFrame(self.fitted.detectors[kind].ranks(evidence), index=evidence.features.index)

    def save(self, path: Path) -> ModelCard:
        """Write the model as a directory of two files; one that is there is replaced.

        Raises
        ------
        ModelError
            If something else is there.
        """
        if path.exists() and not (path.is_dir() and ((path / CARD).exists() or not any(path.iterdir()))):
            raise ModelError(f"{path}: is there already and no model; choose another name")
        data = dump_fitted(self.fitted)
        entry = EstimatorsEntry(file=ESTIMATORS, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        card = self.card.model_copy(update={"estimators": entry})
        path.mkdir(parents=True, exist_ok=True)
        # The card last: where writing ends in between, the old card does not fit, and the model is refused.
        for name, content in ((ESTIMATORS, data), (CARD, _json(card))):
            with replacing(path / name) as temporary:
                temporary.write_bytes(content)
        return card


def train(reference: Run, *, name: str, seed: int = 0) -> Model:
    """Train the default detectors on a Run that nobody attacked.

    Parameters
    ----------
    reference : what is usual; of another seed than what is judged.
    name : of the model, for its card.
    seed : of what is drawn in training.

    Raises
    ------
    ModelError
        If the Run holds too few entities to learn from.
    """
    warnings = _doubts(reference)
    behaviour = read_behaviour(reference)
    evidence = {kind: gather(behaviour, kind) for kind in KINDS}
    for kind, each in evidence.items():
        trees = len(np.unique(each.tree))
        if len(each) < _LEAST_ENTITIES or trees < _LEAST_TREES:
            raise ModelError(
                f"{reference.path}: {len(each)} {kind}s in {trees} trees are too few to learn from; "
                f"a model needs {_LEAST_ENTITIES} in {_LEAST_TREES}, and {_FEW_ENTITIES:,} to be good"
            )
        if len(each) < _FEW_ENTITIES:
            warnings.append(
                f"{len(each):,} {kind}s: what one in {len(each):,} does, or fewer, is extrapolated"
            )
    fitted = fit(evidence, learn_peers(behaviour), seed)
    kinds = {kind: kind_entry(fitted.detectors[kind], each) for kind, each in evidence.items()}
    card = ModelCard(
        schema=SCHEMA,
        name=name,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        training=(training_run(reference),),
        kinds=kinds,
        features=feature_entries(kinds.values()),
        versions=library_versions(),
        warnings=tuple(warnings),
    )
    return Model(fitted, card)


def load(path: Path) -> Model:
    """Open a saved model.

    Raises
    ------
    ModelError
        If there is none, it is not the file that its card speaks of, it holds types that are not trusted, or
        another scikit-learn made it.
    """
    card = read_card(path / CARD)
    if card.estimators is None:
        raise ModelError(f"{path / CARD}: names no file of estimators; train the model again")
    # The name is fixed: a card must not lead anywhere else.
    file = path / ESTIMATORS
    try:
        data = read_bounded(file, _LARGEST)
    except OSError as exc:
        raise ModelError(f"{file}: cannot be read: {exc.strerror}") from exc
    if (found := hashlib.sha256(data).hexdigest()) != card.estimators.sha256:
        raise ModelError(
            f"{file}: is not the file of its card (sha256 {found[:12]}…, the card says "
            f"{card.estimators.sha256[:12]}…); it was changed, or mixed up with another model's"
        )
    made, here = card.versions.get("scikit-learn", "unknown"), version("scikit-learn")
    if _release(made) != _release(here):
        raise ModelError(
            f"{path}: made with scikit-learn {one_line(made)}, this is {here}; train it again: "
            f"agentsim model train RUN -o {path}"
        )
    try:
        fitted = load_fitted(data)
    except ModelError as exc:
        raise ModelError(f"{file}: {exc}") from exc
    if set(fitted.detectors) != set(card.kinds):
        raise ModelError(
            f"{file}: holds detectors of {sorted(fitted.detectors)}, its card speaks of {sorted(card.kinds)}"
        )
    return Model(fitted, card)


def _doubts(reference: Run) -> list[str]:
    """Why a Run may be no good reference, as far as its manifest tells; labels are none of a model's business."""
    doubts = []
    kinds = {str(attack.get("kind")) for attack in reference.manifest.source.get("attacks") or []}
    if kinds:
        doubts.append(
            f"the training Run's scenario has attackers, who count as usual: {', '.join(sorted(kinds))}"
        )
    if reference.manifest.status != "complete":
        doubts.append(f"the training Run is not complete: {reference.manifest.status}")
    return doubts


def _release(of: str) -> list[str]:
    return of.split(".")[:2]


def _json(card: ModelCard) -> bytes:
    return (card.model_dump_json(by_alias=True, indent=2) + "\n").encode()
