"""What spoiled data costs: the same judgement after what is learned from, or honest work, has been corrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from agentsim.experiments.corruptions import add_irrelevant, contaminate, drift, duplicate, flip_labels
from agentsim.experiments.drill.arena import Side
from agentsim.experiments.drill.judging import Found, Trial, judge
from agentsim.experiments.drill.scorers import (
    DEFAULT,
    SUPERVISED,
    default_ranks,
    labelled,
    supervised_scores,
)
from agentsim.experiments.scoring import scores_of
from agentsim.risk import Evidence
from agentsim.risk.behaviour import Flags
from agentsim.risk.detectors import Boosted, Columns
from agentsim.risk.fitted import default_detectors

#: Share of the reference that is attacks; times that each is there; standard deviation of the logarithms of drift;
#: irrelevant features for each that is there; share of labels that are wrong.
SLIPPED, TIMES, DRIFT, IRRELEVANT, WRONG = 0.01, 5, 0.2, 1.0, 0.05
_SEED = 0


class _Sides(NamedTuple):
    """What is learned from, what thresholds come from, and what is judged."""

    reference: Side
    calibration: Side
    judged: Sequence[Side]

    def changed(self, change: Callable[[Evidence], Evidence]) -> _Sides:
        """All of it changed."""
        judged = [_changed(side, change) for side in self.judged]
        return _Sides(_changed(self.reference, change), _changed(self.calibration, change), judged)


def spoil(
    reference: Side, calibration: Side, choosing: Side, judged: Sequence[Side], rate: float
) -> pd.DataFrame:
    """What each corruption costs the default model and what learns from labels.

    The latter has met all kinds here: it is spoiled data that is compared, not unknown attacks.

    Returns
    -------
    One row per detector and corruption, the first of each detector without any: ``detector``, ``corruption``,
    ``mean_recall``, ``low``, ``high``, ``pr_auc``, ``base_rate``, ``false_alarms_per_1000`` (on the sealed Runs).
    """
    clean = _Sides(reference, calibration, judged)
    rows = [
        _row(DEFAULT, corruption, judge(_default(sides), rate))
        for corruption, sides in _spoiled(clean, choosing)
    ]
    rows += [
        _row(SUPERVISED, corruption, judge(trial, rate)) for corruption, trial in _mistaught(clean, choosing)
    ]
    return pd.DataFrame(rows)


def _spoiled(clean: _Sides, choosing: Side) -> Iterator[tuple[str, _Sides]]:
    yield "none", clean
    slipped = replace(
        clean.reference,
        evidence={
            kind: contaminate(
                evidence, choosing.evidence[kind], _attacked(choosing, kind), SLIPPED, _random(1)
            )
            for kind, evidence in clean.reference.evidence.items()
        },
    )
    yield f"{SLIPPED:.0%} of the reference are attacks", clean._replace(reference=slipped)
    often = {
        kind: duplicate(evidence, np.arange(len(evidence)) >= len(clean.reference.evidence[kind]), TIMES)
        for kind, evidence in slipped.evidence.items()
    }
    yield f"each of them {TIMES} times", clean._replace(reference=replace(slipped, evidence=often))
    yield from _of_work(clean)


def _of_work(clean: _Sides) -> Iterator[tuple[str, _Sides]]:
    moved = [_changed(side, lambda evidence: drift(evidence, DRIFT, _random(2))) for side in clean.judged]
    yield f"work has drifted since, by {DRIFT:g}", clean._replace(judged=moved)
    told = clean.changed(lambda evidence: add_irrelevant(evidence, IRRELEVANT, _random(3)))
    yield f"{IRRELEVANT:g} irrelevant feature for each", told


def _mistaught(clean: _Sides, choosing: Side) -> Iterator[tuple[str, Trial]]:
    training, attack = labelled(choosing)
    attacked = np.asarray(attack != "")
    yield "none", _supervised(clean, training, attacked)
    wrong = flip_labels(attacked, WRONG, _random(4))
    yield f"{WRONG:.0%} of the labels are wrong", _supervised(clean, training, wrong)
    often = duplicate(training, attacked, TIMES)
    extra = np.ones(len(often) - len(training), bool)
    yield f"each attack {TIMES} times", _supervised(clean, often, np.concatenate([attacked, extra]))
    for corruption, sides in _of_work(clean):
        same = sides.reference is clean.reference
        learned = training if same else add_irrelevant(training, IRRELEVANT, _random(3))
        yield corruption, _supervised(sides, learned, attacked)


def _default(sides: _Sides) -> Trial:
    detectors = {
        kind: default_detectors(_SEED, kind).fit(evidence)
        for kind, evidence in sides.reference.evidence.items()
    }
    cases = [side.case(default_ranks(detectors, side)[DEFAULT]) for side in sides.judged]
    return Trial(default_ranks(detectors, sides.calibration)[DEFAULT], cases)


def _supervised(sides: _Sides, training: Evidence, attacked: Flags) -> Trial:
    columns = Columns(sides.reference.evidence["grant"])
    detector = Boosted(_SEED).fit(columns.of(training), attacked, training.tree)

    def scored(side: Side) -> pd.DataFrame:
        return supervised_scores(detector, side, columns.of(side.evidence["grant"]))

    return Trial(scored(sides.calibration), [side.case(scored(side)) for side in sides.judged])


def _row(detector: str, corruption: str, found: Found) -> dict[str, Any]:
    value, low, high = found.mean_recall
    return {
        "detector": detector,
        "corruption": corruption,
        "mean_recall": value,
        "low": low,
        "high": high,
        "pr_auc": float(found.kinds["pr_auc"].mean()),
        "base_rate": float(found.kinds["base_rate"].mean()),
        "false_alarms_per_1000": 1000 * found.false_alarms.value,
    }


def _changed(side: Side, change: Callable[[Evidence], Evidence]) -> Side:
    return replace(side, evidence={kind: change(evidence) for kind, evidence in side.evidence.items()})


def _attacked(side: Side, kind: Any) -> Flags:
    evidence = side.evidence[kind]
    return side.case(scores_of(evidence, np.zeros(len(evidence)))).attacked


def _random(key: int) -> np.random.Generator:
    """A generator of its own for each corruption, the same for all that must be spoiled alike."""
    return np.random.default_rng(np.random.SeedSequence(_SEED, spawn_key=(key,)))
