import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.utils.estimator_checks import parametrize_with_checks

from agentsim.risk import ContextualSurprise, Novelty, gather
from agentsim.risk.items import task_kind

PLENTY = 12


def names_kept_by_kind(estimator):
    why = "words are there or not: Gaussian blobs hold every word alike, and nothing is an outlier"
    return {"check_outliers_train": why, "check_outliers_fit_predict": why}


@parametrize_with_checks([ContextualSurprise()], expected_failed_checks=names_kept_by_kind)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_surprise_is_a_scikit_learn_estimator(estimator, check):
    check(estimator)


def office(world):
    """Two tasks; every clerk reads, letters are sent in one and bills paid in the other; some search."""
    for number in range(PLENTY):
        letters = world.grant(role="clerk", task="post letters")
        world.verify(letters, "read")
        world.verify(letters, "send")
        bills = world.grant(role="clerk", task="settle bills")
        world.verify(bills, "read")
        world.verify(bills, "pay")
        errand = world.grant(role="clerk", task=f"run errand {number % 6}")
        world.verify(errand, "read")
        if number in (0, 1, 2):
            # Now and then somebody searches, whatever the task.
            world.verify((letters, bills, errand)[number], "search")
    return world


def scores(detector, world, path):
    evidence = gather(world.write(path))
    return dict(zip(evidence.features.index, detector.score(evidence), strict=True))


def test_what_never_belongs_to_a_task_is_more_surprising_than_what_turns_up_anywhere(new_world, tmp_path):
    detector = Novelty().fit(gather(office(new_world()).write(tmp_path / "reference")))
    world = new_world()
    usual, curious, hijacked = (world.grant(role="clerk", task="post letters") for _ in range(3))
    for grant, tool in ((usual, "send"), (curious, "search"), (hijacked, "pay")):
        world.verify(grant, "read")
        world.verify(grant, tool)
    payer = world.grant(role="clerk", task="settle bills")
    world.verify(payer, "pay")
    score = scores(detector, world, tmp_path / "judged")
    # Paying is common in the office, searching rare; yet paying is what the letters never need.
    assert score[usual] < score[curious] < score[hijacked]
    assert score[payer] < score[curious]


def test_doing_a_thing_twice_is_a_word_of_its_own(new_world, tmp_path):
    detector = Novelty().fit(gather(office(new_world()).write(tmp_path / "reference")))
    world = new_world()
    once, twice = (
        world.grant(role="clerk", task="settle bills"),
        world.grant(role="clerk", task="settle bills"),
    )
    world.verify(once, "pay")
    world.verify(twice, "pay")
    world.verify(twice, "pay")
    evidence = gather(world.write(tmp_path / "judged"))
    score = dict(zip(evidence.features.index, detector.score(evidence), strict=True))
    assert score[twice] > score[once] + 1
    reasons = dict(zip(evidence.features.index, detector.reasons(evidence), strict=True))
    # Nobody paid twice before: the word was never seen, and is named all the same.
    assert reasons[twice][0][0] == "use pay #2"
    assert [word for word, _ in reasons[once]] == ["use pay #1", "on mail"]


def test_what_is_unusual_in_the_order_is_told(new_world, tmp_path):
    reference = gather(office(new_world()).write(tmp_path / "reference"))
    world = new_world()
    backwards = world.grant(role="clerk", task="post letters")
    for tool in ("send", "read"):
        world.verify(backwards, tool)
    detector = Novelty(order=True).fit(reference)
    (reasons,) = detector.reasons(gather(world.write(tmp_path / "judged")), 2)
    assert {word for word, _ in reasons} == {"then start > send", "then send > read"}
    assert reasons[0][1] >= reasons[1][1] > 1


def test_a_call_that_failed_is_not_held_against_a_grant(new_world, tmp_path):
    detector = Novelty().fit(gather(office(new_world()).write(tmp_path / "reference")))
    world = new_world()
    failed, done = (
        world.grant(role="clerk", task="post letters"),
        world.grant(role="clerk", task="post letters"),
    )
    for grant, outcome in ((failed, "error"), (done, "success")):
        world.verify(grant, "pay")
        world.execute(grant, "pay", outcome)
    evidence = gather(world.write(tmp_path / "judged"))
    reasons = dict(zip(evidence.features.index, detector.reasons(evidence), strict=True))
    assert [word for word, _ in reasons[done]] == ["use pay #1", "on mail"]
    # All that is left of it is where it was tried, which is nothing new.
    assert [word for word, _ in reasons[failed]] == ["on mail"]
    assert reasons[failed][0][1] < 0.2


def test_an_unknown_task_is_compared_with_its_kind_and_then_with_its_role(new_world, tmp_path):
    detector = Novelty().fit(gather(office(new_world()).write(tmp_path / "reference")))
    world = new_world()
    errand = world.grant(role="clerk", task="run errand 77")
    unheard = world.grant(role="clerk", task="water the plants")
    for grant in (errand, unheard):
        world.verify(grant, "pay")
    score = scores(detector, world, tmp_path / "judged")
    # Nobody pays on an errand, but a third of all clerks' grants pay.
    assert score[errand] > score[unheard]
    assert task_kind("run errand 77") == task_kind("run errand 3") == "run errand #"


def test_a_grant_that_did_nothing_has_nothing_to_be_surprised_at(new_world, tmp_path):
    detector = Novelty().fit(gather(office(new_world()).write(tmp_path / "reference")))
    world = new_world()
    silent = world.grant(role="clerk", task="post letters")
    evidence = gather(world.write(tmp_path / "judged"))
    assert detector.score(evidence).tolist() == [0.0]
    assert evidence.silent.tolist() == [True]
    assert evidence.features.index.tolist() == [silent]


presence = hnp.arrays(
    np.float64, st.tuples(st.integers(2, 20), st.just(6)), elements=st.sampled_from([0.0, 1.0])
)


@settings(max_examples=50, deadline=None)
@given(rows=presence, data=st.data())
def test_one_more_word_never_makes_a_grant_less_suspicious(rows, data):
    contexts = data.draw(hnp.arrays(np.float64, (len(rows), 2), elements=st.sampled_from([0.0, 1.0, 2.0])))
    matrix = np.hstack([contexts, rows])
    model = ContextualSurprise(contexts=2, min_task=2).fit(matrix)
    row, word = data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(2, 7))
    more = matrix.copy()
    more[row, word] = 1.0
    assert model.score_samples(more)[row] <= model.score_samples(matrix)[row] + 1e-12


@settings(max_examples=30, deadline=None)
@given(rows=presence, seed=st.integers(0, 1000))
def test_the_order_of_grants_changes_no_score(rows, seed):
    shuffled = np.random.default_rng(seed).permutation(len(rows))
    there = ContextualSurprise().fit(rows).score_samples(rows)
    here = ContextualSurprise().fit(rows[shuffled]).score_samples(rows[shuffled])
    np.testing.assert_allclose(here, there[shuffled], rtol=1e-12)
