"""Who is compared in a drill: the default model, each of its members alone, a forest, and what learns from labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from agentsim.experiments.drill.arena import Side
from agentsim.experiments.scoring import scores_of
from agentsim.risk import Combined, DeviationForest, Evidence
from agentsim.risk.behaviour import Floats
from agentsim.risk.detectors import Boosted, Columns, leave_kinds_out
from agentsim.risk.states import EntityKind

#: The default model, by its name in tables; what learned from labels.
DEFAULT = "default model"
SUPERVISED = Boosted.name
_Tables = dict[str, pd.DataFrame]


def default_ranks(detectors: Mapping[EntityKind, Combined], side: Side) -> _Tables:
    """Tables of scores of the default detectors together, and of each that is among them alone, by name."""
    ranks = {kind: detectors[kind].ranks(evidence) for kind, evidence in side.evidence.items()}
    names = dict.fromkeys(name for of_kind in ranks.values() for name in of_kind)
    return {
        DEFAULT if name == "score" else name: _table(
            side, {kind: of_kind[name] for kind, of_kind in ranks.items() if name in of_kind}
        )
        for name in names
    }


def fit_forests(reference: Mapping[EntityKind, Evidence], seed: int) -> dict[EntityKind, Combined]:
    """An isolation forest for each kind of entity, its scores as ranks so that all kinds are on one scale."""
    name = DeviationForest(seed).name
    return {
        kind: Combined(seed, [DeviationForest(seed)], name=name).fit(evidence)
        for kind, evidence in reference.items()
    }


def forest_scores(forests: Mapping[EntityKind, Combined], side: Side) -> _Tables:
    """The table of scores of forests, under their name."""
    scores = {kind: forests[kind].score(evidence) for kind, evidence in side.evidence.items()}
    return {next(iter(forests.values())).name: _table(side, scores)}


def labelled(side: Side) -> tuple[Evidence, np.ndarray]:
    """Grants to learn from, and the kind of attack of each, empty for none.

    Grants that several kinds touched, and neighbours of attacks, are left out: who has never met a kind must not have
    met what it does to others.
    """
    evidence = side.evidence["grant"]
    case = side.case(scores_of(evidence, np.zeros(len(evidence))))
    attack, met = np.full(len(evidence), "", object), np.zeros(len(evidence), np.int64)
    touched = case.touched[case.touched["place"] >= 0].drop_duplicates(["attack", "place"])
    attack[touched["place"]] = touched["attack"].astype(str)
    np.add.at(met, touched["place"].to_numpy(), 1)
    kept = case.benign | (met == 1)
    return evidence.take(kept), attack[kept]


def unmet(
    reference: Side, choosing: Side, sides: Sequence[Side], seed: int
) -> Iterator[tuple[str, list[pd.DataFrame]]]:
    """Scores by detectors each of which has learned from labels, but never met one kind of attack.

    Yields
    ------
    The kind, and the table of scores of each side's grants.
    """
    training, attack = labelled(choosing)
    columns = Columns(reference.evidence["grant"])
    tables = [columns.of(side.evidence["grant"]) for side in sides]
    for kind, detector in leave_kinds_out(seed, columns.of(training), attack, training.tree):
        yield (
            kind,
            [supervised_scores(detector, side, table) for side, table in zip(sides, tables, strict=True)],
        )


def supervised_scores(detector: Boosted, side: Side, columns: Floats) -> pd.DataFrame:
    """The table of scores of grants."""
    return _table(side, {"grant": detector.score(columns)})


def _table(side: Side, scores: Mapping[EntityKind, Floats]) -> pd.DataFrame:
    tables = [scores_of(side.evidence[kind], score) for kind, score in scores.items()]
    return pd.concat(tables, ignore_index=True)
