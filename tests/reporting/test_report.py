"""From a notebook and a Run to a page, all or nothing."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from agentsim.reporting import ReportError, make_report
from agentsim.reporting.page import faults
from agentsim.run import Run, RunError, save_manifest

PUBLISH = """
from agentsim.reporting import Number, open_run, publish

opened = open_run(run)
numbers = [Number(value=str(size), label="size"), Number(value="2", label="b"), Number(value="3", label="c")]
publish("tiny", opened, verdict=f"All {size} are <b>well</b>", numbers=numbers, reproduce=["agentsim report tiny"])
"""
CHATTER = """
import os, sys, warnings
from agentsim.reporting.figures import canvas, show
import pandas as pd

warnings.warn("nobody should read this")
print(sys.executable, os.getcwd(), opened.path)
with canvas(1) as (figure, axes):
    axes.plot([1, 2])
show(figure, "It rises", alt="A line that rises from 1 to 2.", table=pd.DataFrame({"n": [1, 2]}))
"""


def files(out):
    return sorted(file.name for file in out.rglob("*")) if out.exists() else []


@pytest.fixture
def broken_kernelspec(tmp_path, monkeypatch):
    """A user whose ``python3`` is no Python at all."""
    folder = tmp_path / "jupyter/kernels/python3"
    folder.mkdir(parents=True)
    spec = {"argv": ["/bin/false"], "display_name": "Python 3", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "jupyter"))


def test_a_report_is_a_page_that_stands_alone(shelf, run, tmp_path, monkeypatch, capfd, broken_kernelspec):
    shelf("tiny", PUBLISH, CHATTER)
    monkeypatch.chdir(run.path.parent)
    made = make_report("tiny", Path(run.path.name), {"size": "7"}, tmp_path / "out")
    assert files(tmp_path / "out") == ["index.html", "tiny-story.html", "tiny-story.ipynb"]
    page = made.html.read_text()
    assert faults(page) == []
    soup = BeautifulSoup(page, "html.parser")
    assert soup.html["lang"] == "en"
    assert "story" in soup.title.text
    assert soup.find("meta", {"name": "viewport"})
    assert "@media print" in page
    assert "All 7 are <b>well</b>" in soup.find(class_="verdict").text
    assert [image["alt"] for image in soup.find_all("img")] == ["A line that rises from 1 to 2."]
    # It ran where it was asked for, in this interpreter.
    assert f"{sys.executable} {run.path.parent} story" in soup.text
    # No code, no prompt, no script, nothing that libraries say to each other.
    for unwanted in ("import os", "In [", "In\xa0[", "nobody should read this"):
        assert unwanted not in soup.text
    assert soup.find_all("script") == []
    assert capfd.readouterr() == ("", "")
    kept = json.loads(made.notebook.read_text())
    assert kept["metadata"]["agentsim"]["verdict"] == "All 7 are <b>well</b>"
    assert "All 7" in BeautifulSoup(made.index.read_text(), "html.parser").text


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ("raise ValueError('one\\ntwo')", "report tiny: cell 3 of the notebook failed: ValueError: one two"),
        ("import os; os._exit(3)", "report tiny: the notebook's kernel died"),
        ("x = 1", "published no verdict"),
    ],
)
def test_a_notebook_that_fails_leaves_nothing_behind(shelf, run, tmp_path, capfd, cell, told):
    shelf("tiny", cell, PUBLISH if "x = 1" not in cell else "y = 2")
    with pytest.raises(ReportError) as caught:
        make_report("tiny", run.path, {}, tmp_path / "out")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(tmp_path / "out") == []
    assert capfd.readouterr() == ("", "")


def test_a_failing_report_keeps_the_one_that_was_there(shelf, run, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "tiny-story.html").write_text("yesterday's")
    shelf("tiny", "1 / 0")
    with pytest.raises(ReportError, match="ZeroDivisionError"):
        make_report("tiny", run.path, {}, out)
    assert (out / "tiny-story.html").read_text() == "yesterday's"


def test_a_picture_without_words_makes_no_page(shelf, run, tmp_path):
    bare = "from IPython.display import Image, display; import base64\ndisplay(Image(base64.b64decode('iVBORw0KGgo=')))"
    shelf("tiny", PUBLISH, bare)
    with pytest.raises(ReportError, match="no text that says what it shows"):
        make_report("tiny", run.path, {}, tmp_path / "out")
    assert files(tmp_path / "out") == []


def test_a_wrong_parameter_is_told_before_anything_runs(shelf, run, tmp_path):
    shelf("tiny", "raise SystemExit")
    with pytest.raises(ReportError, match="no parameter 'sise'"):
        make_report("tiny", run.path, {"sise": "3"}, tmp_path / "out")


def test_a_missing_run_is_told(shelf, tmp_path):
    shelf("tiny", PUBLISH)
    with pytest.raises(RunError, match="no Run here"):
        make_report("tiny", tmp_path / "nowhere", {}, tmp_path / "out")
    assert files(tmp_path / "out") == []


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "copy")
    return Run(tmp_path / "copy")


def test_a_half_finished_run_is_told(shelf, copy, tmp_path):
    shelf("tiny", PUBLISH)
    copy.manifest.status = "running"
    save_manifest(copy)
    with pytest.raises(RunError, match="not finished"):
        make_report("tiny", copy.path, {}, tmp_path / "out")


def test_a_run_with_a_flipped_byte_is_told_before_a_number_of_it_is_shown(shelf, copy, tmp_path):
    shelf("tiny", PUBLISH)
    file = next((copy.path / "tokens").iterdir())
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(RunError, match=f"tokens/{file.name}: .*; make it again: agentsim simulate") as told:
        make_report("tiny", copy.path, {}, tmp_path / "out")
    assert "\n" not in str(told.value)


def test_a_run_whose_files_are_gone_is_told(shelf, copy, tmp_path):
    shelf("tiny", PUBLISH)
    copy.files("audit")[0].unlink()
    with pytest.raises(RunError, match="1 of its files are missing, the first is audit/"):
        make_report("tiny", copy.path, {}, tmp_path / "out")


def test_a_run_of_a_newer_version_is_told(shelf, copy, tmp_path):
    shelf("tiny", PUBLISH)
    manifest = json.loads((copy.path / "manifest.json").read_text())
    (copy.path / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(RunError, match="update agentsim"):
        make_report("tiny", copy.path, {}, tmp_path / "out")


def test_a_run_with_a_hostile_name_stays_in_its_folder_and_is_text(shelf, copy, tmp_path):
    name = "..<script>alert(1)<script>"
    copy.manifest.name = f"../../{name}"
    save_manifest(copy)
    hostile = copy.path.rename(tmp_path / name)
    shelf("tiny", PUBLISH)
    made = make_report("tiny", hostile, {}, tmp_path / "out")
    assert made.html.parent == tmp_path / "out"
    assert files(tmp_path / "out") == [
        "index.html",
        "tiny-script-alert-1-script.html",
        "tiny-script-alert-1-script.ipynb",
    ]
    for file in (made.html, made.index):
        page = file.read_text()
        assert faults(page) == []
        soup = BeautifulSoup(page, "html.parser")
        assert name in soup.text


def test_a_folder_that_cannot_be_made_is_told(shelf, run, tmp_path):
    shelf("tiny", PUBLISH)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ReportError, match="cannot be written"):
        make_report("tiny", run.path, {}, tmp_path / "out")


def test_the_executed_notebook_alone_can_be_had(shelf, run, tmp_path):
    shelf("tiny", PUBLISH)
    made = make_report("tiny", run.path, {}, tmp_path / "out", page=False)
    assert made.html is None
    assert files(tmp_path / "out") == ["index.html", "tiny-story.ipynb"]
    assert "All 3 are" in BeautifulSoup(made.index.read_text(), "html.parser").text


def test_a_report_about_several_runs_is_given_them_all(shelf, run, copy, tmp_path):
    several = PUBLISH.replace("open_run(run)", "[open_run(each) for each in runs]")
    shelf("tiny", several, parameters='runs: list[str] = ["a", "b"]\nsize: int = 3')
    made = make_report("tiny", [run.path, copy.path], {}, tmp_path / "out")
    assert made.html.name == "tiny-story-copy.html"
    with pytest.raises(ReportError, match="about two Runs or more; 1 were given"):
        make_report("tiny", run.path, {}, tmp_path / "out")


def test_a_report_about_one_run_takes_no_second(shelf, run, tmp_path):
    shelf("tiny", PUBLISH)
    with pytest.raises(ReportError, match="about one Run; 2 were given"):
        make_report("tiny", [run.path, run.path], {}, tmp_path / "out")
