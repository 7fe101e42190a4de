from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentsim.server.scopes import canonical_resources, canonical_tools
from agentsim.simulation import TraceError, replay
from agentsim.simulation.trace_format import COLUMNS
from agentsim.simulation.traces import canonical_tool, read_traces
from tests.traces import call

Write = Callable[[list[dict[str, Any]]], Path]
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("run_id", "agent", "suite", "task_id", "parent_task_id", "tool")),
        *((name, pa.string()) for name in ("args_digest", "label_detail")),
        *((name, pa.int32()) for name in ("step", "n_args", "arg_chars", "result_chars")),
        ("t", pa.float32()),
        ("label", pa.int8()),
        *((name, pa.bool_()) for name in ("error", "attack_attempted", "utility")),
    ]
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(rows: list[dict[str, Any]]) -> Path:
        path = tmp_path / "traces.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
        return path

    return to_file


def faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(TraceError) as caught:
        read_traces(path)
    return caught.value.faults


def test_runs_become_grants_and_their_calls(write: Write) -> None:
    traces = read_traces(
        write(
            [
                call("r2", 0, "pay"),
                call("r1", 1, "cart:add", error=True),
                call("r1", 0, "search"),
                call("r3", 0, "<no_tool_call>", agent="model-b"),
            ]
        )
    )
    assert traces.agents.to_dict("list") == {"agent": ["model-a", "model-b"], "suite": ["shop", "shop"]}
    assert traces.catalogue == {"shop": ("cart.add", "pay", "search")}
    assert traces.grants["task_id"].tolist() == ["r1", "r2", "r3"]
    assert traces.grants["agent"].tolist() == [0, 0, 1]
    assert traces.calls["grant"].tolist() == [0, 0, 1]
    assert traces.calls["tool"].tolist() == ["search", "cart.add", "pay"]
    assert traces.calls["error"].tolist() == [False, True, False]


def test_steps_decide_the_order_where_there_is_no_clock(write: Write) -> None:
    traces = read_traces(write([call("r1", step, f"tool_{step}") for step in (5, 1, 3)]))
    assert traces.calls["tool"].tolist() == ["tool_1", "tool_3", "tool_5"]
    assert (np.diff(traces.calls["time"]) > 0).all()
    assert (traces.grants["issued"] < traces.calls["time"].min()).all()


def test_a_clock_is_kept_and_never_runs_back(write: Write) -> None:
    times = [0.5, 4.0, 3.0, 10.25]
    traces = read_traces(write([call("r1", step, "look", t=t) for step, t in enumerate(times)]))
    assert traces.timing
    assert np.diff(traces.calls["time"]).tolist() == [3_500_000, 0, 6_250_000]


def test_a_run_without_calls_needs_no_clock(write: Write) -> None:
    assert read_traces(write([call("r1", 0, "look", t=1.0), call("r2", 0, "<no_tool_call>")])).timing
    assert not read_traces(write([call("r1", 0, "look", t=1.0), call("r2", 0, "look")])).timing


def test_delegated_tasks_are_child_grants_of_whoever_acts_first(write: Write) -> None:
    rows = [
        call("r1", 0, "look", agent="deep", task_id="d2", parent_task_id="d1"),
        call("r1", 1, "look", agent="helper", task_id="d1", parent_task_id="root"),
        call("r1", 2, "look", agent="lead", task_id="root"),
        call("r1", 3, "look", agent="guest", task_id="root"),
    ]
    traces = read_traces(write(rows))
    assert traces.grants["task_id"].tolist() == ["r1", "r1/d1", "r1/d2"]
    assert traces.grants["parent"].tolist() == [-1, 0, 1]
    holders = traces.agents["agent"][traces.grants["agent"]].tolist()
    assert holders == ["lead", "helper", "deep"]
    assert (np.diff(traces.grants["issued"]) > 0).all()
    assert set(traces.calls["caller"]) == {"lead", "helper", "deep", "guest"}


def test_tasks_that_delegate_in_a_circle_stand_alone(write: Write) -> None:
    rows = [
        call("r1", 0, "look", task_id="a", parent_task_id="b"),
        call("r1", 1, "look", task_id="b", parent_task_id="a"),
        call("r1", 2, "look", task_id="c", parent_task_id="c"),
        call("r1", 3, "look", task_id="d", parent_task_id="c"),
        call("r1", 4, "look", task_id="e", parent_task_id="a"),
    ]
    grants = read_traces(write(rows)).grants
    parent = dict(zip(grants["description"], grants["parent"], strict=True))
    above = int(np.flatnonzero(grants["description"] == "c")[0])
    assert parent == {"a": -1, "b": -1, "c": -1, "d": above, "e": -1}


def test_what_is_too_deep_begins_a_tree_of_its_own(write: Write) -> None:
    line = [
        call("r1", n, "look", task_id=f"t{n}", parent_task_id=f"t{n - 1}" if n else None) for n in range(70)
    ]
    grants = read_traces(write(line)).grants
    assert grants["description"][grants["parent"] < 0].tolist() == ["t0", "t65"]


def test_an_unknown_label_is_neither_good_nor_bad(write: Write) -> None:
    traces = read_traces(
        write(
            [
                call("r1", 0, "look", label=1, label_detail="b", attack_attempted=True, utility=None),
                call("r1", 1, "look", label=1, label_detail="a", attack_attempted=True, utility=None),
                call("r2", 0, "look", label=None, label_detail=None),
            ]
        )
    )
    assert traces.answers["label"].tolist() == [1, -1]
    assert traces.answers["attack_attempted"].tolist() == [True, False]
    assert traces.answers["utility"].isna().tolist() == [True, False]
    assert traces.answers["label_detail"].tolist()[0] == "a; b"


@pytest.mark.parametrize(
    ("name", "canonical"), [("a/b c%20d*", "a.b.c.20d"), ("日本", "unnamed"), ("x" * 300, "x" * 200)]
)
def test_odd_tool_names_are_made_to_fit(name: str, canonical: str) -> None:
    assert canonical_tool(name) == canonical


def test_odd_suite_names_are_made_to_fit(write: Write) -> None:
    names = ["a/b", "a b:c", "../x", "日本/..", "%"]
    suites = read_traces(
        write([call(f"r{n}", 0, "look", suite=name) for n, name in enumerate(names)])
    ).catalogue
    assert all(canonical_resources([suite]) == suite for suite in suites)
    assert "a/b" in suites


def test_every_fault_of_the_columns_is_told_at_once(tmp_path: Path, write: Write) -> None:
    table = pq.read_table(write([call("r1", 0, "look")])).drop_columns(["tool", "label"])
    table = table.set_column(0, "run_id", pa.array([7])).set_column(1, "agent", pa.array([None], pa.string()))
    path = tmp_path / "bad.parquet"
    pq.write_table(table, path)
    assert set(faults(path)) == {
        "column tool is missing",
        "column label is missing",
        "column run_id must hold text, but holds int64",
        "column agent has 1 empty values",
    }
    pq.write_table(pa.table({"run_id": pa.array([], pa.string())}), path)
    assert len(faults(path)) == len(COLUMNS)


def test_every_fault_of_the_values_is_told_at_once(write: Write) -> None:
    found = faults(
        write(
            [
                call("r1", 0, "look", t=-1.0, label=3),
                call("r1", 0, "look", n_args=-1),
                call("r2", -4, "", suite="other"),
                call("r2", 1, "look", t=float("nan")),
                call("r3", 1, "look", t=float("inf")),
            ]
        )
    )
    assert set(found) == {
        "column tool has 1 empty values",
        "column step must hold whole numbers from 0 on, not -4",
        "column n_args must hold whole numbers from 0 on, not -1",
        "column t must hold seconds since the run began, from 0 to a year, not -1",
        "column label must hold 1, 0 or -1, not 3",
        "1 rows repeat the step of another of their run, first step 0 of run r1",
        "a run belongs to one suite, but run r2 to 2",
    }


def test_more_tools_than_one_grant_can_name_are_a_fault(write: Write) -> None:
    found = faults(write([call("r1", number, f"tool_{number}") for number in range(1001)]))
    assert found == ("suite shop has 1001 different tools; at most 1000 can be replayed",)


def test_columns_without_any_value_may_have_no_type(tmp_path: Path, write: Write) -> None:
    table = pq.read_table(write([call("r1", 0, "look")]))
    for name in ("t", "parent_task_id", "utility"):
        table = table.set_column(table.column_names.index(name), name, pa.nulls(1))
    path = tmp_path / "nulls.parquet"
    pq.write_table(table, path)
    assert not read_traces(path).timing


def test_a_table_without_any_call_can_be_replayed(tmp_path: Path, write: Write) -> None:
    run = replay(write([call("r1", 0, "<no_tool_call>"), call("r2", 0, "<no_tool_call>")]), tmp_path / "run")
    assert run.sql("select granted_tools from tokens")["granted_tools"].tolist() == ["none", "none"]
    assert run.sql("select count(*) n from audit where event_type = 'token_verified'")["n"].item() == 0


@pytest.mark.parametrize(
    "name", ["agentdyn", "openagentsafety", "tau_bench", "who_and_when", "claude_code_sessions"]
)
def test_real_traces_are_read_whole(traces_folder: Path, name: str) -> None:
    path = traces_folder / f"{name}.parquet"
    frame, traces = pd.read_parquet(path), read_traces(path)
    called = frame[frame["tool"] != "<no_tool_call>"]
    assert len(traces.calls) == len(called)
    assert len(traces.grants) == frame.groupby(["run_id", "task_id"]).ngroups
    assert len(traces.agents) == frame.groupby(["agent", "suite"]).ngroups
    assert traces.timing == bool(frame["t"].notna().all())
    assert traces.calls["error"].sum() == called["error"].sum()
    assert set(traces.answers["label"]) == set(frame["label"])
    for tools in traces.catalogue.values():
        assert canonical_tools(tools) == " ".join(tools)
    child = traces.grants[traces.grants["parent"] >= 0]
    assert (child["parent"] < child.index).all()
    assert (child["issued"].to_numpy() > traces.grants["issued"].to_numpy()[child["parent"]]).all()
    first = traces.calls.groupby("grant")["time"].min()
    assert (first >= traces.grants["issued"].loc[first.index]).all()
