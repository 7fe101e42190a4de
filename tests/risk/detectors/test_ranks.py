import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.utils.estimator_checks import parametrize_with_checks

from agentsim.risk import CalibratedRanks, Combined, Novelty, gather
from agentsim.risk.detectors import RankCurve


def ranks_tie(estimator):
    why = "beyond no row of few is anything known: ranks of such rows tie"
    return {"check_outliers_train": why, "check_outliers_fit_predict": why}


@parametrize_with_checks([CalibratedRanks(), CalibratedRanks(largest=2)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_calibrated_ranks_are_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def test_one_benign_row_in_a_thousand_has_a_rank_of_three():
    random = np.random.default_rng(0)
    for draw in (random.normal, random.exponential, lambda size: random.poisson(40, size)):
        benign, fresh = (np.asarray(draw(size=100_000), float) for _ in range(2))
        curve = RankCurve.of(benign)
        for rank in (1, 2):
            assert np.mean(curve.rank(fresh) >= rank) == pytest.approx(10.0**-rank, rel=0.3)


def test_several_detectors_together_raise_no_more_alarms_than_one():
    scores = np.random.default_rng(1).exponential(size=(40_000, 5))
    for largest in (1, 2, 5):
        model = CalibratedRanks(largest=largest).fit(scores[:20_000])
        alarms = np.mean(-model.score_samples(scores[20_000:]) >= 2)
        assert alarms == pytest.approx(0.01, rel=0.4)


def test_detectors_on_any_scale_count_alike():
    random = np.random.default_rng(2)
    benign = random.exponential(size=(5000, 2)) * [1.0, 1e6]
    model = CalibratedRanks().fit(benign)
    first, second = -model.score_samples([[9.0, 0.0], [0.0, 9e6]])
    assert first == pytest.approx(second, rel=0.1)
    assert first > 3


def test_two_that_agree_outweigh_one_when_two_are_summed():
    benign = np.random.default_rng(3).exponential(size=(20_000, 3))
    one, two = [[9.0, 0.1, 0.1]], [[8.0, 8.0, 0.1]]
    largest = CalibratedRanks(largest=1).fit(benign)
    summed = CalibratedRanks(largest=2).fit(benign)
    assert largest.score_samples(one) < largest.score_samples(two)
    assert summed.score_samples(one) > summed.score_samples(two)


@settings(max_examples=80, deadline=None)
@given(
    benign=hnp.arrays(np.float64, st.integers(1, 200), elements=st.integers(0, 20).map(float)),
    score=st.floats(-5, 40),
    more=st.floats(0, 40),
)
def test_a_higher_score_never_ranks_lower(benign, score, more):
    low, high = RankCurve.of(benign).rank(np.array([score, score + more]))
    assert 0 <= low <= high + 1e-12


class Memory:
    """A detector that knows the rows that it has learned from, and takes all others for suspicious."""

    name = "memory"

    def fit(self, evidence):
        self.known = set(evidence.features.index)
        return self

    def score(self, evidence):
        return np.array([0.0 if grant in self.known else 1.0 for grant in evidence.features.index])


def test_the_scale_is_taken_from_trees_that_a_detector_has_not_seen(world, tmp_path):
    for _ in range(40):
        root = world.grant()
        world.verify(world.grant(parent=root), "read")
    evidence = gather(world.write(tmp_path / "run"))
    combined = Combined(0, [Memory()]).fit(evidence)
    # In the folds every row was a stranger, so a stranger is nothing special.
    strangers = world.grant()
    assert strangers not in combined.members_[0].known
    assert combined.estimator_.members([[1.0]]).item() == 0.0
    # At last the members learn from everything.
    assert combined.members_[0].known == set(evidence.features.index)


def test_each_member_tells_its_own_rank(world, tmp_path):
    for _ in range(30):
        world.verify(world.grant(), "read")
    odd = world.grant()
    world.verify(odd, "send")
    evidence = gather(world.write(tmp_path / "run"))
    told = Combined(0, [Novelty(), Novelty(order=True)], largest=2).fit(evidence).ranks(evidence)
    assert list(told) == ["score", "novelty for the task", "novelty of the order"]
    place = list(evidence.features.index).index(odd)
    assert [int(np.argmax(ranks)) for ranks in told.values()] == [place] * 3
