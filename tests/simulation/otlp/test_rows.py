"""Spans as traces: who acted, for whom, in which run, and what is left of the content."""

import json
from pathlib import Path

import pandas as pd

from agentsim.simulation.otlp import read_spans
from agentsim.simulation.traces import read_traces


def rows(path: Path) -> pd.DataFrame:
    return read_spans(path)[0]


def calls(path: Path) -> list[tuple[str, str, str]]:
    """Agent, task and tool of each call."""
    held = rows(path)
    held = held[held["tool"] != "<no_tool_call>"]
    return list(zip(held["agent"], held["task_id"], held["tool"], strict=True))


def tasks(path: Path) -> dict[str, str | None]:
    """Tasks and who delegated them."""
    held = rows(path)
    parents = (None if pd.isna(parent) else parent for parent in held["parent_task_id"])
    return dict(zip(held["task_id"], parents, strict=True))


def test_an_agent_calls_tools(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "clerk"),
        otlp.span(2, 0.5, "chat gpt", parent=1, gen_ai__operation__name="chat", gen_ai__system="openai"),
        otlp.execute(3, 1, "search", parent=1),
        otlp.execute(4, 2.25, "pay", parent=1, failed=True),
        otlp.execute(5, 3, "pay", parent=1, error__type="timeout"),
    )
    held = rows(path)
    assert held["tool"].tolist() == ["<no_tool_call>", "search", "pay", "pay"]
    assert held["t"].tolist() == [0, 1, 2.25, 3]
    assert held["error"].tolist() == [False, False, True, True]
    assert set(held["agent"]) == {"shop/clerk"}
    assert set(held["suite"]) == {"shop"}
    assert held["run_id"].nunique() == 1


def test_spans_in_between_are_of_other_kinds(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "clerk"),
        otlp.span(2, 0.1, "GET", parent=1, http__request__method="GET"),
        otlp.span(3, 0.2, "run", parent=2),
        otlp.execute(4, 1, "search", parent=3),
    )
    assert calls(path) == [("shop/clerk", "clerk", "search")]


def test_an_agent_below_another_was_delegated_to(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "lead"),
        otlp.execute(2, 1, "ask_helper", parent=1),
        otlp.invoke(3, 1.5, "helper", parent=2),
        otlp.execute(4, 2, "look", parent=3),
        otlp.execute(5, 3, "ask_helper", parent=1),
        otlp.invoke(6, 3.5, "helper", parent=5),
        otlp.execute(7, 4, "look", parent=6),
    )
    assert tasks(path) == {"lead": None, "helper": "lead", "helper #2": "lead"}
    assert calls(path)[1] == ("shop/helper", "helper", "look")
    assert calls(path)[3] == ("shop/helper", "helper #2", "look")
    traces = read_traces(path)
    assert traces.timing
    assert traces.grants["parent"].tolist() == [-1, 0, 0]


def test_one_who_only_delegates_keeps_its_place(otlp):
    path = otlp.file(
        otlp.span(1, 0, "invoke_workflow crew", gen_ai__operation__name="invoke_workflow"),
        otlp.invoke(2, 1, "lead", parent=1),
        otlp.invoke(3, 2, "helper", parent=2),
        otlp.execute(4, 3, "look", parent=3),
    )
    assert tasks(path) == {"crew": None, "lead": "crew", "helper": "lead"}


def test_a_client_and_the_agent_it_calls_tell_of_one_task(otlp):
    client = otlp.request(
        otlp.invoke(1, 0, "lead"), otlp.invoke(2, 1, "remote", parent=1, gen_ai__agent__id="agent-7")
    )
    server = otlp.request(
        otlp.invoke(3, 1.5, "remote", parent=2), otlp.execute(4, 2, "look", parent=3), service="far"
    )
    path = otlp.lines(client, server)
    assert tasks(path) == {"lead": None, "remote": "lead"}
    assert calls(path) == [("agent-7", "remote", "look")]


def test_a_call_told_by_framework_client_and_server_is_one(otlp):
    mcp = {"mcp__method__name": "tools/call", "gen_ai__tool__name": "look"}
    path = otlp.file(
        otlp.invoke(1, 0, "clerk"),
        otlp.execute(2, 1, "look", parent=1),
        otlp.span(3, 1.1, "tools/call look", parent=2, **mcp),
        otlp.span(4, 1.2, "tools/call look", parent=3, **mcp),
        otlp.span(5, 2, "tools/call look", parent=1, **mcp),
        otlp.span(6, 3, "tools/list", parent=1, mcp__method__name="tools/list"),
    )
    assert calls(path) == [("shop/clerk", "clerk", "look")] * 2


def test_who_was_handed_over_to_works_for_who_did_it(otlp):
    path = otlp.file(
        otlp.span(1, 0, "invoke_workflow desk", gen_ai__operation__name="invoke_workflow"),
        otlp.invoke(2, 1, "triage", parent=1),
        otlp.execute(
            3,
            2,
            "to_refunds",
            parent=2,
            gen_ai__transfer__mode="pass_control",
            gen_ai__transfer__target__name="refunds",
        ),
        otlp.invoke(4, 3, "refunds", parent=1),
        otlp.execute(5, 4, "pay", parent=4),
    )
    assert tasks(path) == {"desk": None, "triage": "desk", "refunds": "triage"}


def test_calls_of_who_was_handed_over_to_are_enough(otlp):
    path = otlp.file(
        otlp.execute(
            1, 1, "to_refunds", gen_ai__agent__name="triage", gen_ai__transfer__target__name="refunds"
        ),
        otlp.execute(2, 2, "pay", gen_ai__agent__name="refunds"),
    )
    assert tasks(path) == {"triage": None, "refunds": "triage"}


def test_a_remote_call_names_its_caller(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "support", gen_ai__conversation__id="c1"),
        otlp.invoke(2, 1, "refunds", trace=2, gen_ai__conversation__id="c1", gen_ai__caller__name="support"),
    )
    assert tasks(path) == {"support": None, "refunds": "support"}


def test_another_agents_call_in_the_midst_of_a_task_is_a_guests(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "clerk"), otlp.execute(2, 1, "pay", parent=1, gen_ai__agent__name="guest")
    )
    assert calls(path) == [("shop/guest", "clerk", "pay")]


def test_an_agents_id_is_told_once_for_its_name(otlp):
    path = otlp.file(
        otlp.span(1, 0, "create_agent clerk", gen_ai__agent__id="asst_1", gen_ai__agent__name="clerk"),
        otlp.invoke(2, 1, "clerk"),
        otlp.execute(3, 2, "pay", parent=2),
    )
    assert calls(path) == [("asst_1", "clerk", "pay")]


def test_a_conversation_is_a_run_whose_turns_are_traces(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "clerk", trace=1, gen_ai__conversation__id="talk"),
        otlp.execute(2, 1, "search", parent=1, trace=1),
        otlp.invoke(1, 60, "clerk", trace=2, gen_ai__conversation__id="talk"),
        otlp.execute(2, 61, "pay", parent=1, trace=2),
        otlp.invoke(1, 70, "clerk", trace=3),
        otlp.execute(2, 71, "pay", parent=1, trace=3),
    )
    held = rows(path)
    assert held.groupby("run_id")["tool"].agg(list).tolist() == [
        ["<no_tool_call>", "pay"],
        ["<no_tool_call>", "search", "pay"],
    ]
    assert held[held["run_id"] == "talk"]["t"].tolist() == [0, 1, 61]
    assert tasks(path) == {"clerk": None}


def test_a_conversation_of_a_sub_agent_does_not_tear_the_run(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "lead", gen_ai__conversation__id="outer"),
        otlp.invoke(2, 1, "helper", parent=1, gen_ai__conversation__id="inner"),
        otlp.execute(3, 2, "look", parent=2, gen_ai__thread__id="inner"),
    )
    assert set(rows(path)["run_id"]) == {"outer"}
    assert tasks(path)["helper"] == "lead"


def test_what_stands_above_several_conversations_is_a_run_of_its_own(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "batch"),
        otlp.invoke(2, 1, "clerk", parent=1, gen_ai__conversation__id="a"),
        otlp.invoke(3, 2, "clerk", parent=1, gen_ai__conversation__id="b"),
    )
    assert sorted(rows(path)["run_id"]) == [f"{1:032x}", "a", "b"]


def test_servers_of_tools_tell_of_sessions(otlp):
    mcp = {"mcp__method__name": "tools/call", "mcp__session__id": "s1"}
    path = otlp.file(
        otlp.span(1, 0, "tools/call look", trace=1, **mcp), otlp.span(1, 1, "tools/call pay", trace=2, **mcp)
    )
    assert rows(path)["run_id"].unique().tolist() == ["s1"]
    assert calls(path) == [("shop", "shop", "look"), ("shop", "shop", "pay")]


def test_a_run_that_only_asks_a_model_calls_no_tool(otlp):
    path = otlp.file(otlp.span(1, 0, "chat gpt", gen_ai__operation__name="chat"), service=None)
    held = rows(path)
    assert held["tool"].tolist() == ["<no_tool_call>"]
    assert held["agent"].tolist() == ["unknown_service"]


def test_arguments_are_measured_alike_as_structure_and_as_text(otlp):
    given = {"b": [1, 2.5, True], "a": {"c": "x"}}
    written = json.dumps({"a": {"c": "x"}, "b": [1, 2.5, True]}, indent=1)
    path = otlp.file(
        otlp.execute(1, 0, "pay", gen_ai__tool__call__arguments=given, gen_ai__tool__call__result="done"),
        otlp.execute(2, 1, "pay", gen_ai__tool__call__arguments=written),
        otlp.execute(3, 2, "pay", gen_ai__tool__call__arguments="not JSON"),
        otlp.execute(4, 3, "pay"),
        otlp.execute(5, 4, "pay", gen_ai__tool__call__arguments={}),
    )
    held = rows(path).iloc[1:]
    compact = len('{"a":{"c":"x"},"b":[1,2.5,true]}')
    assert held["n_args"].tolist() == [2, 2, 1, pd.NA, 0]
    assert held["arg_chars"].tolist() == [compact, compact, 8, pd.NA, 2]
    assert held["args_digest"].iloc[0] == held["args_digest"].iloc[1]
    assert pd.isna(held["args_digest"].iloc[3])
    # The digest of {} as the other tables have it.
    assert held["args_digest"].iloc[4] == "44136fa355b3"
    assert held["result_chars"].iloc[0] == 4


def test_spans_carry_no_answers(otlp):
    held = rows(otlp.file(otlp.execute(1, 0, "pay")))
    assert held["label"].tolist() == [0, 0]
    assert set(held["label_detail"]) == {"presumed benign"}
    assert held["attack_attempted"].isna().all()
    assert held["utility"].isna().all()


def test_names_that_models_make_up_are_kept_in_one_line(otlp):
    path = otlp.file(
        otlp.execute(1, 0, 'pay\n{"amount": 1}\x00'),
        otlp.execute(2, 1, "=cmd()"),
        otlp.execute(3, 2, "<no_tool_call>"),
        otlp.execute(4, 3, " \n"),
    )
    traces = read_traces(path)
    assert traces.calls["tool"].tolist() == ["pay.amount.1", "cmd", "no_tool_call", "unnamed"]


def test_spans_above_each_other_in_a_circle_stand_alone(otlp):
    path = otlp.file(
        otlp.invoke(1, 0, "a", parent=2),
        otlp.invoke(2, 1, "b", parent=1),
        otlp.span(3, 2, "x", parent=4),
        otlp.span(4, 2, "y", parent=3),
        otlp.execute(5, 3, "look", parent=4),
        otlp.invoke(6, 4, "c", parent=6),
    )
    assert len(read_traces(path).grants) == 4


def test_very_many_works_within_each_other_may_have_clocks_that_run_back(otlp):
    path = otlp.file(
        *[otlp.invoke(n, 3_000 - n, f"agent-{n}", parent=n - 1 if n > 1 else None) for n in range(1, 2_500)]
    )
    told = tasks(path)
    assert told["agent-1"] is None
    assert told["agent-2000"] == "agent-1999"


def test_the_version_of_the_conventions_is_told(otlp):
    one, other = "https://opentelemetry.io/schemas/1.37.0", "https://opentelemetry.io/schemas/gen-ai/0.1.0"
    plain = otlp.request(otlp.execute(1, 0, "pay"))
    newer = otlp.request(otlp.execute(2, 1, "pay"), schema=other)
    above = otlp.request(otlp.execute(3, 2, "pay"))
    above["resourceSpans"][0]["schemaUrl"] = one
    unrelated = otlp.request(otlp.span(4, 3, "GET"), schema="https://opentelemetry.io/schemas/1.0.0")
    assert read_spans(otlp.lines(plain))[1]["semconv"] is None
    source = read_spans(otlp.lines(plain, newer, above, unrelated))[1]
    assert source == {
        "format": "otlp",
        "semconv": [one, other],
        "spans": 4,
        "agent_spans": 3,
        "repeated_spans": 0,
    }
