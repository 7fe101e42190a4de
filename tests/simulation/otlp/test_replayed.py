"""From a team's own spans to features: the whole way, and what is never written down on it."""

import json

import numpy as np
import pytest

from agentsim.cli import main
from agentsim.lineage import check
from agentsim.risk import gather
from agentsim.run import Run
from agentsim.simulation import replay

SECRET = "the-customers-own-words"


@pytest.fixture
def spans(otlp):
    """Three conversations of a lead who delegates; every place that can hold content holds a secret."""
    content = {
        "gen_ai__input__messages": [{"role": "user", "content": SECRET}],
        "gen_ai__output__messages": SECRET,
        "gen_ai__system_instructions": SECRET,
        "gen_ai__agent__description": SECRET,
        "gen_ai__tool__definitions": [{"name": SECRET}],
        "gen_ai__tool__description": SECRET,
        "gen_ai__prompt": SECRET,
        "unheard_of": SECRET,
    }
    lines = []
    for talk in range(3):
        at, more = talk * 100.0, {"trace": talk + 1, "gen_ai__conversation__id": f"talk-{talk}"}
        made = [
            otlp.invoke(1, at, "lead", **more, **content),
            otlp.execute(2, at + 1, "ask_helper", parent=1, trace=talk + 1),
            otlp.invoke(3, at + 2, "helper", parent=2, trace=talk + 1, **content),
            otlp.execute(
                4,
                at + 3,
                "search",
                parent=3,
                trace=talk + 1,
                gen_ai__tool__call__arguments={"query": SECRET, "limit": talk},
                gen_ai__tool__call__result=SECRET,
                **content,
            ),
            otlp.execute(5, at + 4, "pay", parent=3, trace=talk + 1, failed=talk == 2),
        ]
        for span in made:
            span["status"]["message"] = SECRET
            span["events"] = [{"name": "exception", "attributes": [{"key": "message", "value": SECRET}]}]
        lines.append(otlp.request(*made, schema="https://opentelemetry.io/schemas/1.37.0"))
    return otlp.lines(*lines)


def test_spans_become_a_run_with_grants_and_features(spans, tmp_path):
    run = replay(spans, tmp_path / "run")
    assert check(run) == []
    assert run.manifest.source["semconv"] == ["https://opentelemetry.io/schemas/1.37.0"]
    assert run.manifest.source["timing"]
    assert run.manifest.source["calls"] == 9
    tree = run.sql("select depth, task_description, count(*) n from tokens group by all order by depth")
    assert tree.to_dict("list") == {"depth": [0, 1], "task_description": ["lead", "helper"], "n": [3, 3]}
    pace = run.sql(
        "select (max(timestamp) - min(timestamp)) / 1e6 s from audit where event_type = 'token_verified'"
    )
    assert pace["s"][0] == pytest.approx(5)
    for kind, count in (("grant", 6), ("tree", 3), ("agent", 2)):
        features = gather(run, kind).features
        assert len(features) == count
        assert np.isfinite(features.to_numpy()).all()
    labels = run.frame("labels")
    assert labels["label"].tolist() == [0] * 6
    assert set(labels["detail"]) == {"presumed benign"}


def test_what_people_said_is_nowhere_in_the_run(spans, tmp_path):
    run = replay(spans, tmp_path / "run")
    tables = ("agents", "tokens", "revocations", "audit", "labels", "exposures", "windows")
    written = (
        "".join(run.frame(table).to_csv() for table in tables) + (run.path / "manifest.json").read_text()
    )
    assert SECRET not in written
    outcomes = run.sql("select details from audit where event_type = 'task_execution' order by log_id")[
        "details"
    ]
    search = next(told for told in map(json.loads, outcomes) if told["tool"] == "search")
    assert search["n_args"] == 2
    assert search["result_chars"] == len(SECRET)
    assert len(search["args_digest"]) == 12


def test_the_command_recognises_spans_and_zipped_ones(otlp, spans, tmp_path, capsys):
    for file in (spans, otlp.zipped(spans)):
        with pytest.raises(SystemExit) as left:
            main(["replay", str(file), "--out", str(tmp_path / "run"), "--json"])
        assert left.value.code == 0
        assert json.loads(capsys.readouterr().out)["grants"] == 6
    with pytest.raises(SystemExit) as left:
        main(["inspect", str(tmp_path / "run"), "--check"])
    assert left.value.code == 0
    assert "Checked: no invariant is broken." in capsys.readouterr().out


def test_a_broken_file_leaves_one_message_and_no_run(otlp, tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        main(["replay", str(otlp.lines("{not JSON", "{}")), "--out", str(tmp_path / "run")])
    assert left.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("agentsim: ")
    assert "line 1: not JSON" in told
    assert not (tmp_path / "run").exists()


def test_a_replay_of_spans_is_the_same_bytes_again(spans, tmp_path):
    first = replay(spans, tmp_path / "first")
    second = replay(spans, tmp_path / "second", batch_size=2)
    assert first.manifest.digests() == second.manifest.digests()
    assert Run(tmp_path / "first").manifest.source == second.manifest.source
