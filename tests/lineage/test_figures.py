"""Figures of trees and of whole Runs, on Runs whose every step is known."""

import json
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from agentsim.lineage import Forest, summarise, tree_metrics
from agentsim.run import Manifest, RunWriter
from agentsim.tables import SCHEMAS

SECOND = 1_000_000


@pytest.fixture
def metrics(told_run):
    frame = tree_metrics(told_run)
    tasks = told_run.frame("tokens").set_index("token_id")["task_id"]
    return frame.assign(task=frame["root_grant_id"].map(tasks)).set_index(["tenant", "task"])


def test_one_row_per_tree(told_run, metrics):
    tasks = ("release", "report", "after", "quiet")
    assert sorted(metrics.index) == sorted((tenant, task) for tenant in (0, 1) for task in tasks)
    assert metrics["root_grant_id"].is_unique
    assert metrics["root_grant_id"].is_monotonic_increasing
    assert metrics["size"].sum() == len(Forest.from_run(told_run))


def test_shape_of_a_tree(metrics):
    release = metrics.loc[0, "release"]
    # release > review > (read, read-more)
    assert (release["size"], release["depth"], release["largest_fan_out"]) == (4, 2, 2)
    assert release["tokens"] == 6
    quiet = metrics.loc[0, "quiet"]
    assert (quiet["size"], quiet["depth"], quiet["largest_fan_out"]) == (1, 0, 0)


def test_narrowing_is_the_share_given_up_along_edges(metrics):
    # root (4 members) > review keeps 3; review > read holds none whole; review > read-more keeps 1 of 3.
    assert metrics.loc[0, "release"]["scope_narrowing"] == pytest.approx((1 / 4 + 1 + 2 / 3) / 3)
    assert metrics.loc[0, "release"]["tool_narrowing"] == pytest.approx((0 + 1 / 2 + 1 / 2) / 3)
    assert math.isnan(metrics.loc[0, "quiet"]["scope_narrowing"])


def test_refusals_and_revocations_of_a_tree(told_run, metrics):
    release = metrics.loc[0, "release"]
    assert release["refused"] == 3
    audit = told_run.frame("audit")
    about = audit[
        (audit["root_grant_id"] == release["root_grant_id"]) & (audit["event_type"] != "token_ended")
    ]
    assert release["decisions"] == len(about)
    assert release["refused_share"] == pytest.approx(3 / len(about))
    assert release["revoked_grants"] == 4
    assert metrics.loc[0, "quiet"]["revoked_grants"] == 0


def test_a_tree_lives_until_its_last_token_ends(told_run, metrics):
    quiet = metrics.loc[0, "quiet"]
    token = told_run.frame("tokens").set_index("token_id").loc[quiet["root_grant_id"]]
    assert quiet["lifetime_s"] == pytest.approx((token["expires_at"] - token["issued_at"]) / SECOND)
    # Everything below "release" was revoked before it expired.
    assert 0 < metrics.loc[0, "release"]["lifetime_s"] < 60


def test_summary_of_a_run(told_run):
    summary = summarise(told_run)
    tokens, audit = told_run.frame("tokens"), told_run.frame("audit")
    assert (summary.kind, summary.status, summary.tenants) == ("simulation", "complete", 2)
    assert summary.agents == 8
    assert summary.tokens == len(tokens)
    assert summary.grants == (tokens["token_id"] == tokens["grant_id"]).sum()
    assert summary.trees == 8
    assert summary.max_depth == 2
    assert summary.mean_depth == pytest.approx(
        tokens[tokens["token_id"] == tokens["grant_id"]]["depth"].mean()
    )
    assert summary.largest_tree == 4
    assert summary.largest_blast_radius == 7
    assert summary.operations == (audit["event_type"] != "token_ended").sum()
    assert (
        summary.refusals == (audit["status"] == "refused").sum() == sum(summary.refusals_by_reason.values())
    )
    assert sum(summary.events.values()) == len(audit)
    assert sum(summary.refused_events.values()) == summary.refusals
    assert summary.refusals_by_reason["scope_exceeds_parent"] == 4
    assert summary.marks == len(told_run.read("revocations")) == sum(summary.marks_by_kind.values())
    assert set(summary.marks_by_kind) == {"grant", "grant_only", "task", "client", "principal"}
    assert summary.digests == told_run.manifest.digests()
    assert summary.labels is None


def test_attacks_are_counted_by_instance_operation_and_success(story, write):
    lead = story.agent("lead")
    grant = story.root(lead, "work")
    for instance, tool in enumerate(["file_read", "web", "shell"]):
        story.label(story.verify(grant, tool), "token_theft", instance)
        story.label(story.verify(grant, "shell"), "token_theft", instance)
    story.label(story.verify(grant), "task_hijack", 0)
    attacks = summarise(write(story)).as_dict()["attacks"]
    assert attacks == {
        "task_hijack": {"instances": 1, "operations": 1, "honoured": 1},
        "token_theft": {"instances": 3, "operations": 6, "honoured": 2},
    }


def test_labels_of_a_replay_are_counted_by_grant(tmp_path):
    manifest = Manifest(kind="replay", name="traces", source={}, policy={}, reproduce="", created_at="")
    rows = [
        {"tenant": 0, "grant_id": number, "label": label, "attempted": attempted}
        for number, (label, attempted) in enumerate([(1, True), (0, True), (0, False), (-1, None)], start=1)
    ]
    with RunWriter(tmp_path / "run", manifest) as writer:
        writer.write("labels", 0, pa.Table.from_pylist(rows, schema=SCHEMAS["labels"]))
        summary = summarise(writer.finish(start=0, wall_seconds=0.0))
    assert summary.as_dict()["labels"] == {
        "grants": 4, "attempted": 2, "attacked": 1, "benign": 2, "unknown": 1,
    }  # fmt: skip
    assert summary.attacks == {}
    assert (summary.grants, summary.max_depth, summary.mean_depth, summary.largest_tree) == (0, 0, 0.0, 0)


def test_a_summary_is_ready_for_json(told_run):
    figures = summarise(told_run).as_dict()
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_figures_of_an_empty_run(tmp_path):
    manifest = Manifest(kind="simulation", name="empty", source={}, policy={}, reproduce="", created_at="")
    with RunWriter(tmp_path / "run", manifest) as writer:
        run = writer.finish(start=0, wall_seconds=0.0)
    metrics = tree_metrics(run)
    assert isinstance(metrics, pd.DataFrame)
    assert metrics.empty
    assert summarise(run).trees == 0
    assert np.array_equal(Forest.from_run(run).roots(), np.zeros(0))
