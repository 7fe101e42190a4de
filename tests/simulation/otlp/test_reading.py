"""Files of spans: in which shapes they come, and all that can be wrong with them."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsim.simulation import TraceError
from agentsim.simulation.otlp import is_otlp, read_spans
from agentsim.simulation.traces import read_traces


def faults(path: Path) -> tuple[str, ...]:
    with pytest.raises(TraceError) as caught:
        read_traces(path)
    return caught.value.faults


def test_an_object_a_line_one_in_the_whole_file_a_list_or_zipped_is_all_the_same(otlp):
    first, second = otlp.request(otlp.execute(1, 0, "look")), otlp.request(otlp.execute(2, 1, "pay"))
    lines = otlp.lines(first, "", second)
    expected = read_spans(lines)
    zipped = otlp.zipped(lines)
    assert read_spans(zipped)[0].equals(expected[0])
    both = {"resourceSpans": first["resourceSpans"] + second["resourceSpans"]}
    for written in (json.dumps([first, second]), json.dumps(both, indent=2), "\ufeff" + json.dumps(both)):
        whole = otlp.folder / "whole.json"
        whole.write_text(written)
        assert is_otlp(whole)
        assert read_spans(whole)[0].equals(expected[0])


def test_tables_are_not_taken_for_spans(otlp):
    table = otlp.folder / "traces.parquet"
    table.write_bytes(b"PAR1 and so on")
    assert not is_otlp(table)
    assert not is_otlp(otlp.folder / "nowhere.jsonl")
    assert faults(otlp.folder / "nowhere.jsonl") == ("no such file",)


def test_other_signals_and_what_is_unknown_are_passed_over(otlp):
    span = otlp.execute(1, 0, "look", gen_ai__new__thing={"deep": [1]}, unheard=True)
    span["events"] = [{"name": "exception", "attributes": "odd"}]
    span["links"] = None
    path = otlp.lines(
        {"resourceLogs": []}, {"resourceMetrics": [1]}, otlp.request(span), {"resourceSpans": []}
    )
    assert read_spans(path)[1]["agent_spans"] == 1


def test_what_was_sent_twice_counts_once(otlp):
    line = otlp.request(otlp.execute(1, 0, "look"))
    rows, source = read_spans(otlp.lines(line, line))
    assert len(rows) == 2
    assert source["repeated_spans"] == 1


def test_ids_in_base64_serve_as_well(otlp):
    above, below = otlp.invoke(1, 0, "lead"), otlp.execute(2, 1, "look", parent=1)
    for span in (above, below):
        span["traceId"] = "AAAAAAAAAAAAAAAAAAAAAQ=="
    above["spanId"] = below["parentSpanId"] = "AAAAAAAAAAE="
    assert read_spans(otlp.file(above, below))[0]["task_id"].unique().tolist() == ["lead"]


def test_everything_wrong_is_told_at_once_with_its_line(otlp):
    timeless, nameless, odd = otlp.execute(1, 0, "a"), otlp.execute(2, 0, "b"), otlp.execute(3, 0, "c")
    timeless["startTimeUnixNano"] = "soon"
    del nameless["traceId"]
    odd["attributes"] = {"gen_ai.tool.name": "c"}
    path = otlp.lines(
        otlp.request(timeless, nameless),
        "{not json",
        otlp.request(odd, 7),
        {"resourceSpans": {}},
        {"context": {}, "name": "from a console exporter"},
        "3",
    )
    told = faults(path)
    assert told[2].startswith("line 2: not JSON at column 2: ")
    assert (*told[:2], *told[3:]) == (
        "line 1: span 0000000000000001: startTimeUnixNano must hold nanoseconds since 1970",
        "line 1: a span: has no traceId",
        'line 3: span 0000000000000003: attributes must be a list of {"key": …, "value": …}',
        "line 3: a span: must be a JSON object",
        "line 4: resourceSpans must be a list",
        "line 5: no resourceSpans in it: is it OTLP as JSON?",
        "line 6: not an OTLP object: resourceSpans are expected",
    )


def test_of_very_many_faults_the_first_are_told(otlp):
    told = faults(otlp.lines(otlp.request(), *["{"] * 30))
    assert len(told) == 21
    assert told[0].startswith("line 2: not JSON")
    assert told[-1] == "and 10 more"


def test_a_file_that_was_cut_off_says_so(otlp):
    whole = json.dumps(otlp.request(otlp.execute(1, 0, "look")))
    (told,) = faults(otlp.lines(whole, whole[:100]))
    assert told.startswith("line 2: not JSON")
    assert told.endswith("was it cut off while it was written?")
    (alone,) = faults(otlp.lines(whole[:100]))
    assert alone.endswith("was it cut off while it was written?")
    (zipped,) = faults_of_cut_gzip(otlp, whole)
    assert zipped.startswith("cannot be read: ")


def faults_of_cut_gzip(otlp, text: str) -> tuple[str, ...]:
    path = otlp.folder / "cut.jsonl.gz"
    path.write_bytes(gzip.compress(text.encode())[:-20])
    return faults(path)


def test_a_file_without_agents_says_what_is_missing(otlp):
    (told,) = faults(otlp.file(otlp.span(1, 0, "GET", http__request__method="GET")))
    assert told.startswith("there is no agent at work in its 1 spans")
    (empty,) = faults(otlp.lines({"resourceSpans": []}))
    assert empty.startswith("there is no agent at work in its 0 spans")


def test_a_clock_that_was_wrong_is_found(otlp):
    early = otlp.execute(2, 0, "look")
    early["startTimeUnixNano"] = "1000"
    (told,) = faults(otlp.file(otlp.execute(1, 0, "look"), early))
    assert "days apart, more than a year" in told


def test_what_is_nested_too_deeply_is_a_fault_and_not_the_end(otlp):
    value: dict[str, object] = {"stringValue": "x"}
    for _ in range(300):
        value = {"arrayValue": {"values": [value]}}
    span = otlp.execute(1, 0, "look")
    span["attributes"].append({"key": "gen_ai.tool.call.arguments", "value": value})
    assert faults(otlp.file(span)) == ("line 1: span 0000000000000001: an attribute is nested too deeply",)


WORDS = st.sampled_from(
    "resourceSpans resource scopeSpans spans attributes traceId spanId parentSpanId name startTimeUnixNano status code "
    "key value stringValue intValue arrayValue values kvlistValue schemaUrl gen_ai.operation.name gen_ai.tool.name "
    "execute_tool invoke_agent".split()
)
KEYS = st.sampled_from(
    "gen_ai.operation.name gen_ai.tool.name gen_ai.agent.name gen_ai.agent.id gen_ai.conversation.id mcp.method.name "
    "gen_ai.transfer.target.name gen_ai.caller.name gen_ai.tool.call.arguments error.type".split()
)
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(0, 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
NAME = WORDS | st.text(max_size=8)
ATTRIBUTE = st.fixed_dictionaries(
    {
        "key": KEYS,
        "value": st.fixed_dictionaries(
            {"stringValue": st.sampled_from(["execute_tool", "invoke_agent", "tools/call", "a", "b"]) | NAME}
        )
        | ANYTHING,
    }
)
SPAN = st.fixed_dictionaries(
    {
        "traceId": st.sampled_from(["t1", "t2"]),
        "spanId": st.sampled_from(["1", "2", "3", "4", "5"]),
        "startTimeUnixNano": st.integers(1, 10**10).map(str),
    },
    optional={
        "parentSpanId": st.sampled_from(["", "1", "2", "3", "4", "9"]),
        "name": NAME,
        "attributes": st.lists(ATTRIBUTE, max_size=4) | ANYTHING,
        "status": ANYTHING,
    },
)
REQUEST = st.lists(SPAN | ANYTHING, max_size=8).map(
    lambda spans: {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(REQUEST | ANYTHING, min_size=1, max_size=3))
def test_any_json_is_traces_or_one_clear_error(otlp, objects):
    path = otlp.folder / "any.json"
    path.write_bytes(b"\n".join(json.dumps(entry).encode() for entry in objects))
    try:
        traces = read_traces(path)
    except TraceError as exc:
        told = str(exc)
    else:
        told = ""
        assert len(traces.grants) >= 1
        assert (traces.grants["parent"] < np.arange(len(traces.grants))).all()
    assert not told or told.startswith(f"{path}: ")


WORK = st.builds(
    lambda span, operation, named: (
        span
        | {
            "attributes": [
                {"key": key, "value": {"stringValue": value}}
                for key, value in {"gen_ai.operation.name": operation, **named}.items()
            ]
        }
    ),
    SPAN,
    st.sampled_from(["execute_tool", "invoke_agent", "chat"]),
    st.dictionaries(
        KEYS.filter(lambda key: key != "gen_ai.operation.name"), st.sampled_from("abc"), max_size=4
    ),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORK, min_size=1, max_size=12, unique_by=lambda span: (span["traceId"], span["spanId"])))
def test_any_tree_of_works_and_calls_is_traces(otlp, spans):
    traces = read_traces(otlp.file(*spans))
    tools = sum(span["attributes"][0]["value"]["stringValue"] == "execute_tool" for span in spans)
    assert len(traces.calls) <= tools
    assert (len(traces.calls) > 0) == (tools > 0)
    assert (traces.grants["parent"] < np.arange(len(traces.grants))).all()
    assert (np.diff(traces.calls["time"]) >= 0).all()
    issued = traces.grants["issued"].to_numpy()
    assert (issued[traces.calls["grant"]] < traces.calls["time"]).all()
    # The order in which exporters write is nobody's matter.
    turned = read_traces(otlp.file(*reversed(spans)))
    assert turned.calls.equals(traces.calls)
    assert turned.grants.equals(traces.grants)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=60).map(lambda tail: b"{" + tail)
    | st.binary(max_size=60).map(lambda t: b"\x1f\x8b" + t)
)
def test_any_bytes_are_one_clear_error(otlp, content):
    path = otlp.folder / "bytes.json"
    path.write_bytes(content)
    with pytest.raises(TraceError):
        read_traces(path)
