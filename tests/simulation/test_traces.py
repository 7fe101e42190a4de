"""Trace tables: read, checked, made ready."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.server.scopes import canonical_tools
from agentsim.simulation.trace_format import SCHEMA, TraceError
from agentsim.simulation.traces import canonical_tool, read_traces
from tests.traces import call


def rows(*given):
    """A table of calls, each told as (run, agent, task, parent, step, t, tool)."""
    names = ("run_id", "agent", "task_id", "parent_task_id", "step", "t", "tool")
    calls = [call(**dict(zip(names, one, strict=True))) for one in given]
    return pa.Table.from_pylist(calls, schema=SCHEMA).to_pandas()


@pytest.fixture
def write(tmp_path):
    def make(frame):
        path = tmp_path / "traces.parquet"
        pq.write_table(pa.Table.from_pandas(frame), path)
        return path

    return make


def test_a_grant_per_run_and_an_agent_per_agent_and_suite(write):
    traces = read_traces(
        write(
            rows(("r1", "gpt", "buy", None, 0, None, "view_cart"), ("r2", "gpt", "buy", None, 0, None, "pay"))
        )
    )
    assert len(traces.agents) == 1
    assert list(traces.grants["task_id"]) == ["r1", "r2"]
    assert list(traces.grants["description"]) == ["buy", "buy"]
    assert traces.catalogue == {"shop": ("pay", "view_cart")}
    assert not traces.timing


def test_delegated_work_hangs_below_the_grant_that_delegated_it(write):
    traces = read_traces(
        write(
            rows(
                ("r1", "worker", "d1", "main", 0, 1.0, "read"),
                ("r1", "leader", "main", None, 1, 2.0, "plan"),
                ("r1", "worker", "d2", "d1", 2, 3.0, "read"),
            )
        )
    )
    grants = traces.grants
    names = list(grants["task_id"])
    assert names == ["r1", "r1/d1", "r1/d2"]
    assert list(grants["parent"]) == [-1, 0, 1]
    # Nobody's grant is issued before the one above it, though the leader speaks later.
    assert grants["issued"].is_monotonic_increasing
    assert traces.timing


def test_work_whose_parent_is_not_in_the_table_is_a_root(write):
    traces = read_traces(write(rows(("r1", "worker", "d1", "main", 0, 1.0, "read"))))
    assert list(traces.grants["parent"]) == [-1]


def test_a_run_without_a_call_has_a_grant_and_no_call(write):
    traces = read_traces(write(rows(("r1", "gpt", "buy", None, 0, None, "<no_tool_call>"))))
    assert len(traces.grants) == 1
    assert traces.calls.empty


def test_answers_are_kept_apart(write):
    traces = read_traces(write(rows(("r1", "gpt", "buy", None, 0, None, "pay"))))
    answers = {"label", "label_detail", "attack_attempted", "utility"}
    assert answers == set(traces.answers.columns)
    for frame in (traces.agents, traces.grants, traces.calls):
        assert not answers & set(frame.columns)


def test_everything_wrong_with_a_table_is_said_at_once(write):
    frame = (
        rows(("r1", "gpt", "buy", None, 0, None, "pay")).drop(columns=["suite", "label"]).assign(step="first")
    )
    frame["agent"] = pd.Series([None], dtype="string")
    with pytest.raises(TraceError) as caught:
        read_traces(write(frame))
    for fault in ("suite is missing", "label is missing", "step must hold numbers", "agent has 1 empty"):
        assert fault in str(caught.value)


def test_an_empty_table_is_refused(write):
    with pytest.raises(TraceError, match="no rows"):
        read_traces(write(rows(("r1", "gpt", "buy", None, 0, 1.0, "pay")).iloc[:0]))


@pytest.mark.parametrize("content", [b"", b"run_id,agent\n1,2\n"])
def test_a_file_that_is_no_parquet_is_refused(tmp_path, content):
    path = tmp_path / "traces.parquet"
    path.write_bytes(content)
    with pytest.raises(TraceError, match="cannot be read as Parquet"):
        read_traces(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(TraceError, match="no such file"):
        read_traces(tmp_path / "nowhere.parquet")


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("Bash:git", "Bash.git"), ("<malformed>", "malformed"), ("view_cart", "view_cart"), ("???", "unnamed")],
)
def test_tool_names_become_scope_names(name, canonical):
    assert canonical_tool(name) == canonical


@given(st.text())
def test_any_tool_name_becomes_one_that_the_server_accepts(name):
    assert canonical_tools([canonical_tool(name)]) == canonical_tool(name)
