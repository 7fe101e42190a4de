"""What a reader can move: data that stay data, one script for all parts, and a policy that runs no other."""

import base64
import hashlib
import json

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_notebook, new_output

from agentsim.reporting import interactive, scripts
from agentsim.reporting.interactive import Interactive
from agentsim.reporting.page import faults, to_page

HOSTILE = "</script><script>alert(1)</script><!-- & \u2028 \u2029 \" ' ‮ \ud800"
SCRIPT = 'for (const part of document.querySelectorAll("[data-script=tiny]")) part.hidden = 1 < 2 && false;\n'


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    """One script instead of the package's."""
    (tmp_path / "tiny.js").write_text(SCRIPT)
    monkeypatch.setattr(scripts, "_FOLDER", tmp_path)


@pytest.fixture
def notebook(monkeypatch):
    """An executed notebook with a cell for each part."""
    cells = []

    def keep(data, metadata, raw):
        assert raw
        cells.append(new_code_cell(outputs=[new_output("display_data", data, metadata=metadata)]))

    def show(*parts):
        for part in parts:
            part._ipython_display_()
        made = new_notebook(cells=cells)
        nbformat.validate(made)
        return made

    monkeypatch.setattr(interactive, "display", keep)
    return show


def test_data_are_data_whatever_they_hold(notebook):
    soup = BeautifulSoup(
        to_page(notebook(Interactive("<p>told</p>", {HOSTILE: [1]}, "tiny")), "t"), "html.parser"
    )
    part = soup.find(attrs={"data-script": "tiny"})
    assert part.p.text == "told"
    (data,) = part.find_all("script")
    assert json.loads(data.text) == {HOSTILE: [1]}
    assert not set("<>&\u2028\u2029") & set(data.text)


def test_a_script_stands_once_behind_all_parts_and_the_policy_names_it_alone(notebook):
    page = to_page(notebook(Interactive("<p>1</p>", 1, "tiny"), Interactive("<p>2</p>", 2, "tiny")), "t")
    assert faults(page) == []
    soup = BeautifulSoup(page, "html.parser")
    (running,) = [script for script in soup.find_all("script") if "type" not in script.attrs]
    assert running.text == SCRIPT
    assert running.find_next(attrs={"data-script": True}) is None
    digest = base64.b64encode(hashlib.sha256(running.text.encode()).digest()).decode()
    policy = soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    assert f"script-src 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy


def test_a_page_without_such_parts_runs_nothing():
    page = to_page(new_notebook(), "t")
    soup = BeautifulSoup(page, "html.parser")
    assert soup.find_all("script") == []
    assert "script-src 'none'" in soup.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]


def test_a_script_that_is_not_there_and_data_that_are_no_json_are_told_at_once():
    with pytest.raises(KeyError, match="other"):
        Interactive("", 1, "other")._ipython_display_()
    with pytest.raises(ValueError, match="JSON"):
        Interactive("", float("nan"), "tiny")._ipython_display_()
