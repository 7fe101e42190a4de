"""Gradient boosting where labels exist: of simulated runs, with whole kinds of attack left out of training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold

from agentsim.risk.behaviour import Flags, Floats
from agentsim.risk.detectors.base import COUNTS, RoleEncoder, features
from agentsim.risk.detectors.novelty import Novelty
from agentsim.risk.detectors.robust import RobustZ
from agentsim.risk.evidence import Evidence

_FOLDS = 3


class Boosted:
    """Histogram gradient boosting over features, their surprise by role, and the surprise of words.

    Its scores are probabilities, calibrated on trees that the boosting has not seen (J. Platt, 1999). They are those of
    the training run's share of attacks, which is far higher than any organisation's.

    Parameters
    ----------
    seed : of the folds and of the boosting.
    reference : benign evidence of another seed, which says what is usual; none of it is learned as labelled.
    """

    name = "supervised, gradient boosting"

    def __init__(self, seed: int, reference: Evidence) -> None:
        self.encoder_ = RoleEncoder(COUNTS).fit(reference)
        self.surprise_ = RobustZ(contexts=1).fit(self.encoder_.transform(reference))
        self.novelty_ = [Novelty(order=order).fit(reference) for order in (False, True)]
        self.estimator_ = CalibratedClassifierCV(
            HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=seed),
            method="sigmoid",
            cv=StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=seed),
        )

    def fit(self, evidence: Evidence, attacked: Flags) -> Boosted:
        """Learn from labelled evidence of the reference's kind.

        Raises
        ------
        ValueError
            If there are fewer attacked rows, or others, than folds.
        """
        # Only by routing do the folds learn of the trees, and only here is it wanted.
        with config_context(enable_metadata_routing=True):
            self.estimator_.fit(self.table(evidence), attacked, groups=evidence.tree)
        return self

    def score(self, evidence: Evidence) -> Floats:
        """Probability of an attack, at the training run's share of attacks."""
        return np.asarray(self.estimator_.predict_proba(self.table(evidence))[:, 1], dtype=np.float64)

    def table(self, evidence: Evidence) -> Floats:
        """What the boosting reads, shape (rows, columns)."""
        rows = self.encoder_.transform(evidence)
        profiles = [novelty.profile(evidence) for novelty in self.novelty_]
        return np.hstack(
            [features(evidence, self.encoder_.names_), self.surprise_.surprises(rows), *profiles]
        )


def leave_kinds_out(
    seed: int, reference: Evidence, training: Evidence, attack: np.ndarray
) -> Iterator[tuple[str, Boosted]]:
    """Detectors each of which has never met one kind of attack.

    Parameters
    ----------
    seed, reference : as in :class:`Boosted`.
    training : labelled evidence of one seed.
    attack : the kind of attack of each of its rows, empty for none.

    Yields
    ------
    The kind left out, and the detector: it may judge attacks of this kind and honest rows of other seeds.
    """
    for kind in sorted(set(attack) - {""}):
        kept = attack != kind
        yield str(kind), Boosted(seed, reference).fit(training.take(kept), np.asarray(attack[kept] != ""))
