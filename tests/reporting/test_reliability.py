"""The reliability report: what a soak counted, in words and pictures."""

import json
from pathlib import Path

import pandas as pd
import pytest

from agentsim.experiments.soak import SoakError, Tally
from agentsim.experiments.soak.record import write
from agentsim.reporting import make_report, open_soak, reliability
from agentsim.reporting.figures import Note
from agentsim.reporting.page import faults
from tests.soaks import INPUTS, KILLS, LOAD, manifest, seconds

PICTURES = ("asked", "waits", "memory")


@pytest.fixture
def facts(tmp_path):
    def make(*tallies: Tally, frame: pd.DataFrame | None = None) -> reliability.Facts:
        return reliability.Facts(write(tmp_path / "soak", manifest(*tallies), frame))

    return make


def test_a_soak_in_which_nothing_went_wrong_says_what_was_tried(facts):
    found = facts(LOAD, KILLS, INPUTS, frame=seconds())
    assert reliability.verdict(found) == (
        "Nothing was lost, nobody was let in, and no error came that nothing had asked for, "
        "in 1,701 operations, 30 kills and 1 bad input."
    )
    assert reliability.tone(found) == "good"
    assert [number.value for number in reliability.numbers(found)] == ["1,701", "0 / 0", "10.3 ms"]
    assert reliability.numbers(found)[2].note == "memory flat; p99 flat"
    assert reliability.tallies(found).finding == "Nothing went wrong in 3 kinds of trials"


@pytest.mark.parametrize(
    ("wrong", "tone", "told"),
    [
        ({"lost": 1}, "bad", "1 answered operation was lost, in"),
        ({"let_in": 2}, "bad", "2 times something was let in that had to be refused, in"),
        ({"unasked": 3}, "watch", "3 errors came that nothing had asked for, in"),
    ],
)
def test_whatever_went_wrong_is_the_verdict(facts, wrong, tone, told):
    found = facts(LOAD, Tally(part="faults", name="disk full", tried=5, notes=["it hung"], **wrong))
    assert told in reliability.verdict(found)
    assert reliability.tone(found) == tone
    assert reliability.tallies(found).finding == "In 1 of 2 kinds of trials something went wrong"
    assert list(reliability.notes(found).table["what went wrong"]) == ["it hung"]


def test_memory_that_grows_is_told(facts):
    found = facts(LOAD, frame=seconds(per_hour=2.0))
    assert reliability.verdict(found).endswith("; memory grew.")
    assert reliability.tone(found) == "watch"
    assert "grows from" in reliability.memory(found).finding


def test_where_requests_were_dropped_p99_is_not_judged(facts):
    found = facts(LOAD, frame=seconds().assign(dropped=20))
    assert "10.5% of the requests under load were dropped" in reliability.verdict(found)
    assert reliability.tone(found) == "watch"
    assert "cut off" in reliability.waits(found).finding
    assert reliability.numbers(found)[2].note == "memory flat; p99 cut off by dropped requests"


def test_every_picture_has_words_and_numbers(facts):
    found = facts(LOAD, frame=seconds())
    for name in PICTURES:
        picture = getattr(reliability, name)(found)
        assert len(picture.alt) > 40, name
        assert not picture.finding.endswith("."), name
        assert 0 < len(picture.table) <= 40, name
        picture.figure.draw_without_rendering()


def test_a_few_seconds_are_drawn_and_not_judged(facts):
    found = facts(LOAD, frame=seconds().head(3))
    assert "too few seconds" in reliability.waits(found).finding
    assert "memory too short" in reliability.numbers(found)[2].note


def test_without_load_there_are_notes_and_it_is_said_what_was_left_out(facts):
    found = facts(KILLS)
    assert {type(getattr(reliability, name)(found)) for name in PICTURES} == {Note}
    assert reliability.numbers(found)[2].label == "errors that nothing had asked for"
    assert "left out: faults." in reliability.limits(found)[0]


def test_the_page_stands_alone_and_the_index_tells_the_verdict(facts, tmp_path):
    soak = facts(LOAD, KILLS, frame=seconds()).soak
    made = make_report("reliability", soak.path, {}, tmp_path / "out")
    page = made.html.read_text()
    assert faults(page) == []
    assert "living tokens verified" in page
    left = json.loads(made.notebook.read_text())["metadata"]["agentsim"]
    assert (left["kind"], left["run"], left["seed"], left["tone"]) == ("soak", "soak", 1, "good")
    assert left["reproduce"][0] == "agentsim soak --out soak"
    assert "Nothing was lost" in made.index.read_text()


def test_what_is_no_soak_is_told_before_anything_runs(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text("{}")
    with pytest.raises(SoakError, match="a Run and no soak"):
        make_report("reliability", tmp_path / "run", {}, tmp_path / "out")
    with pytest.raises(SoakError, match="no soak here"):
        make_report("reliability", Path("nowhere"), {}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_that_was_damaged_is_told(facts):
    soak = facts(LOAD, frame=seconds()).soak
    (soak.path / "load.parquet").write_bytes(b"PAR1")
    with pytest.raises(SoakError, match="not the file that was written"):
        open_soak(soak.path)
