"""The numbers of the scale report, held against the Run's own tables."""

import shutil

import numpy as np
import pandas as pd
import pytest

from agentsim.reporting import scale
from agentsim.reporting.figures import Note
from agentsim.reporting.scale.exposure import draw
from agentsim.run import Run
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario

PICTURES = ("cost", "throughput", "growth", "refusals", "marks")


@pytest.fixture(scope="module")
def facts(run):
    return scale.Scale(run)


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "copy")
    return Run(tmp_path / "copy")


def test_wall_time_is_shared_out_without_loss(facts, run):
    windows = run.frame("windows")
    assert facts.wall.all_us == windows["wall_us"].sum()
    assert facts.wall.parts["wall_us"].sum() == facts.wall.server_us < facts.wall.all_us
    assert facts.wall.parts["share"].sum() == pytest.approx(1)
    assert facts.wall.operations == facts.summary.operations
    assert facts.wall.agents == 250


def test_refusals_add_up_and_name_the_attackers(facts, run):
    audit, labels = run.frame("audit"), run.frame("labels")
    refused = audit[audit["status"] == "refused"]
    assert facts.refusals["count"].sum() == len(refused)
    assert facts.refusals["by_attackers"].sum() == refused["log_id"].isin(labels["log_id"]).sum() > 0
    assert facts.refusals["count"].is_monotonic_decreasing


def test_every_mark_is_told_with_what_it_ended(facts, run):
    marks = run.frame("revocations")
    assert len(facts.marks) == len(marks) > 0
    assert facts.marks["grants"].sum() == marks["affected_grants"].sum()
    # What was filled in was filled in after the mark, and where nothing was, there is no lag.
    assert (facts.marks["lag_us"].dropna() >= 0).all()
    assert facts.marks["lag_us"].notna().sum() == (facts.marks["tokens"] > 0).sum()


def test_nothing_is_honoured_after_its_end(facts):
    assert facts.honoured == 0
    assert scale.tone(facts) != "bad"
    assert scale.numbers(facts)[2].value == "0"


def test_an_operation_that_is_honoured_after_the_end_turns_the_verdict(copy, rewrite):
    refused_late = copy.sql(
        "select log_id from audit where event_type = 'token_verified' and reason = 'revoked' order by log_id"
    )["log_id"]
    assert len(refused_late) > 0

    def let_it_pass(audit):
        audit.loc[audit["log_id"] == refused_late[0], ["status", "reason"]] = ["granted", None]
        return audit

    facts = scale.Scale(rewrite(copy, "audit", let_it_pass))
    assert facts.honoured == 1
    assert scale.tone(facts) == "bad"
    assert "1 operation was honoured after the grant had ended" in scale.verdict(facts)
    assert scale.numbers(facts)[2].value == "1"


@pytest.mark.parametrize(("factor", "word"), [(1.0, "as much"), (3.0, "more"), (0.4, "less")])
def test_what_costs_more_late_is_found_whatever_the_load(copy, rewrite, factor, word):
    costs = {"Verify": 20, "Issue": 150, "load": 900, "write": 1100}

    def made_up(windows):
        ends = windows["start"].quantile(0.5)
        each = windows["operation"].astype(str).map(costs).fillna(30)
        late = np.where(windows["start"] > ends, factor, 1.0)
        return windows.assign(wall_us=(windows["count"] * each * late).astype("int64"))

    facts = scale.Scale(rewrite(copy, "windows", made_up))
    assert word in scale.throughput(facts).finding
    assert facts.wall.late_over_early == pytest.approx(factor, rel=0.1)
    assert scale.tone(facts) == ("watch" if factor > 1.2 else "good")


def test_every_picture_has_words_and_numbers(facts):
    for name in PICTURES:
        picture = getattr(scale, name)(facts)
        assert len(picture.alt) > 40, name
        assert not picture.finding.endswith("."), name
        assert len(picture.table) > 0, name


def test_hostile_names_are_drawn_as_text(copy, rewrite):
    name = "$\\frac{<script>alert(1)</script>"
    facts = scale.Scale(rewrite(copy, "agents", lambda agents: agents.assign(agent_name=name)))
    picture, rows = scale.tree(facts, 50)
    picture.figure.draw_without_rendering()
    assert name in picture.alt
    assert "<script" not in rows.html


def test_a_run_in_which_nothing_happened_has_notes_instead_of_pictures(copy, rewrite):
    for table in ("tokens", "audit", "revocations", "windows", "labels"):
        rewrite(copy, table, lambda rows: rows.head(0))
    facts = scale.Scale(Run(copy.path))
    assert {type(getattr(scale, name)(facts)) for name in PICTURES} == {Note}
    assert [type(item) for item in scale.tree(facts, 50)] == [Note]
    assert scale.numbers(facts)[1].value == "–"
    assert "too short" in scale.verdict(facts)


def test_method_and_limits_say_seed_and_versions(facts):
    told = " ".join(scale.method(facts))
    assert "seed 11" in told
    assert "agentsim 0." in told
    assert len(scale.limits(facts)) >= 4


def test_the_run_at_a_glance_names_its_attacks(facts):
    what = set(scale.what_it_did(facts)["what"])
    assert {"agents", "operations", "attack: token theft", "attack: scope escalation"} <= what


def comparison():
    """Two ways, as the experiment tells them, and the feed."""
    rows = [
        ("online", "", 1_000, 1_000, 0, 0, 0.0, 0.0, 0.0, 0.0, np.nan),
        ("feed", "5s", 1_000, 0, 400, 20, 200.0, 120.0, 290.0, 0.15, 4.0),
        ("offline", "", 1_100, 0, 0, 350, 3_500.0, 3_000.0, 4_100.0, 0.9, 200.0),
    ]
    names = "verification setting calls asked looks honoured per_1000 low high exposed p50_s".split()
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(p99_s=frame["p50_s"], max_s=frame["p50_s"], revocations=100, agents=500)


def test_exposure_is_drawn_beside_its_cost_at_the_size_of_the_run():
    picture = draw(comparison(), size=5_000)
    assert picture.table["requests per call"].tolist() == [1.0, 0.04, 0.0]
    assert picture.table["honoured per 1,000 revocations"].tolist() == [0, 200, 3_500]
    assert picture.finding == (
        "Offline, resource servers honour 3.5 calls after each revocation; a feed polled each 5 s cuts that to 0.2, "
        "and asking for each call lets none through"
    )
    assert "feed, polled each 5 s: 200 calls per 1,000 revocations" in picture.alt


def test_what_cannot_be_compared_is_said(facts, run, copy):
    left_out = scale.exposure(facts, 0)
    assert isinstance(left_out, Note)
    assert "exposure_agents" in left_out.finding
    copy.manifest.kind = "replay"
    replayed = scale.exposure(scale.Scale(copy), 100)
    assert isinstance(replayed, Note)
    assert "no scenario" in replayed.finding


def test_calls_that_resource_servers_honoured_too_late_are_in_the_verdict(tmp_path, run):
    scenario = parse_scenario(
        {**run.manifest.source, "name": "offline", "resource_servers": {"verification": "offline"}}
    )
    facts = scale.Scale(simulate(scenario, tmp_path / "offline"))
    exposed = facts.summary.exposed_calls
    assert exposed == facts.run.frame("exposures")["honoured"].sum() > 0
    told = f"honoured {exposed} calls after the grant's end, the token server none"
    assert told in scale.verdict(facts)
    assert facts.honoured == 0
    assert scale.what_it_did(facts)["what"].str.contains("by resource servers").any()
    assert not scale.what_it_did(scale.Scale(run))["what"].str.contains("by resource servers").any()
