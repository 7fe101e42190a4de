import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from agentsim.risk.anchored import AnchoredClassifier


@parametrize_with_checks([AnchoredClassifier()])
def test_it_is_a_scikit_learn_classifier(estimator, check):
    check(estimator)


def rows(size=400, seed=0):
    random = np.random.default_rng(seed)
    label = random.random(size) < 0.2
    return np.column_stack([random.normal(size=size) + label, random.normal(size=size) - 2 * label]), label


def test_what_labels_teach_is_averaged_with_what_is_known_without_them():
    table, label = rows()
    fitted = AnchoredClassifier(anchor=1.0).fit(table, label)
    alone = AnchoredClassifier(anchor=0.0).fit(table, label).decision_function(table)
    known = (table[:, 0] - table[:, 0].mean()) / table[:, 0].std()
    assert fitted.decision_function(table) == pytest.approx((alone + known) / 2)
    assert alone.std() == pytest.approx(1.0)


def test_weights_that_were_turned_round_do_not_turn_the_score_round():
    table, label = rows()
    misled = AnchoredClassifier(anchor=2.0).fit(table, ~label).decision_function(table)
    assert misled[label].mean() > misled[~label].mean() - 1.0
