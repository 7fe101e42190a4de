"""A classifier that learns from few labels and is held to what is known without any."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from agentsim.risk.behaviour import Floats

Labels = Any


class AnchoredClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression, averaged with the first column as it is; both are scaled to the same spread.

    The first column is a score that needs no labels: the higher, the likelier the second class. Where labels come from
    another suite than the one that is judged, weights that fit the one badly fit the other; the average bounds that.

    Parameters
    ----------
    C : inverse of the regularisation's strength, as of scikit-learn's ``LogisticRegression``.
    anchor : weight of the first column beside the regression's.

    Attributes
    ----------
    classes_ : the two classes, in order.
    """

    def __init__(self, *, C: float = 0.02, anchor: float = 1.0) -> None:  # noqa: N803
        self.C = C
        self.anchor = anchor

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> AnchoredClassifier:  # noqa: N803
        """Learn the weights of the columns.

        Parameters
        ----------
        X : shape (rows, columns).
        y : two classes.
        sample_weight : weight per row; all 1 when None.

        Raises
        ------
        ValueError
            If there are not two classes.
        """
        X, y = validate_data(self, X, y)  # noqa: N806
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            many = "Only binary classification is supported." if len(self.classes_) > 2 else ""
            raise ValueError(f"two classes are needed, not {len(self.classes_)} class. {many}")
        weight = _check_sample_weight(sample_weight, X, allow_all_zero_weights=False)
        self._centre, self._spread = np.average(X, axis=0, weights=weight), _spread(X, weight)
        self._regression = LogisticRegression(C=self.C, max_iter=1000)
        self._regression.fit(self._scaled(X), y, sample_weight=weight)
        learned = self._regression.decision_function(self._scaled(X))
        self._scale = float(_spread(learned, weight))
        return self

    def decision_function(self, X: Any) -> Floats:  # noqa: N803
        """The average: the higher, the likelier the second class."""
        check_is_fitted(self)
        scaled = self._scaled(validate_data(self, X, reset=False))
        learned = self._regression.decision_function(scaled) / self._scale
        return np.asarray((learned + self.anchor * scaled[:, 0]) / (1.0 + self.anchor))

    def predict(self, X: Any) -> Labels:  # noqa: N803
        """The second class where the average is above 0."""
        second = self.decision_function(X) > 0
        return self.classes_[second.astype(int)]

    def _scaled(self, X: Any) -> Floats:  # noqa: N803
        return np.asarray((X - self._centre) / self._spread)


def _spread(values: Any, weight: Floats) -> Floats:
    """Standard deviation; 1 for what never varies."""
    centred = values - np.average(values, axis=0, weights=weight)
    spread = np.sqrt(np.average(centred**2, axis=0, weights=weight))
    return np.where(spread > 0, spread, 1.0)
