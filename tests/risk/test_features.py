import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import agentsim.risk
from agentsim.risk import FEATURES, REFUSALS, families, gather, learn_peers
from agentsim.risk.evidence import Evidence

IDS = ("client_id", "token_id", "grant_id", "parent_grant_id", "root_grant_id")


def test_what_a_grant_did_is_counted(world, tmp_path):
    grant = world.grant(tools=("read", "send", "pay", "list"))
    for tool in ("read", "read", "send", "read"):
        world.verify(grant, tool)
        world.execute(grant, tool, "error" if tool == "send" else "success")
    world.verify(grant, "pay", reason="insufficient_scope")
    world.event("token_refreshed", grant)
    world.event("token_introspected", grant)
    row = gather(world.write(tmp_path / "run")).features.loc[grant]
    assert row["decisions"] == 7
    assert (row["verifies"], row["executions"], row["refreshes"], row["introspections"]) == (5, 4, 1, 1)
    assert row["refused_share"] == pytest.approx(1 / 7)
    assert (row["refused_not_granted"], row["refused_ended"]) == (1, 0)
    assert row["error_share"] == pytest.approx(1 / 4)
    assert (row["tools"], row["most_repeats"], row["used_tools_share"]) == (2, 3, 0.5)
    # Three quarters read, one quarter send.
    assert row["tool_entropy"] == pytest.approx(0.8112781)
    # start>read, read>read, read>send, send>read
    assert row["transitions"] == 4


def test_a_child_counts_for_the_parent_that_asked_for_it(world, tmp_path):
    root = world.grant(tools=("a", "b", "c", "d"))
    child = world.grant(parent=root, tools=("a",))
    other = world.grant(parent=root, tools=("a", "b"))
    leaf = world.grant(parent=child, tools=("a",))
    world.event("child_token_issued", child, {"excess": ["x:y", "z:y"]}, reason="scope_exceeds_parent")
    table = gather(world.write(tmp_path / "run")).features
    assert table["children"].to_dict() == {root: 2, child: 1, other: 0, leaf: 0}
    assert table["depth"].to_dict() == {root: 0, child: 1, other: 1, leaf: 2}
    assert table["elder_siblings"].to_dict() == {root: 0, child: 0, other: 1, leaf: 0}
    assert table["tools_of_parent"].to_dict() == {root: 1, child: 0.25, other: 0.5, leaf: 1}
    assert table.loc[child, "refused_beyond_parent"] == 1
    assert table.loc[child, "excess_asked"] == 2


def test_a_depth_or_a_task_that_was_too_much_is_no_number_of_names(world, tmp_path):
    grant = world.grant()
    world.event("child_token_issued", grant, {"excess": 9}, reason="depth_exceeded")
    world.event("child_token_issued", grant, {"excess": "task-1"}, reason="task_terminated")
    row = gather(world.write(tmp_path / "run")).features.loc[grant]
    assert (row["refused_limit"], row["excess_asked"]) == (1, 0)


def test_a_stolen_token_shows_as_a_second_caller_and_as_changes_of_address(world, tmp_path):
    grant = world.grant()
    for caller, address in (("own", "10.0.0.1"), ("thief", "203.0.113.9"), ("own", "10.0.0.1")):
        world.verify(grant, "read", caller=caller, source_ip=address)
    row = gather(world.write(tmp_path / "run")).features.loc[grant]
    assert (row["callers"], row["source_ips"], row["address_changes"]) == (2, 2, 2)


def test_what_was_done_about_an_alarm_is_no_behaviour(new_world, tmp_path):
    tables = []
    for number, answered in enumerate((False, True)):
        world = new_world()
        grant = world.grant()
        world.verify(grant, "read")
        if answered:
            world.event("token_revoked", grant, {"kind": "grant"})
            world.event("token_ended", grant)
        tables.append(gather(world.write(tmp_path / str(number))).features)
    pd.testing.assert_frame_equal(*tables)


def test_a_tool_that_none_of_the_others_used_is_new(world, tmp_path):
    usual = [world.grant(role="clerk", task="post letters") for _ in range(3)]
    odd = world.grant(role="clerk", task="post letters")
    other_task = world.grant(role="clerk", task="pay bills")
    for grant in usual:
        world.verify(grant, "read")
    world.verify(odd, "pay")
    world.verify(other_task, "pay")
    run = world.write(tmp_path / "run")
    table = gather(run).features
    assert table["tools_new_task"].to_dict() == {**dict.fromkeys(usual, 0), odd: 1, other_task: 0}
    assert table["tools_new_role"].sum() == 0


def test_another_run_says_what_is_new(new_world, tmp_path):
    reference, world = new_world(), new_world()
    reference.verify(reference.grant(role="clerk", task="post letters"), "read")
    usual, odd, stranger = world.grant(role="clerk"), world.grant(role="clerk"), world.grant(role="poet")
    world.verify(usual, "read")
    for grant in (odd, stranger):
        world.verify(grant, "pay")
    peers = learn_peers(reference.write(tmp_path / "reference"))
    table = gather(world.write(tmp_path / "run"), peers=peers).features
    # Of a role that the reference does not have nothing is known to be new.
    assert table["tools_new_role"].to_dict() == {usual: 0, odd: 1, stranger: 0}


def test_time_between_events_is_read_only_where_there_is_a_clock(new_world, tmp_path):
    for timing in (True, False):
        world = new_world()
        even, burst = world.grant(at=0), world.grant(at=0)
        for second in (10, 20, 30):
            world.verify(even, "read", at=second * 1_000_000)
        for second in (1, 2, 3, 30):
            world.verify(burst, "read", at=second * 1_000_000)
        table = gather(world.write(tmp_path / str(timing), timing=timing)).features
        assert list(table.columns) == [
            name
            for name, feature in FEATURES.items()
            if "grant" in feature.kinds and (timing or name not in families("timing"))
        ]
        if timing:
            assert table["active_s"].tolist() == [20, 29]
            assert table["pause_mean_s"].tolist() == [10, pytest.approx(29 / 3)]
            assert table.loc[even, "burstiness"] == -1
            assert table.loc[burst, "burstiness"] > 0


def test_every_feature_says_what_it_is():
    for name, feature in FEATURES.items():
        assert all((feature.family, feature.unit, feature.meaning)), name


def test_every_refusal_of_the_server_belongs_to_one_group():
    listed = [reason for reasons in REFUSALS.values() for reason in reasons]
    assert len(listed) == len(set(listed))


def test_no_code_but_the_evaluation_reads_labels():
    for module in Path(agentsim.risk.__file__).parent.rglob("*.py"):
        words = {
            word
            for node in ast.walk(ast.parse(module.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            for word in [node.value.strip()]
        }
        reads = "labels" in words or any("FROM labels" in word for word in words)
        assert reads == (module.name == "evaluation.py"), module


def random_world(world, random):
    """A few trees with a bit of everything."""
    grants = []
    for _ in range(random.integers(2, 12)):
        parent = grants[random.integers(len(grants))] if grants and random.random() < 0.5 else None
        role, task = random.choice(["clerk", "coder"]), random.choice(["", "job 1", "job 2"])
        grants.append(world.grant(role=str(role), task=str(task), parent=parent))
    for _ in range(random.integers(0, 40)):
        grant = grants[random.integers(len(grants))]
        tool = str(random.choice(["read", "send", "pay"]))
        match random.integers(4):
            case 0:
                world.verify(grant, tool, reason="tool_not_granted")
            case 1:
                world.event("token_refreshed", grant, source_ip=f"10.0.0.{random.integers(3)}")
            case _:
                world.verify(grant, tool, caller=f"c{random.integers(2)}")
                world.execute(grant, tool, str(random.choice(["success", "error"])))
    return world


def same_words(left: Evidence, right: Evidence) -> bool:
    def words(evidence: Evidence) -> list[set[str]]:
        result = [set() for _ in range(len(evidence))]
        for grant, word in zip(evidence.items.grant, evidence.items.word, strict=True):
            result[grant].add(evidence.items.words[word])
        return result

    return words(left) == words(right)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_renaming_every_id_changes_no_feature(new_world, tmp_path, seed):
    random = np.random.default_rng(seed)
    world = random_world(new_world(), random)
    before = gather(world.write(tmp_path / "before"))
    ids = sorted({row[name] for rows in world.rows.values() for row in rows for name in IDS if row.get(name)})
    renamed = dict(zip(ids, (int(value) for value in random.permutation(len(ids)) + 5), strict=True))
    names = {}
    for rows in world.rows.values():
        for row in rows:
            row.update({name: renamed[row[name]] for name in IDS if row.get(name)})
            if "agent_name" in row:
                row["agent_name"] = names.setdefault(row["agent_name"], f"agent {random.integers(1000)}")
    after = gather(world.write(tmp_path / "after"))
    pd.testing.assert_frame_equal(
        before.features.reset_index(drop=True), after.features.reset_index(drop=True), check_exact=True
    )
    assert same_words(before, after)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_in_a_file_changes_no_feature(new_world, tmp_path, seed):
    random = np.random.default_rng(seed)
    world = random_world(new_world(), random)
    before = gather(world.write(tmp_path / "before"))
    for rows in world.rows.values():
        random.shuffle(rows)
    after = gather(world.write(tmp_path / "after"))
    pd.testing.assert_frame_equal(before.features, after.features, check_exact=True)
    assert same_words(before, after)


def test_a_run_without_grants_has_no_rows(world, tmp_path):
    world.agent("clerk")
    run = world.write(tmp_path / "run")
    assert pc.sum(run.read("audit", ["log_id"])["log_id"]).as_py() is None
    evidence = gather(run)
    assert len(evidence) == len(evidence.features) == 0
