"""What a notebook publishes, and which Run it is about."""

import os
import shutil

import pytest
from pydantic import ValidationError

import agentsim
from agentsim.reporting import Number, ReportError, ScaleParameters, commands, open_run, publish, summary
from agentsim.reporting.summary import MEDIA_TYPE, find_summary
from agentsim.run import RunError

NUMBERS = [Number(value=str(n), label=f"number {n}") for n in (1, 2, 3)]


@pytest.fixture
def shown(monkeypatch):
    seen = []
    monkeypatch.setattr(summary, "display", lambda data, raw: seen.append({"data": data}))
    return seen


def test_what_is_published_is_seen_and_found_again(run, shown):
    publish("scale", run, verdict="<i>Well</i> & good", numbers=NUMBERS, reproduce=["a", "b"], tone="watch")
    html = shown[0]["data"]["text/html"]
    assert "&lt;i&gt;Well&lt;/i&gt; &amp; good" in html
    assert "Look closer" in html
    found = find_summary([{"output_type": "stream"}, *shown])
    assert found.verdict == "<i>Well</i> & good"
    assert found.numbers == tuple(NUMBERS)
    assert found.title == "Scale: story"
    assert found.seed == 11


@pytest.mark.parametrize("numbers", [NUMBERS[:2], [*NUMBERS, *NUMBERS]])
def test_there_are_three_numbers(run, shown, numbers):
    with pytest.raises(ValidationError):
        publish("scale", run, verdict="Well.", numbers=numbers, reproduce=[])
    assert shown == []


def test_a_summary_that_was_tampered_with_is_told(run, shown):
    publish("scale", run, verdict="Well.", numbers=NUMBERS, reproduce=[])
    shown[0]["data"][MEDIA_TYPE]["tone"] = "purple"
    with pytest.raises(ReportError, match="cannot be read"):
        find_summary(shown)


def test_the_commands_make_run_and_report_again(run):
    told = commands("scale", run, ScaleParameters(run="data/runs/my run", tree_grants=5))
    assert told == (
        run.manifest.reproduce,
        "agentsim report scale --run 'data/runs/my run' -p tree_grants=5 -p exposure_agents=1000",
    )


def test_several_runs_are_named_together(run, shown):
    publish("compare", [run, run], verdict="Alike.", numbers=NUMBERS, reproduce=[])
    found = find_summary(shown)
    assert (found.run, found.kind, found.seed) == ("story, story", "simulation", 11)


def test_a_notebook_opened_in_its_folder_finds_runs_of_the_checkout(run, tmp_path, monkeypatch):
    shutil.copytree(run.path, tmp_path / "data/runs/demo")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    with pytest.raises(RunError):
        open_run("data/runs/nothing")
    monkeypatch.setattr(agentsim, "__file__", str(tmp_path / "agentsim/__init__.py"))
    assert open_run("data/runs/demo").path == tmp_path / "data/runs/demo"
    # What lies here comes first.
    shutil.copytree(run.path, "data/runs/demo")
    assert open_run("data/runs/demo").path.resolve() == tmp_path / "notebooks/data/runs/demo"
    assert os.fspath(open_run(run).path) == os.fspath(run.path)
