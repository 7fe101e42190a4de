import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.utils.estimator_checks import parametrize_with_checks

from agentsim.risk import PeerLookup, RobustZ


@parametrize_with_checks([RobustZ(), RobustZ(strength=0.0)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_robust_z_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def staff(random, *, clerks=4000, couriers=400):
    """Role, letters, trips: clerks write about ten letters and never travel; couriers travel and write none."""
    clerk = np.column_stack([np.ones(clerks), random.poisson(10, clerks), np.zeros(clerks)])
    courier = np.column_stack([np.full(couriers, 2), np.zeros(couriers), random.poisson(10, couriers)])
    return np.vstack([clerk, courier]).astype(float)


@pytest.fixture(scope="module")
def fitted():
    return RobustZ(contexts=1, top=1).fit(staff(np.random.default_rng(1)))


def test_what_none_of_many_peers_does_is_telling_though_their_spread_is_nothing(fitted):
    usual, travelled, wrote = [1, 10, 0], [1, 10, 1], [2, 1, 10]
    score = -fitted.score_samples([usual, travelled, wrote])
    assert score[0] < 0.5
    # One trip is nothing to a courier; none of 4,000 clerks took one.
    assert score[1] > np.log10(4000)
    # There are only 400 couriers to say that they write no letters.
    assert np.log10(400) < score[2] < score[1]


def test_beyond_the_last_peer_further_out_is_more_surprising(fitted):
    score = -fitted.score_samples([[1, letters, 0] for letters in (10, 25, 50, 100, 1000)])
    assert (np.diff(score) > 0.02).all()


def test_too_little_is_as_surprising_as_too_much():
    rows = np.random.default_rng(0).poisson(100, (5000, 1)).astype(float)
    low, usual, high = -RobustZ(top=1).fit(rows).score_samples([[50.0], [100.0], [150.0]])
    assert min(low, high) > np.log10(5000) > 1 > usual


def test_an_unknown_role_is_compared_with_everybody(fitted):
    known, unknown, unheard = -fitted.score_samples([[2, 0, 10], [0, 0, 10], [77, 0, 10]])
    assert known < 0.5 < 1 < unknown == unheard


def test_few_peers_say_less_than_everybody_does():
    rows = np.vstack([staff(np.random.default_rng(1)), [[3, 10, 0], [3, 10, 0]]])
    score = -RobustZ(contexts=1, top=1).fit(rows).score_samples([[3, 9, 0], [3, 9, 1]])
    # Neither of the two has written just nine letters, but others do so all the time.
    assert score[0] < 1 < score[1]


def test_what_has_no_meaning_is_not_surprising(fitted):
    nothing = np.array([[1, np.nan, np.nan], [1, 10, np.nan]])
    assert -fitted.score_samples(nothing)[0] == 0
    assert np.isnan(fitted.deviations(nothing).actual).sum() == 3
    # A column that nobody has a value in says nothing of those who do.
    blank = RobustZ().fit([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan]])
    assert blank.surprises([[2.0, 1e9]])[0, 1] == 0


def test_a_deviation_is_told_beside_what_is_typical(fitted):
    told = fitted.deviations([[1, 41, 0], [2, 0, 9]])
    assert told.actual.tolist() == [[41, 0], [0, 9]]
    assert told.typical.round().tolist() == [[10, 0], [0, 10]]
    assert 15 <= told.most[0, 0] <= 20
    assert 2 <= told.least[0, 0] <= 5
    assert told.surprise[0, 0] > 3 > 0.01 > told.surprise[0, 1]


def test_the_two_largest_surprises_are_summed():
    rows = np.random.default_rng(0).poisson(3, (1000, 4)).astype(float)
    odd = np.array([[50.0, 3.0, 60.0, 3.0]])
    model = RobustZ(top=2).fit(rows)
    surprises = model.surprises(odd)[0]
    assert -model.score_samples(odd)[0] == pytest.approx(surprises[0] + surprises[2])


def test_few_knots_say_nearly_the_same_as_all():
    random = np.random.default_rng(3)
    rows, judged = random.lognormal(3, 1, (20_000, 1)), random.lognormal(3, 1.2, (2_000, 1))
    exact, coarse = (RobustZ(top=1, knots=knots).fit(rows).score_samples(judged) for knots in (50_000, 256))
    assert np.abs(exact - coarse).max() < 0.1


cells = st.one_of(
    st.just(np.nan), st.integers(-3, 40).map(float), st.floats(-1e6, 1e6, allow_subnormal=False)
)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), contexts=st.integers(0, 1), top=st.integers(1, 4))
def test_one_row_looked_up_has_the_score_that_the_matrix_gives_it(data, contexts, top):
    def matrix(roles):
        rows, width = data.draw(st.integers(2, 12)), 3
        values = data.draw(hnp.arrays(np.float64, (rows, width), elements=cells))
        code = data.draw(hnp.arrays(np.float64, (rows, contexts), elements=st.integers(0, roles).map(float)))
        return np.hstack([code, values])

    model = RobustZ(contexts=contexts, top=top, knots=8).fit(matrix(2))
    judged = matrix(5)
    lookup = model.lookup()
    assert isinstance(lookup, PeerLookup)
    one_by_one = [lookup.score(int(row[0]) if contexts else 0, row[contexts:].tolist()) for row in judged]
    np.testing.assert_allclose(one_by_one, -model.score_samples(judged), rtol=1e-12, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(
    column=hnp.arrays(np.float64, st.integers(3, 60), elements=st.integers(-5, 50).map(float)),
    near=st.integers(0, 60),
    step=st.integers(1, 50),
)
def test_further_from_the_median_is_never_less_surprising(column, near, step):
    model = RobustZ(top=1).fit(column[:, None])
    middle = np.ceil(np.median(column))
    closer, further = -model.score_samples([[middle + near], [middle + near + step]])
    # On the near side of the median the other tail may be the larger.
    assert further >= closer - 1e-12 or closer <= np.log10(2) + 1e-12
