"""A check of the simulator itself: whether anything gives attackers away that their attack does not stand for.

An attacker whose calls all came in the first second, say, or from one tool, would be found by that alone, and a detector
would seem better than it is. So every feature by itself must be unable to tell the entities that an attack touched from
those that none did, unless the attack names it among its signals. Labels are read here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from agentsim.risk import gather, learn_peers, read_behaviour
from agentsim.risk.catalogue import FEATURES
from agentsim.risk.states import KINDS, EntityKind
from agentsim.run import Run
from agentsim.simulation.attacks import find_attacker

#: From here on a feature separates: one of these areas, or one minus it.
SEPARATES = 0.8
#: Of fewer attacked entities nothing can be told.
FEW = 10

_TOUCHED = """
    SELECT l.attack, l.grant_id, l.root_grant_id, a.client_id
    FROM labels l JOIN audit a USING (tenant, log_id)
    WHERE l.label = 1
"""
_COLUMN: dict[EntityKind, str] = {"grant": "grant_id", "tree": "root_grant_id", "agent": "client_id"}


def separations(run: Run, reference: Run) -> pd.DataFrame:
    """How well each feature alone separates each attack.

    Parameters
    ----------
    run : a simulated Run with attacks.
    reference : what its entities are compared with, without attacks.

    Returns
    -------
    One row per attack, kind of entity and feature: ``attack``, ``kind``, ``feature``, ``attacked`` (entities), ``roc_auc``
    (0.5 tells nothing, 0 and 1 everything), ``declared`` (whether the attack has it among its signals), ``enough``
    (whether there are ``FEW`` attacked entities at least).
    """
    touched = run.sql(_TOUCHED)
    behaviour, peers = read_behaviour(run), learn_peers(reference)
    rows: list[dict[str, object]] = []
    for kind in KINDS:
        features = gather(behaviour, kind, peers).features
        entities = touched[_COLUMN[kind]]
        clean = ~features.index.isin(entities.dropna().astype(np.int64))
        for attack, of_attack in entities.groupby(touched["attack"], observed=True):
            attacked = features.index.isin(of_attack.dropna().astype(np.int64))
            if attacked.any() and clean.any():
                rows += _areas(str(attack), kind, features, attacked, clean)
    return pd.DataFrame(rows)


def _areas(
    attack: str, kind: EntityKind, features: pd.DataFrame, attacked: np.ndarray, clean: np.ndarray
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
