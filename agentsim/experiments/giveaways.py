"""A check of the simulator itself: whether anything gives attackers away that their attack does not stand for.

An attacker whose calls all came in the first second, say, or from one tool, would be found by that alone, and a detector
would seem better than it is. So every feature by itself must be unable to tell the entities that an attack touched from
those that none did, unless the attack names it among its signals. Labels are read here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from agentsim.risk import Attacks, gather, learn_peers, read_attacks, read_behaviour
from agentsim.risk.behaviour import Flags, Ints
from agentsim.risk.catalogue import FEATURES
from agentsim.risk.states import KINDS, EntityKind
from agentsim.run import Run
from agentsim.simulation.attacks import find_attacker

#: From here on a feature separates: one of these areas, or one minus it.
SEPARATES = 0.8
#: Of fewer attacked entities nothing can be told.
FEW = 10
_COLUMNS = ["attack", "kind", "feature", "attacked", "roc_auc", "declared", "enough"]


def separations(runs: Sequence[Run], reference: Run) -> pd.DataFrame:
    """How well each feature alone separates each attack.

    Parameters
    ----------
    runs : simulated Runs with attacks, taken together.
    reference : what their entities are compared with, without attacks.

    Returns
    -------
    One row per attack, kind of entity and feature: ``attack``, ``kind``, ``feature``, ``attacked`` (entities), ``roc_auc``
    (0.5 tells nothing, 0 and 1 everything; against entities outside of all trees that an attack touched), ``declared``
    (whether the attack has it among its signals), ``enough`` (whether there are ``FEW`` attacked entities at least).
    """
    peers = learn_peers(reference)
    sides = [(read_behaviour(run), read_attacks(run)) for run in runs]
    rows: list[dict[str, object]] = []
    for kind in KINDS:
        tables = []
        for behaviour, attacks in sides:
            evidence = gather(behaviour, kind, peers)
            tables.append((evidence.features, *_truth(kind, evidence.tenant, evidence.features, attacks)))
        features = pd.concat([table for table, _, _ in tables], ignore_index=True)
        clean = np.concatenate([each for _, each, _ in tables])
        for attack in sorted({name for _, _, touched in tables for name in touched}):
            attacked = np.concatenate([touched.get(attack, ~each & False) for _, each, touched in tables])
            if attacked.any() and clean.any():
                rows += _areas(attack, kind, features, attacked, clean)
    return pd.DataFrame(rows, columns=_COLUMNS)


def _truth(
    kind: EntityKind, tenant: Ints, features: pd.DataFrame, attacks: Attacks
) -> tuple[Flags, dict[str, Flags]]:
    """Which entities nothing was done to, and which each attack touched."""
    known = pd.MultiIndex.from_arrays([tenant, features.index])

    def where(rows: pd.DataFrame) -> Flags:
        of_kind = rows[rows["kind"] == kind]
        return np.asarray(known.isin(pd.MultiIndex.from_frame(of_kind[["tenant", "entity"]])))

    touched = {str(attack): where(rows) for attack, rows in attacks.touched.groupby("attack", observed=True)}
    spoiled = where(pd.concat([attacks.touched, attacks.near, attacks.disputed]))
    return ~spoiled, touched


def _areas(
    attack: str, kind: EntityKind, features: pd.DataFrame, attacked: Flags, clean: Flags
) -> Iterator[dict[str, object]]:
    signals = find_attacker(attack).signals
    judged = attacked | clean
    for name, column in features.items():
        yield {
            "attack": attack,
            "kind": kind,
            "feature": name,
            "attacked": int(attacked.sum()),
            "roc_auc": float(roc_auc_score(attacked[judged], column.to_numpy()[judged])),
            "declared": name in signals or FEATURES[str(name)].family in signals,
            "enough": int(attacked.sum()) >= FEW,
        }


def giveaways(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of :func:`separations` that should not be: features that separate and are no signal of their attack."""
    distance = (table["roc_auc"] - 0.5).abs()
    return table[table["enough"] & ~table["declared"] & (distance > SEPARATES - 0.5)]
