"""Gradient boosting where labels exist: of simulated runs, with whole kinds of attack left out of training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold

from agentsim.risk.behaviour import Flags, Floats, Ints
from agentsim.risk.detectors.base import COUNTS, RoleEncoder, features
from agentsim.risk.detectors.novelty import Novelty
from agentsim.risk.detectors.robust import RobustZ
from agentsim.risk.evidence import Evidence

_FOLDS = 3


class Columns:
    """What the boosting reads of a grant: features, their surprise by role, and the surprise of words.

    Parameters
    ----------
    reference : benign evidence of another seed, which says what is usual; none of it is learned as labelled.
    """

    def __init__(self, reference: Evidence) -> None:
        self.encoder_ = RoleEncoder(COUNTS).fit(reference)
        self.surprise_ = RobustZ(contexts=1).fit(self.encoder_.transform(reference))
        self.novelty_ = [Novelty(order=order).fit(reference) for order in (False, True)]

    def of(self, evidence: Evidence) -> Floats:
        """The columns of each grant, shape (grants, columns)."""
        rows = self.encoder_.transform(evidence)
        profiles = [novelty.profile(evidence) for novelty in self.novelty_]
        return np.hstack(
            [features(evidence, self.encoder_.names_), self.surprise_.surprises(rows), *profiles]
        )


class Boosted:
    """Histogram gradient boosting over :class:`Columns`.

    Its scores are probabilities, calibrated on trees that the boosting has not seen (J. Platt, 1999). They are those of
    the training run's share of attacks, which is far higher than any organisation's.

    Parameters
    ----------
    seed : of the folds and of the boosting.
    """

    name = "supervised, gradient boosting"

    def __init__(self, seed: int) -> None:
        self.estimator_ = CalibratedClassifierCV(
            HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=seed),
            method="sigmoid",
            cv=StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed),
        )

    def fit(self, columns: Floats, attacked: Flags, tree: Ints) -> Boosted:
        """Learn from labelled grants and the trees that they are of.

        Raises
        ------
        ValueError
            If there are fewer attacked rows, or others, than folds.
        """
        # Only by routing do the folds learn of the trees, and only here is it wanted.
        with config_context(enable_metadata_routing=True):
            self.estimator_.fit(columns, attacked, groups=tree)
        return self

    def score(self, columns: Floats) -> Floats:
        """Probability of an attack, at the training run's share of attacks."""
        return np.asarray(self.estimator_.predict_proba(columns)[:, 1], dtype=np.float64)


def leave_kinds_out(
    seed: int, columns: Floats, attack: np.ndarray, tree: Ints
) -> Iterator[tuple[str, Boosted]]:
    """Detectors each of which has never met one kind of attack.

    Parameters
    ----------
    seed : as in :class:`Boosted`.
    columns, tree : of labelled grants of one seed.
    attack : the kind of attack of each of them, empty for none.

    Yields
    ------
    The kind left out, and the detector: it may judge attacks of this kind and honest rows of other seeds.
    """
    for kind in sorted(set(attack) - {""}):
        kept = attack != kind
        yield str(kind), Boosted(seed).fit(columns[kept], np.asarray(attack[kept] != ""), tree[kept])
