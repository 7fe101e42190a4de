import numpy as np
import pandas as pd
import pytest

from agentsim.experiments.corruptions import (
    CorruptionError,
    add_irrelevant,
    contaminate,
    drift,
    duplicate,
    flip_labels,
)
from agentsim.risk import Deviating, Evidence, Novelty
from agentsim.risk.detectors import COUNTS
from agentsim.risk.items import Items


def made(rows, *, seed=0, words=("use read #1", "use send #1"), trees=10):
    """Clerks' grants: counts, a share that is never 1, and a word each."""
    random = np.random.default_rng(seed)
    features = pd.DataFrame(
        {
            "decisions": random.poisson(10, rows).astype(float),
            "refused_share": random.random(rows) * 0.5,
            "children": np.zeros(rows),
            "pause_mean_s": random.exponential(60, rows),
        },
        index=pd.RangeIndex(rows),
    )
    role, task = np.full(rows, "clerk", object), np.full(rows, "post", object)
    items = Items(np.arange(rows), np.arange(rows) % len(words), words, tuple(role), tuple(task))
    return Evidence(
        "grant",
        np.zeros(rows, np.int64),
        features,
        role,
        task,
        items,
        items,
        np.arange(rows) % trees,
        np.zeros(rows, bool),
    )


def random(key=0):
    return np.random.default_rng(key)


def words_of(evidence):
    words = [[] for _ in range(len(evidence))]
    for grant, word in zip(evidence.items.grant, evidence.items.word, strict=True):
        words[grant].append(evidence.items.words[word])
    return words


def test_so_many_labels_are_wrong_as_were_asked_for():
    attacked = np.arange(10_000) < 300
    wrong = flip_labels(attacked, 0.1, random()) != attacked
    assert 0.09 < wrong.mean() < 0.11
    assert wrong[:300].any()
    assert (flip_labels(attacked, 0.0, random()) == attacked).all()


def test_attacks_slip_into_the_reference_in_trees_of_their_own():
    benign, judged = made(95), made(40, seed=1, words=("use pay #1",))
    spoiled = contaminate(benign, judged, np.arange(40) >= 20, 0.05, random())
    assert len(spoiled) == 100
    assert words_of(spoiled)[:95] == words_of(benign)
    assert words_of(spoiled)[95:] == [["use pay #1"]] * 5
    assert not set(spoiled.tree[:95]) & set(spoiled.tree[95:])
    # There are only twenty attacked rows to take.
    assert len(contaminate(benign, judged, np.arange(40) >= 20, 0.9, random())) == 115
    Novelty().fit(spoiled).score(spoiled)


def test_copies_stay_in_the_tree_of_their_original():
    evidence = made(20)
    thrice = duplicate(evidence, np.arange(20) == 7, 3)
    assert len(thrice) == 22
    assert thrice.tree[20:].tolist() == [evidence.tree[7]] * 2
    assert words_of(thrice)[20:] == [words_of(evidence)[7]] * 2
    pd.testing.assert_frame_equal(thrice.features.iloc[:20], evidence.features)


def test_drift_moves_numbers_and_leaves_their_nature():
    evidence = made(500)
    moved = drift(evidence, 0.5, random()).features
    assert (moved["decisions"] == moved["decisions"].round()).all()
    assert moved["refused_share"].between(0, 1).all()
    assert (moved["children"] == 0).all()
    assert not np.allclose(moved["pause_mean_s"], evidence.features["pause_mean_s"])
    # All rows move together.
    ratio = moved["pause_mean_s"] / evidence.features["pause_mean_s"]
    assert ratio.std() < 1e-12
    pd.testing.assert_frame_equal(drift(evidence, 0.0, random()).features, evidence.features)


def test_irrelevant_features_are_read_and_tell_nothing():
    reference, judged = made(300), made(200, seed=1)
    first, second = (add_irrelevant(each, 0.5, random(4)) for each in (reference, judged))
    extra = list(first.features.columns[4:])
    assert len(extra) == 2
    assert extra == list(second.features.columns[4:])
    source = extra[0].split("_", 2)[2]
    assert sorted(first.features[extra[0]]) == sorted(first.features[source])
    detector = Deviating(wanted=COUNTS).fit(first)
    assert detector.encoder_.names_[-2:] == extra
    assert (detector.score(second) >= Deviating(wanted=COUNTS).fit(reference).score(judged) - 1e-12).all()


def test_the_same_key_spoils_in_the_same_way_and_the_evidence_given_is_left_alone():
    evidence = made(100)
    before = evidence.features.copy()
    for spoil in (
        lambda key: drift(evidence, 0.3, random(key)),
        lambda key: add_irrelevant(evidence, 2, random(key)),
    ):
        pd.testing.assert_frame_equal(spoil(1).features, spoil(1).features)
        assert not spoil(1).features.equals(spoil(2).features)
    pd.testing.assert_frame_equal(evidence.features, before)


def test_what_cannot_be_done_is_told():
    evidence = made(10)
    for asked in (
        lambda: flip_labels(np.zeros(3, bool), 1.5, random()),
        lambda: contaminate(evidence, evidence, np.ones(10, bool), 1.0, random()),
        lambda: duplicate(evidence, np.ones(10, bool), 0),
        lambda: drift(evidence, -1, random()),
        lambda: add_irrelevant(evidence, -1, random()),
    ):
        with pytest.raises(CorruptionError, match="got"):
            asked()
