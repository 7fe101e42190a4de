"""The page that lists all reports."""

import json

import pytest
from bs4 import BeautifulSoup

from agentsim.reporting import rebuild_index
from agentsim.reporting.catalogue import NOTEBOOKS
from agentsim.reporting.finished import GENERATOR
from agentsim.reporting.page import faults

HOSTILE = "<script>alert(1)</script> \" ' & \ud800"


@pytest.fixture
def leave(tmp_path):
    """Leave a report as make_report does."""

    def put(name, made_at, *, page=True, **changes):
        numbers = [{"value": str(n), "label": f"number {n}", "note": ""} for n in (1, 2, 3)]
        left = {
            "made_at": made_at,
            "page": True,
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
            (tmp_path / f"scale-{name}.html").write_text(f"<html>{GENERATOR}report</html>\n")

    return put


def read(out):
    page = rebuild_index(out).read_text()
    assert faults(page) == []
    return BeautifulSoup(page, "html.parser")


def listed(soup):
    return soup.find(class_="reports").find_all("article")


def text_of(element):
    return " ".join(element.text.split())


def test_the_newest_report_stands_first(leave, tmp_path):
    leave("old", "2026-03-01T10:00:00+00:00")
    leave("newest", "2026-03-03T10:00:00+00:00")
    # The same day elsewhere: earlier than it reads.
    leave("middle", "2026-03-03T11:00:00+02:00")
    # Without a zone: times are UTC here.
    leave("oldest", "2026-02-28T10:00:00")
    titles = [entry.h3.text for entry in listed(read(tmp_path))]
    assert titles == ["Scale: newest", "Scale: middle", "Scale: old", "Scale: oldest"]


def test_the_latest_of_each_kind_stands_on_top_with_its_numbers(leave, tmp_path):
    leave("old", "2026-03-01T10:00:00+00:00")
    leave("new", "2026-03-02T12:30:00+02:00", tone="bad")
    leave("seen", "2026-03-01T10:00:00+00:00", report="anomaly", run="seen")
    leave("own", "2026-03-03T10:00:00+00:00", report="mine-own")
    scale, anomaly, own = read(tmp_path).find(class_="latest").find_all("article")
    text = text_of(scale)
    for told in ("new went well", "Needs action", "number 1", "number 3", "2 March 2026, 10:30 UTC"):
        assert told in text
    assert scale.h3.text == NOTEBOOKS["scale"].question
    assert scale.a["href"] == "scale-new.html"
    assert anomaly.h3.text == NOTEBOOKS["anomaly"].question
    assert "Simulation seen" in text_of(anomaly)
    assert own.h3.text == "Mine own"


def test_an_entry_tells_verdict_run_date_and_command(leave, tmp_path):
    leave("demo", "2026-03-01T10:00:00+00:00", tone="bad")
    (entry,) = listed(read(tmp_path))
    for told in ("demo went well", "Needs action", "simulation demo", "1 March 2026, 10:00 UTC", "seed 1"):
        assert told in text_of(entry)
    assert "agentsim report scale --run demo" in entry.details.pre.text
    assert {link["href"] for link in entry.find_all("a")} == {"scale-demo.html", "scale-demo.ipynb"}


def test_names_are_text(leave, tmp_path):
    leave(
        "demo", "2026-03-01T10:00:00+00:00", verdict=HOSTILE, title=HOSTILE, run=HOSTILE, reproduce=[HOSTILE]
    )
    leave("two", "2026-03-01T10:00:00+00:00", report=HOSTILE)
    (tmp_path / f"{HOSTILE[:8]}.ipynb").write_text("{")
    soup = read(tmp_path)
    assert len(soup.find_all("script")) == 1
    shown = HOSTILE.replace("\ud800", "?")
    assert shown in {entry.h3.text for entry in listed(soup)}
    assert soup.pre.text in {shown, "agentsim simulate x.yaml\nagentsim report scale --run two"}
    assert shown.capitalize() in {entry.h3.text for entry in soup.find(class_="latest").find_all("article")}


@pytest.mark.parametrize(
    ("name", "link"), [('a b"c', "scale-a%20b%22c.html"), ("\udcff#?", "scale-%FF%23%3F.html")]
)
def test_file_names_are_quoted_in_links(leave, tmp_path, name, link):
    leave(name, "2026-03-01T10:00:00+00:00", title="t", verdict="v", run="r", reproduce=[])
    (entry,) = listed(read(tmp_path))
    assert entry.h3.a["href"] == link


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (None, "its page is gone; make the report again"),
        ("", "its page is only a part of one"),
        ("<html><p>rep", "its page is only a part of one"),
        (IsADirectoryError, "its page cannot be read: Is a directory"),
    ],
)
def test_a_report_whose_page_cannot_be_opened_is_listed_as_such(leave, tmp_path, page, told):
    leave("demo", "2026-03-01T10:00:00+00:00", page=False)
    file = tmp_path / "scale-demo.html"
    if page is IsADirectoryError:
        file.mkdir()
    elif page is not None:
        file.write_text(page)
    soup = read(tmp_path)
    (entry,) = listed(soup)
    assert entry.h3.a is None
    assert f"Incomplete: {told}" in text_of(entry)
    assert told[3:] in text_of(soup.find(class_="latest"))


@pytest.mark.parametrize("earlier", [True, False])
def test_a_report_of_which_no_page_was_wanted_lacks_nothing(leave, tmp_path, earlier):
    leave("demo", "2026-03-01T10:00:00+00:00", page=earlier)
    file = tmp_path / "scale-demo.ipynb"
    notebook = json.loads(file.read_text())
    notebook["metadata"]["agentsim"]["page"] = False
    file.write_text(json.dumps(notebook))
    soup = read(tmp_path)
    assert soup.find(class_="fault") is None
    assert soup.find(class_="latest").a["href"] == "scale-demo.ipynb"


@pytest.mark.parametrize("text", ['{"metadata": {}}', '{"cells": [], "metadata": {"agentsim": 1}}', "{}"])
def test_other_notebooks_are_passed_over(leave, tmp_path, text):
    leave("demo", "2026-03-01T10:00:00+00:00")
    (tmp_path / "mine.ipynb").write_text(text)
    (tmp_path / "mine.html").write_text("<html>mine</html>")
    soup = read(tmp_path)
    assert len(listed(soup)) == 1
    assert "mine" not in soup.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "no readable notebook"),
        ("[]", "no readable notebook"),
        ("[" * 100_000, "no readable notebook"),
        ('{"metadata": {"agentsim": {"made_at": "x"}}}', "another version"),
        ('{"metadata": {"agentsim": {"made_at": "2026-03-01", "verdict": "v"}}}', "another version"),
        (None, "Is a directory"),
    ],
)
def test_a_notebook_that_cannot_be_read_is_told_beside_the_others(leave, tmp_path, text, told):
    leave("demo", "2026-03-01T10:00:00+00:00")
    file = tmp_path / "scale-broken.ipynb"
    file.mkdir() if text is None else file.write_text(text)
    (tmp_path / "scale-broken.html").write_text("<html></html>")
    soup = read(tmp_path)
    assert len(listed(soup)) == 1
    (line,) = soup.find(class_="unreadable").find_all("li")
    assert "scale-broken.ipynb" in line.text
    assert told in line.text
    assert line.a["href"] == "scale-broken.html"


def test_a_page_whose_notebook_is_gone_is_told(leave, tmp_path):
    leave("demo", "2026-03-01T10:00:00+00:00")
    (tmp_path / "scale-demo.ipynb").unlink()
    (line,) = read(tmp_path).find(class_="unreadable").find_all("li")
    assert "the notebook of this page is gone" in line.text
    assert line.a["href"] == "scale-demo.html"


def test_without_reports_it_says_how_to_make_one(tmp_path):
    soup = read(tmp_path)
    assert "agentsim report scale" in soup.text
    assert soup.find(class_="latest") is None


def test_nothing_but_the_index_is_left(leave, tmp_path):
    leave("demo", "2026-03-01T10:00:00+00:00")
    rebuild_index(tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"index.html", "scale-demo.html", "scale-demo.ipynb"}
