"""The page that lists all reports."""

import json

import pytest
from bs4 import BeautifulSoup

from agentsim.reporting import rebuild_index
from agentsim.reporting.page import faults

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def leave(tmp_path):
    """Leave a report as make_report does."""

    def put(name, made_at, *, page=True, **changes):
        numbers = [{"value": str(n), "label": f"number {n}", "note": ""} for n in (1, 2, 3)]
        left = {
            "made_at": made_at,
            "report": "scale",
            "title": f"Scale: {name}",
            "verdict": f"{name} went well",
            "tone": "good",
            "numbers": numbers,
            "run": name,
            "kind": "simulation",
            "seed": 1,
            "run_at": made_at,
            "reproduce": ["agentsim simulate x.yaml", f"agentsim report scale --run {name}"],
            **changes,
        }
        (tmp_path / f"scale-{name}.ipynb").write_text(
            json.dumps({"cells": [], "metadata": {"agentsim": left}})
        )
        if page:
            (tmp_path / f"scale-{name}.html").write_text("<p>report</p>")

    return put


def read(out):
    page = rebuild_index(out).read_text()
    assert faults(page) == []
    return BeautifulSoup(page, "html.parser")


def test_the_newest_report_stands_first(leave, tmp_path):
    leave("old", "2026-03-01T10:00:00+00:00")
    leave("newest", "2026-03-03T10:00:00+00:00")
    # The same day elsewhere: earlier than it reads.
    leave("middle", "2026-03-03T11:00:00+02:00")
    titles = [title.text for title in read(tmp_path).find_all("h2")]
    assert titles == ["Scale: newest", "Scale: middle", "Scale: old"]


def test_an_entry_tells_verdict_numbers_run_date_and_command(leave, tmp_path):
    leave("demo", "2026-03-01T10:00:00+00:00", tone="bad")
    entry = read(tmp_path).article
    text = " ".join(entry.text.split())
    for told in ("demo went well", "Needs action", "number 1", "1 March 2026, 10:00 UTC", "seed 1"):
        assert told in text
    assert "agentsim report scale --run demo" in entry.pre.text
    assert entry.h2.a["href"] == "scale-demo.html"


def test_names_are_text(leave, tmp_path):
    leave("demo", "2026-03-01T10:00:00+00:00", verdict=HOSTILE, title=HOSTILE, reproduce=[HOSTILE])
    soup = read(tmp_path)
    assert soup.find_all("script") == []
    assert soup.h2.text == HOSTILE
    assert HOSTILE in soup.pre.text


def test_file_names_are_quoted_in_links(leave, tmp_path):
    leave('a b"c', "2026-03-01T10:00:00+00:00")
    assert read(tmp_path).h2.a["href"] == "scale-a%20b%22c.html"


def test_a_report_without_its_page_is_listed_as_such(leave, tmp_path):
    leave("demo", "2026-03-01T10:00:00+00:00", page=False)
    soup = read(tmp_path)
    assert soup.h2.a is None
    assert "make the report again" in soup.text


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"metadata": {}}', '{"metadata": {"agentsim": {"made_at": "x"}}}']
)
def test_other_notebooks_are_passed_over(leave, tmp_path, text):
    leave("demo", "2026-03-01T10:00:00+00:00")
    (tmp_path / "mine.ipynb").write_text(text)
    assert len(read(tmp_path).find_all("article")) == 1


def test_without_reports_it_says_how_to_make_one(tmp_path):
    assert "agentsim report scale" in read(tmp_path).text


def test_nothing_but_the_index_is_left(leave, tmp_path):
    leave("demo", "2026-03-01T10:00:00+00:00")
    rebuild_index(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"index.html", "scale-demo.html", "scale-demo.ipynb"}
