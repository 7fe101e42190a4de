"""Real traces through the server; skipped where they are not there."""

import json

import pyarrow.parquet as pq
import pytest

from agentsim.simulation import TraceError, replay
from tests.traces import call, write


def test_a_replay_holds_every_call_and_how_it_went(traces_folder, tmp_path):
    source = traces_folder / "tau_bench.parquet"
    table = pq.read_table(source).to_pandas()
    calls = table[table["tool"] != "<no_tool_call>"]
    run = replay(source, tmp_path / "tau")
    audit = run.sql("select event_type, status, details from audit order by log_id")
    verified = audit[audit["event_type"] == "token_verified"]
    assert len(verified) == len(calls)
    assert (verified["status"] == "granted").all()
    outcomes = [json.loads(text) for text in audit[audit["event_type"] == "task_execution"]["details"]]
    assert len(outcomes) == len(calls)
    assert sum(outcome["outcome"] == "error" for outcome in outcomes) == calls["error"].sum()
    assert sum(outcome["result_chars"] for outcome in outcomes) == calls["result_chars"].sum()


def test_labels_are_the_tables_answers_one_per_grant(traces_folder, tmp_path):
    source = traces_folder / "openagentsafety.parquet"
    truth = pq.read_table(source).to_pandas().drop_duplicates("run_id")["label"].value_counts()
    run = replay(source, tmp_path / "safety")
    labels = run.frame("labels")["label"].astype(int).value_counts()
    assert labels.to_dict() == truth.to_dict()
    # Nothing of the answers is anywhere else.
    assert run.sql("select count(*) n from audit where details like '%label%'")["n"][0] == 0


def test_delegation_in_traces_becomes_delegation_of_grants(traces_folder, tmp_path):
    run = replay(traces_folder / "who_and_when.parquet", tmp_path / "who")
    children = run.sql(
        "select count(*) n from tokens c join tokens p on c.parent_grant_id = p.grant_id "
        "where starts_with(c.task_id, p.task_id)"
    )
    assert children["n"][0] == 322


def test_a_replay_is_the_same_bytes_again_whatever_the_batch_size(traces_folder, tmp_path):
    source = traces_folder / "claude_code_sessions.parquet"
    first = replay(source, tmp_path / "first")
    second = replay(source, tmp_path / "second", batch_size=3)
    assert first.manifest.digests() == second.manifest.digests()


def test_a_run_of_many_months_is_refused_nothing(tmp_path):
    day = 86_400.0
    calls = [call("r1", step, "pay", t=at * day) for step, at in enumerate((0, 40, 300))]
    run = replay(write(tmp_path / "long.parquet", calls), tmp_path / "run")
    assert run.sql("select count(*) n from audit where status = 'refused'")["n"][0] == 0
    assert run.manifest.end >= run.sql("select max(timestamp) m from audit")["m"][0]


def test_what_no_token_can_hold_is_said_in_words(tmp_path):
    calls = [call("r1", number, f"{'long' * 8}_{number}", t=float(number)) for number in range(400)]
    with pytest.raises(TraceError, match="the server refuses what the traces ask for"):
        replay(write(tmp_path / "wide.parquet", calls), tmp_path / "run")


def test_control_characters_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TraceError, match="task_id has texts with control characters"):
        replay(write(tmp_path / "odd.parquet", [call("r1", 0, "pay", task_id="bu\ny")]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_table_that_cannot_be_used_leaves_no_run_behind(tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"nothing")
    with pytest.raises(TraceError):
        replay(tmp_path / "bad.parquet", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_calls_without_a_digest_are_replayed_like_others(tmp_path):
    calls = [call("r1", 0, "pay"), call("r1", 1, "pay", args_digest=None)]
    run = replay(write(tmp_path / "traces.parquet", calls), tmp_path / "run")
    told = run.sql("select details ->> '$.args_digest' d from audit where event_type = 'task_execution'")["d"]
    assert told.isna().tolist() == [False, True]
