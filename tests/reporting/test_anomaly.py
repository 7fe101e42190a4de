"""What the anomaly report makes of a judgement."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from agentsim.errors import UserError
from agentsim.experiments import DetectionResult, KeyNumber, judge
from agentsim.reporting import ReportError, anomaly
from agentsim.reporting.anomaly.containment import _standing
from agentsim.reporting.anomaly.explained import _tell
from agentsim.reporting.figures import Note, Picture, Table, table_html
from agentsim.risk import Estimate
from agentsim.run import Run

AGENTS = 250


@pytest.fixture(scope="module")
def result(run):
    return judge(run, alert_budget=2000, companion_agents=AGENTS)


@pytest.fixture
def real() -> DetectionResult:
    """A judgement of recorded traces, made up."""
    figures = {}
    for place, name in enumerate(("within_roc_auc", "pr_auc", "roc_auc", "recall_at_1", "recall_at_5")):
        value = np.array([0.9, 0.5, 0.8, 0.4]) - 0.05 * place
        figures |= {name: value, f"{name}_low": value - 0.03, f"{name}_high": value + 0.03}
    table = pd.DataFrame(
        {
            "suite": ["bank", "bank", "shop", "shop"],
            "detector": ["novelty", "counts"] * 2,
            "scored": 100,
            "attacks": [20, 20, 10, 10],
            "base_rate": [0.2, 0.2, 0.1, 0.1],
            **figures,
        }
    )
    score = np.linspace(0, 1, 200)
    return DetectionResult(
        kind="replay",
        verdict="It sees them.",
        numbers=(KeyNumber("within", 0.85, "0.850"), KeyNumber("a", 0.1, "10%"), KeyNumber("b", 0.3, "30%")),
        chosen="novelty",
        detectors=table,
        recall=pd.DataFrame(columns=["detector", "attack", "attacks", "found", "recall", "low", "high"]),
        scores=pd.DataFrame({"attacked": score > 0.85, "silent": False, "suite": "bank", "novelty": score}),
        curve=pd.DataFrame(
            {"threshold": [0.9, 0.5, 0.0], "recall": [0.5, 1.0, 1.0], "precision": [1.0, 0.3, 0.15]}
        ),
        threshold=None,
        report=None,
        days=float("nan"),
        alert_budget=50,
        seeds={"detectors": 0},
        method=("Each suite was left out.",),
        warnings=("recorded traces have no days",),
    )


def pictures(items):
    return [item for item in items if isinstance(item, Picture)]


def test_each_number_has_its_interval_as_a_note(result):
    numbers = anomaly.numbers(result)
    assert len(numbers) == 3
    assert numbers[0].value.endswith("%")
    assert numbers[0].note.startswith("95% interval ")
    assert ")" not in numbers[0].note


def test_recall_is_told_per_attack_and_in_all(result):
    recall = anomaly.findings(result)[0].table.set_index("attack")
    assert set(recall.index) == {"scope escalation", "token theft", "all"}
    assert recall.loc["all", "found"] == result.report.found
    assert recall["found"].drop("all").sum() == recall.loc["all", "found"]


def test_a_larger_budget_buys_more_attacks_and_less_precision(result):
    table = anomaly.findings(result)[1].table
    assert table["attacks found (%)"].is_monotonic_increasing
    row = table.set_index("alerts a day").loc[result.alert_budget]
    # The curve has points only where scores differ; the threshold was chosen on another run.
    assert row["attacks found (%)"] == pytest.approx(100 * result.report.overall.value, abs=15)
    assert table["attacks found (%)"].iloc[0] < table["attacks found (%)"].iloc[-1]


def test_every_picture_says_its_finding(result, real):
    for judged in (result, real):
        shown = pictures(anomaly.findings(judged))
        assert len(shown) >= 4
        for picture in shown:
            assert len(picture.alt) > 40
            assert len(picture.table) > 1
            picture.figure.draw_without_rendering()


def test_recorded_traces_are_told_per_left_out_suite_and_detector(real):
    within, found, table, *_ = anomaly.findings(real)
    assert "0.90 on bank and 0.80 on shop" in within.finding
    assert "found" in found.table.columns[-1]
    assert isinstance(table, Table)
    assert table.table["left-out suite"].tolist() == ["bank", "bank", "shop", "shop"]
    assert table.table["within agent (95%)"].iloc[0] == "0.900 (0.870–0.930)"


def test_alerts_are_told_with_reasons_and_truth(run, result):
    reasons, first = (item.table for item in anomaly.alerts(run, result, most=1000))
    assert reasons["alerts"].sum() == result.report.alerts > 0
    assert reasons["attacks"].sum() / reasons["alerts"].sum() == pytest.approx(result.report.precision.value)
    assert first["score"].astype(float).is_monotonic_decreasing
    highest = result.alerts.iloc[0]
    agent = run.sql(f"select agent_name from agents where client_id = {highest['client_id']}")
    assert first["agent"].iloc[0] == agent["agent_name"].iloc[0]
    assert first["unusual"].iloc[0].startswith(highest["reasons"][0])
    assert first["unusual"].iloc[0].endswith(highest["reasons"][-1])
    assert set(first["in truth"]) <= {"no attack", "token theft", "scope escalation"}
    assert len(first) == reasons["most unusual"].nunique()
    assert len(anomaly.alerts(run, result, most=2)[1].table) == 2


def test_what_everybody_does_is_no_reason():
    assert _tell([("use a #1", np.log(900)), ("use b #1", np.log(2))]) == "used a (1 in 900)"
    assert _tell([("use b #1", np.log(2))]) == "many small things"


def test_nobody_reached_the_threshold(run, result):
    (note,) = anomaly.alerts(run, replace(result, alerts=result.alerts.iloc[:0]))
    assert isinstance(note, Note)


def test_an_attack_that_nobody_made_is_not_drawn(result):
    calm = replace(
        result,
        scores=result.scores.assign(attacked=False),
        recall=result.recall.assign(attacks=0, found=0),
        curve=result.curve.assign(recall=0.0, precision=0.0),
    )
    shown = anomaly.findings(calm)
    assert [type(item) for item in shown[:4]] == [Note] * 4


@pytest.mark.parametrize(
    ("found", "right", "alerts", "tone"),
    [
        (0.95, 0.8, 40, "good"),
        (0.8, 0.8, 40, "watch"),  # one attack in five is missed
        (0.95, 0.3, 40, "watch"),  # most alerts are wrong
        (0.95, 0.8, 80, "watch"),  # more alerts than were allowed
    ],
)
def test_it_is_in_order_only_where_most_is_found_within_the_budget(result, found, right, alerts, tone):
    report = replace(
        result.report,
        attacks=100,
        found=round(100 * found),
        precision=Estimate(right, 0, 1),
        alerts_per_day=Estimate(alerts, alerts, alerts),
    )
    attacked = result.scores.assign(attacked=True)
    assert anomaly.tone(replace(result, report=report, alert_budget=50, scores=attacked)) == tone


def test_recorded_traces_are_in_order_only_where_few_false_alarms_find_most(real):
    def told(share):
        first, _, last = real.numbers
        return anomaly.tone(replace(real, numbers=(first, KeyNumber("found at 1 %", share, ""), last)))

    assert (told(0.12), told(0.95)) == ("watch", "good")


@pytest.mark.parametrize(("agents", "points"), [(0, 6), (3000, 0)])
def test_the_comparison_of_thresholds_may_be_left_out(run, agents, points):
    note = anomaly.played(run, agents, points)
    assert "left out" in note.finding
    assert anomaly.containment(note, agents) == [note]


def test_where_nobody_attacks_or_nothing_can_be_stopped_there_is_nothing_to_compare(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "copy")
    for change, said in (
        (lambda manifest: manifest.source.update(attacks=[]), "Nobody attacks"),
        (lambda manifest: setattr(manifest, "kind", "replay"), "cannot be stopped"),
    ):
        copy = Run(tmp_path / "copy")
        change(copy.manifest)
        note = anomaly.played(copy, 100, 2)
        assert said in note.finding


def test_where_the_default_threshold_stands_is_told_beside_the_aim():
    frame = pd.DataFrame(
        {
            "threshold": [np.nan, 3.0],
            "is_default": [False, True],
            "attacks": 20,
            "honoured_median": [10.0, 1.0],
            "honest_tasks": 1000,
            "honest_killed": [0, 1],
            "honest_killed_share": [0.0, 0.001],
        }
    )
    told = _standing(frame, 500)
    assert "90% no longer are. 1 honest task of 1,000 is killed (0.1%)" in told
    assert "killed, is reached" in told
    assert "our own invention" in told
    assert "is not reached" in _standing(frame.assign(honest_killed_share=0.02), 500)
    assert "is not reached" in _standing(frame.assign(honoured_median=[10.0, 2.5]), 500)


def test_without_recorded_traces_it_says_how_to_name_them(result, real):
    (note,) = anomaly.beside(result, "", 50)
    assert "-p replayed=" in note.finding
    (note,) = anomaly.beside(real, "", 50)
    assert "recorded traces" in note.finding


def test_a_simulation_is_no_recorded_trace(run, result, tmp_path):
    with pytest.raises(ReportError, match="a simulation, not a replay"):
        anomaly.beside(result, str(run.path), 50)
    with pytest.raises(UserError, match="no Run here"):
        anomaly.beside(result, str(tmp_path / "none"), 50)


def test_method_and_limits_tell_seeds_and_what_weakens(result, real):
    assert f"judged {result.seeds['judged']}" in anomaly.method(result)[-1]
    assert any("our own invention" in limit for limit in anomaly.limits(result))
    assert "Recorded traces have no days." in anomaly.limits(real)
    assert not any("our own invention" in limit for limit in anomaly.limits(real))


def test_what_no_token_server_sees_is_told_with_the_reason():
    (folded,) = anomaly.unseen()
    assert folded.summary.endswith("10 kinds of threats")
    told = folded.table.set_index("threat")
    assert "prompts" in told.loc["Goal hijack, broken intent (ASI01, T6)", "why it is not seen"]
    assert "task hijack" in told.loc["Goal hijack, broken intent (ASI01, T6)", "what may be seen of it"]


def test_hostile_names_are_text_among_the_alerts(run, result, rewrite, tmp_path):
    shutil.copytree(run.path, tmp_path / "copy")
    shutil.copytree(run.path.with_name("story-companions"), tmp_path / "copy-companions")
    name = "<script>alert(1)</script>"
    copy = rewrite(Run(tmp_path / "copy"), "agents", lambda agents: agents.assign(agent_name=name))
    _, first = anomaly.alerts(copy, result)
    assert set(first.table["agent"]) == {name}
    assert "<script" not in table_html(first.table, first.finding)
