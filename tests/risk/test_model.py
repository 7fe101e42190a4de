import hashlib
import itertools
import json
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from agentsim.risk import FEATURES, gather
from agentsim.risk.model import ModelError, load, train
from agentsim.risk.modelfile import dump_fitted


def bureau(world, grants=90):
    """Clerks in trees of three; a few search, nobody pays."""
    random = np.random.default_rng(5)
    for number in range(grants // 3):
        root = world.grant("lead", task=f"review letter {number}")
        world.verify(root, "read")
        for _ in range(2):
            clerk = world.grant("clerk", task="post letters", parent=root)
            for tool in ("read", "send")[: random.integers(1, 3)]:
                world.verify(clerk, tool)
            if number % 10 == 0:
                world.verify(clerk, "search")
    return world


@pytest.fixture(scope="module")
def reference(new_world, tmp_path_factory):
    return bureau(new_world()).write(tmp_path_factory.mktemp("reference") / "run")


@pytest.fixture(scope="module")
def trained(reference):
    return train(reference, name="bureau", seed=3)


@pytest.fixture
def saved(trained, tmp_path):
    trained.save(tmp_path / "model")
    return tmp_path / "model"


def rewritten(path, data=None, **card):
    """The model with other estimators or another card, and a hash that fits."""
    if data is not None:
        (path / "estimators.skops").write_bytes(data)
    told = json.loads((path / "card.json").read_text()) | card
    told["estimators"]["sha256"] = hashlib.sha256((path / "estimators.skops").read_bytes()).hexdigest()
    (path / "card.json").write_text(json.dumps(told))
    return path


def test_a_saved_model_gives_the_same_scores(trained, saved, reference):
    opened = load(saved)
    pd.testing.assert_frame_equal(opened.score(reference), trained.score(reference))
    assert opened.card.model_copy(update={"estimators": None}) == trained.card
    assert sorted(file.name for file in saved.iterdir()) == ["card.json", "estimators.skops"]


def test_the_same_run_and_seed_give_the_same_bytes(trained, reference):
    once, again = (
        dump_fitted(trained.fitted),
        dump_fitted(train(reference, name="again", seed=3).fitted),
    )
    assert once == again


def test_renaming_every_id_changes_no_score(trained, new_world, tmp_path):
    random = np.random.default_rng(3)
    world = bureau(new_world(), grants=30)
    odd = world.grant("clerk", task="post letters")
    for tool in ("pay", "pay", "search"):
        world.verify(odd, tool, caller=f"host {tool}")
    before = trained.score(world.write(tmp_path / "before"))
    names = ("client_id", "token_id", "grant_id", "parent_grant_id", "root_grant_id")
    ids = sorted(
        {row[name] for rows in world.rows.values() for row in rows for name in names if row.get(name)}
    )
    renamed = dict(zip(ids, (int(value) for value in random.permutation(len(ids)) + 5), strict=True))
    for rows in world.rows.values():
        for row in rows:
            row.update({name: renamed[row[name]] for name in names if row.get(name)})
    after = trained.score(world.write(tmp_path / "after"))
    key, scores = ["kind", "entity"], list(before.columns[5:])
    before["entity"] = before["entity"].map(renamed)
    assert before.loc[before["kind"] == "grant", "score"].max() > 2
    pd.testing.assert_frame_equal(
        before.set_index(key)[scores].sort_index(),
        after.set_index(key)[scores].sort_index(),
        check_exact=True,
    )


def test_every_grant_tree_and_agent_has_a_score_and_each_detectors_rank(trained, reference):
    scores = trained.score(reference)
    assert list(scores.columns[:6]) == ["kind", "tenant", "entity", "tree", "role", "score"]
    assert list(scores.columns[6:]) == [each.name for each in trained.card.kinds["grant"].detectors]
    for kind, roles in (("grant", {"lead", "clerk"}), ("tree", {"lead"}), ("agent", {"lead", "clerk"})):
        of_kind = scores[scores["kind"] == kind]
        assert of_kind["entity"].tolist() == gather(reference, kind).features.index.tolist()
        assert of_kind["tree"].nunique() == 30
        assert set(of_kind["role"]) == roles
    assert (scores["score"] >= 0).all()
    # Only grants have words to be surprised at.
    assert set(scores.loc[scores["novelty for the task"].notna(), "kind"]) == {"grant"}


def test_what_nobody_did_in_training_stands_out(trained, new_world, tmp_path):
    world = bureau(new_world())
    payer = world.grant("clerk", task="post letters")
    for tool in ("read", "pay", "pay"):
        world.verify(payer, tool)
    told = trained.score(world.write(tmp_path / "run"))
    scores = told[told["kind"] == "grant"].set_index("entity")["score"]
    assert scores.idxmax() == payer
    assert scores[payer] > 2 > scores.median()


def test_other_ids_change_no_score(trained, new_world, tmp_path):
    here, there = new_world(), new_world()
    there._ids = itertools.count(7_000_000, 3)
    columns = [
        trained.score(bureau(world).write(tmp_path / str(number))).drop(columns="entity")
        for number, world in enumerate((here, there))
    ]
    pd.testing.assert_frame_equal(*columns)


def test_the_card_says_where_a_model_is_from_and_what_it_reads(saved, reference):
    card = json.loads((saved / "card.json").read_text())
    assert card["schema"] == 1
    (run,) = card["training"]
    assert run["digest"] == reference.manifest.digest()
    kind = card["kinds"]["grant"]
    assert (kind["entities"], kind["trees"], kind["roles"]) == (90, 30, ["clerk", "lead"])
    assert set(kind["features"]) < set(card["features"]) <= set(FEATURES)
    assert card["features"]["refreshes"]["unit"] == "events"
    robust = kind["detectors"][0]["estimators"]["estimator"]
    assert (robust["class"], robust["top"]) == ("RobustZ", 3)
    assert {"scikit-learn", "skops", "numpy"} <= set(card["versions"])
    assert card["limits"]
    assert card["intended_use"]
    assert [warning.split(":")[0] for warning in card["warnings"]] == ["90 grants", "30 trees", "90 agents"]


def test_attackers_in_the_training_run_are_told(new_world, tmp_path):
    run = bureau(new_world()).write(tmp_path / "run")
    run.manifest.source["attacks"] = [{"kind": "token_theft"}, {"kind": "cascade"}]
    first, *_ = train(run, name="attacked").card.warnings
    assert first.endswith("who count as usual: cascade, token_theft")


def test_a_run_of_a_few_grants_is_no_reference(new_world, tmp_path):
    run = bureau(new_world(), grants=24).write(tmp_path / "run")
    with pytest.raises(ModelError, match="24 grants in 8 trees are too few"):
        train(run, name="small")


def test_a_model_replaces_a_model_and_nothing_else(trained, tmp_path):
    trained.save(tmp_path / "model")
    trained.save(tmp_path / "model")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_mother.txt").write_text("dear")
    (tmp_path / "file").write_text("content")
    for taken in ("letters", "file"):
        with pytest.raises(ModelError, match="is there already and no model"):
            trained.save(tmp_path / taken)


def test_a_changed_file_is_refused(saved):
    file = saved / "estimators.skops"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelError, match="is not the file of its card"):
        load(saved)


def test_a_file_of_something_else_is_refused(saved, tmp_path):
    made = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    harmless = skops.io.dumps(made)
    hostile = skops.io.dumps({"grant": partial(print, "owned")})
    cases = {
        "nothing that training leaves": harmless,
        "types that are not trusted: .*partial": hostile,
        "is no model's file": pickle.dumps(made),
        "is no model's": b"",
    }
    for message, data in cases.items():
        with pytest.raises(ModelError, match=message) as told:
            load(rewritten(saved, data))
        assert "\n" not in str(told.value)


def matrix_that_leads_out(detectors):
    detectors["grant"].members_[1].estimator_.task_count_.indices[0] = 10**6


def test_indices_that_lead_out_of_their_arrays_are_refused(saved):
    fitted = load(saved).fitted
    matrix_that_leads_out(fitted.detectors)
    with pytest.raises(ModelError, match="damaged"):
        load(rewritten(saved, dump_fitted(fitted)))


def test_another_scikit_learn_is_told_and_how_to_mend_it(saved):
    card = json.loads((saved / "card.json").read_text())
    versions = card["versions"] | {"scikit-learn": "1.2.0"}
    with pytest.raises(ModelError, match=r"made with scikit-learn 1\.2\.0.*train it again: agentsim model"):
        load(rewritten(saved, versions=versions))


def test_a_card_is_needed_and_all_its_faults_are_told(saved, tmp_path):
    with pytest.raises(ModelError, match=r"no model here \(no card.json\)"):
        load(tmp_path / "nothing")
    with pytest.raises(ModelError, match="schema 9, this version reads up to 1"):
        load(rewritten(saved, schema=9))
    with pytest.raises(ModelError, match=r"seed: .*; training: "):
        load(rewritten(saved, schema=1, seed="many", training=None))
    (saved / "card.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read"):
        load(saved)


def test_a_card_leads_to_no_other_file(saved, tmp_path):
    (tmp_path / "elsewhere.skops").write_bytes((saved / "estimators.skops").read_bytes())
    (saved / "estimators.skops").unlink()
    card = json.loads((saved / "card.json").read_text())
    card["estimators"]["file"] = "../elsewhere.skops"
    (saved / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"estimators\.skops: cannot be read"):
        load(saved)
