"""What spoils training data, done on purpose, to see how much a detector loses by it.

After ADBench (S. Han et al., NeurIPS 2022): duplicated anomalies, irrelevant features and wrong labels;
and drift, since honest work changes, too. Each is a pure function from evidence (or labels) to evidence, with a
generator that is handed in; rows keep their order, what is added comes last.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from agentsim.errors import UserError
from agentsim.risk import Evidence
from agentsim.risk.behaviour import Flags, Ints
from agentsim.risk.items import Items


class CorruptionError(UserError):
    """Data cannot be spoiled in this way; the message says what was asked for."""


def flip_labels(attacked: Flags, share: float, random: np.random.Generator) -> Flags:
    """Labels of which this share was flipped, of attacked and of other rows alike: a label noise that is blind."""
    _check_share(share)
    flipped = random.random(len(attacked)) < share
    return np.asarray(attacked ^ flipped)


def contaminate(
    benign: Evidence, judged: Evidence, attacked: Flags, share: float, random: np.random.Generator
) -> Evidence:
    """A benign reference into which attacks have slipped unseen.

    Parameters
    ----------
    benign : the reference.
    judged : evidence of the same kind, of which ``attacked`` rows are taken.
    share : of the result that is attacked; as many rows as there are, at most.

    Returns
    -------
    The reference and, after it, the attacked rows, each tree of them a tree of its own.
    """
    _check_share(share)
    wanted = round(len(benign) * share / (1 - share))
    there = np.flatnonzero(attacked)
    chosen = random.choice(there, size=min(wanted, len(there)), replace=False)
    return _joined(benign, _rows(judged, np.sort(chosen)))


def duplicate(evidence: Evidence, rows: Flags, times: int) -> Evidence:
    """The evidence with some rows ``times`` times over, as where one attack is repeated many times.

    A copy stays in the tree of its original: in folds by tree they are not parted.
    """
    if times < 1:
        raise CorruptionError(f"a row is there once at least, got {times} times")
    chosen = np.flatnonzero(rows)
    result = evidence
    for _ in range(times - 1):
        result = _joined(result, _rows(evidence, chosen), same_trees=True)
    return result


def drift(evidence: Evidence, strength: float, random: np.random.Generator) -> Evidence:
    """The evidence after work has changed: each feature that is a number is multiplied by a factor of its own.

    Parameters
    ----------
    strength : standard deviation of the factors' logarithms. Counts stay whole, shares stay shares, nothing that
        was 0 becomes anything else.
    """
    if strength < 0:
        raise CorruptionError(f"drift is 0 or more, got {strength:g}")
    table = evidence.features.copy()
    for name in table.columns:
        factor = float(np.exp(strength * random.standard_normal()))
        values = table[name].to_numpy(np.float64)
        known = values[~np.isnan(values)]
        if len(known) and (np.abs(known) <= 1).all():
            moved = np.clip(values * factor, -1.0, 1.0)
        elif (known == np.round(known)).all():
            moved = np.where(values > 0, np.maximum(np.round(values * factor), 1.0), values)
        else:
            moved = values * factor
        table[name] = moved
    return replace(evidence, features=table)


def add_irrelevant(evidence: Evidence, share: float, random: np.random.Generator) -> Evidence:
    """The evidence with further features that tell nothing: values of features that are there, dealt to rows anew.

    Parameters
    ----------
    share : irrelevant features for each that is there; one may be taken more than once. The names depend on the draw:
        give reference and judged evidence generators of one key, so that both get the same.
    """
    if share < 0:
        raise CorruptionError(f"irrelevant features: a share is 0 or more, got {share:g}")
    table = evidence.features
    chosen = random.choice(table.shape[1], size=round(share * table.shape[1]), replace=True)
    dealt = {
        f"irrelevant_{number}_{table.columns[place]}": random.permutation(table.iloc[:, place].to_numpy())
        for number, place in enumerate(chosen.tolist())
    }
    return replace(evidence, features=pd.concat([table, pd.DataFrame(dealt, index=table.index)], axis=1))


def _check_share(share: float) -> None:
    if not 0 <= share < 1:
        raise CorruptionError(f"a share is at least 0 and below 1, got {share:g}")


def _rows(evidence: Evidence, places: Ints) -> Evidence:
    chosen = np.zeros(len(evidence), bool)
    chosen[places] = True
    return evidence.take(chosen)


def _joined(first: Evidence, second: Evidence, *, same_trees: bool = False) -> Evidence:
    """Both, one after the other; trees of the second are others than those of the first unless they are the same."""
    beyond = 0 if same_trees else int(first.tree.max(initial=-1)) + 1
    return replace(
        first,
        tenant=np.concatenate([first.tenant, second.tenant]),
        features=pd.concat([first.features, second.features]),
        role=np.concatenate([first.role, second.role]),
        task=np.concatenate([first.task, second.task]),
        items=_joined_items(first.items, second.items),
        order=_joined_items(first.order, second.order),
        tree=np.concatenate([first.tree, second.tree + beyond]),
        silent=np.concatenate([first.silent, second.silent]),
    )


def _joined_items(first: Items, second: Items) -> Items:
    words = tuple(sorted({*first.words, *second.words}))
    place = {word: number for number, word in enumerate(words)}

    def moved(items: Items) -> Ints:
        return np.array([place[word] for word in items.words], np.int64)[items.word]

    return Items(
        grant=np.concatenate([first.grant, second.grant + len(first)]),
        word=np.concatenate([moved(first), moved(second)]),
        words=words,
        role=first.role + second.role,
        task=first.task + second.task,
    )
