"""The alerts of a Run: whatever reaches its threshold, whose it is, and what is to be done."""

import pandas as pd
import pyarrow.parquet as pq
import pytest

from agentsim.risk import ALERT, alerts, export
from agentsim.risk.model import train
from agentsim.risk.thresholds import ThresholdFile


def bureau(world, trees=40):
    """Leads who read, each with two clerks who post; one clerk in five goes to another address."""
    for number in range(trees):
        root = world.grant("lead", task="review", at=number * 3_600_000_000)
        world.verify(root, "read")
        for place in range(2):
            clerk = world.grant("clerk", task="post", parent=root)
            world.verify(clerk, "read")
            world.verify(clerk, "send", source_ip="10.0.0.1" if (number + place) % 5 else "10.0.0.2")
    return world


def thresholds(grant, tree=None, agent=None, **actions):
    return ThresholdFile.model_validate(
        {
            "schema": 1,
            "made": pd.Timestamp("2026-01-01").date(),
            "expires": pd.Timestamp("2026-12-01").date(),
            "detector": "combined",
            "thresholds": {"grant": grant, "tree": tree, "agent": agent},
            "actions": actions,
            "chosen": {"by": "fixed", "score": 1.0},
            "expected": {},
            "provenance": {"agentsim": "1", "runs": []},
        }
    )


@pytest.fixture(scope="module")
def model(new_world, tmp_path_factory):
    usual = bureau(new_world()).write(tmp_path_factory.mktemp("usual") / "run")
    return train(usual, name="bureau")


@pytest.fixture
def attacked(world, tmp_path):
    """A bureau in which one clerk pays, from everywhere; and the clerk's grant."""
    bureau(world, 5)
    root = world.grant("lead", task="review")
    thief = world.grant("clerk", task="post", parent=root)
    world.rows["tokens"][-1]["task_id"] = "letter 7"
    for number in range(6):
        world.verify(thief, "pay", source_ip=f"203.0.113.{number}")
    return world.write(tmp_path / "run"), thief, world


def test_alerts_are_what_reaches_the_threshold_the_highest_first(model, attacked):
    run, thief, _ = attacked
    scores = model.score(run)
    found = alerts(run, model, thresholds(0.5, 0.5, 0.5))
    reached = scores[scores["score"] >= 0.5]
    assert set(zip(found["kind"], found["entity"], strict=True)) == set(
        zip(reached["kind"], reached["entity"], strict=True)
    )
    assert found["score"].is_monotonic_decreasing
    assert (found["threshold"] == 0.5).all()
    assert thief in found.loc[found["kind"] == "grant", "entity"].head(1).tolist()
    assert (found["reasons"].map(len) >= 2).all()


def test_each_kind_says_whose_it_is(model, attacked):
    run, thief, world = attacked
    found = alerts(run, model, thresholds(-1.0, -1.0, -1.0)).set_index("alert_id")
    root, owner = world.root_of[thief], world.owner_of[thief]
    ids = ["grant_id", "root_grant_id", "client_id"]
    assert found.loc[f"grant-{thief}", ids].tolist() == [thief, root, owner]
    tree, agent = found.loc[f"tree-{root}", ids], found.loc[f"agent-{owner}", ids]
    assert tree.isna().tolist() == [True, False, False]
    assert tree["client_id"] == world.owner_of[root]
    assert agent.isna().tolist() == [True, True, False]
    assert found.loc[f"tree-{root}", "role"] == "lead"
    last = max(row["timestamp"] for row in world.rows["audit"] if row["grant_id"] == thief)
    assert found.loc[[f"grant-{thief}", f"agent-{owner}", f"tree-{root}"], "raised_at"].tolist() == [last] * 3
    assert found.loc[f"grant-{thief}", "task_id"] == "letter 7"


def test_the_detector_is_the_one_that_ranks_it_highest_and_its_reasons_come_first(model, attacked):
    run, thief, _ = attacked
    scores = model.score(run).set_index(["kind", "entity"])
    found = alerts(run, model, thresholds(0.5)).set_index("entity").loc[thief]
    members = ["robust z, by role", "novelty for the task"]
    assert found["detector"] == scores.loc[("grant", thief), members].astype(float).idxmax()
    novel = found["detector"] == "novelty for the task"
    assert ("as 1 in" in found["reasons"][0]) == novel


def test_the_strongest_action_that_is_reached_is_named_and_none_below_all(model, attacked):
    run, thief, _ = attacked
    score = model.score(run).query("kind == 'grant' and entity == @thief")["score"].item()
    found = alerts(run, model, thresholds(0.1, log=score / 2, revoke_tree=score)).set_index("entity")
    assert found.loc[thief, "action"] == "revoke_tree"
    low = found[found["score"] < score / 2]
    assert low["action"].isna().all()


def test_labels_change_nothing(model, attacked, tmp_path):
    run, thief, world = attacked
    before = alerts(run, model, thresholds(0.5, 0.5, 0.5))
    world.label(thief, attack="token_theft", attack_id=1)
    after = alerts(world.write(tmp_path / "labelled"), model, thresholds(0.5, 0.5, 0.5))
    pd.testing.assert_frame_equal(before, after)


def test_no_alerts_are_a_table_of_the_same_columns_that_can_be_written(model, attacked, tmp_path):
    run, *_ = attacked
    none = alerts(run, model, thresholds(None, None, None))
    assert len(none) == 0
    export(none, tmp_path / "none.parquet")
    export(alerts(run, model, thresholds(0.5, 0.5, 0.5)), tmp_path / "some.parquet")
    for name in ("none", "some"):
        assert pq.read_schema(tmp_path / f"{name}.parquet").equals(ALERT)
