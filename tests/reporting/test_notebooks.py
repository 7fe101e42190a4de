"""Every notebook of the project, executed on small Runs of both kinds."""

import json
import re

import pytest
from bs4 import BeautifulSoup

from agentsim.experiments.sweep import load_sweep, run_sweep
from agentsim.reporting import ReportError, make_report
from agentsim.reporting.notebooks import describe, list_reports
from agentsim.reporting.page import faults
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario

pytestmark = pytest.mark.long

#: A sweep of two points, each played twice.
SWEEP = """
schema: 1
name: lifetimes
scenario:
  schema: 1
  name: few
  seed: 5
  population: {agents: 40}
  workload: {executor: constant-arrival-rate, duration: 10m}
matrix: {policy.access_ttl: [30s, 1h]}
replications: 2
"""
#: Reports on one Run.
ABOUT_ONE = [name for name in list_reports() if (describe(name).runs, describe(name).about) == ("one", "run")]


def opened(file):
    """The page of a report, which stands alone, and its notebook."""
    page = file.read_text(encoding="utf-8")
    assert faults(page) == []
    notebook = file.with_suffix(".ipynb").read_text(encoding="utf-8")
    return BeautifulSoup(page, "html.parser"), json.loads(notebook)


def check_anatomy(soup, notebook):
    """Verdict, three numbers, findings, pictures with text and table, method, limits, command."""
    assert soup.find(class_="verdict").text.strip()
    assert len(soup.find(class_="numbers").find_all("dd")) == 3
    headings = [heading.text for heading in soup.find_all("h2")]
    assert headings[-3:] == ["How this was measured", "What this does not say", "Make it again"]
    assert len(soup.find_all("h1")) == 1
    told = [summary.text for summary in soup.find_all("summary")]
    assert told.count("The numbers behind this picture") == len(soup.find_all("img"))
    for image in soup.find_all("img"):
        assert len(image["alt"]) > 40
        assert image.find_previous("h3").text.strip()
    left = notebook["metadata"]["agentsim"]
    assert left["reproduce"][-1].startswith(f"agentsim report {left['report']} --run ")
    assert all(command in soup.find_all("pre")[-1].text for command in left["reproduce"])
    # Nothing went wrong quietly, and no missing value reached a sentence.
    text = " ".join(soup.main.text.split())
    assert not re.search(r"\bnan\b|Traceback|NaN|<NA>", text)


@pytest.mark.parametrize("name", list_reports())
def test_every_notebook_has_small_parameters_to_be_tried_with(small, name):
    assert set(small[name]) <= set(describe(name).parameters.model_fields)


@pytest.mark.parametrize("name", ABOUT_ONE)
def test_a_simulated_run_is_reported(reports, name):
    soup, notebook = opened(reports[name, "simulated"])
    check_anatomy(soup, notebook)
    assert len(soup.find_all("img")) >= 5
    unseen = soup.find("summary", string=re.compile("What a token server cannot see"))
    assert (unseen is not None) == (name == "anomaly")


@pytest.mark.parametrize("name", ABOUT_ONE)
def test_recorded_traces_are_reported_with_names_as_text(reports, name):
    soup, notebook = opened(reports[name, "recorded"])
    check_anatomy(soup, notebook)
    assert len(soup.find_all("img")) >= 4
    assert "<script>window.hostile=1<" in soup.text


def test_recorded_traces_stand_beside_simulated_attacks(reports):
    soup, notebook = opened(reports["anomaly", "simulated"])
    beside = soup.find("h2", string="Beside recorded traces")
    # As the importer writes it.
    suite = "-script-window.hostile-1-/script-"
    assert f"{suite} left out" in soup.text or f"on {suite}" in beside.find_next("h3").text
    folder = reports["anomaly", "simulated"].parents[1]
    assert f" -p 'replayed={folder}/<script>" in notebook["metadata"]["agentsim"]["reproduce"][-1]


def test_a_budget_that_allows_nothing_is_told_in_one_line(run, tmp_path):
    with pytest.raises(ReportError, match=r"report anomaly: alert_budget='-1': .*greater than 0") as caught:
        make_report("anomaly", run.path, {"alert_budget": "-1"}, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_two_runs_are_compared_with_what_is_found_in_each(run, small, tmp_path):
    played = parse_scenario(run.manifest.source)
    again = simulate(played.with_seed(8), tmp_path / "again")
    made = make_report("compare", [run.path, again.path], small["compare"], tmp_path / "out")
    soup, notebook = opened(made.html)
    check_anatomy(soup, notebook)
    assert "Only the seeds differ" in soup.text
    assert "simulated attacks found" in soup.text
    assert len(soup.find_all("img")) >= 4
    left = notebook["metadata"]["agentsim"]
    assert (left["run"], left["seed"]) == ("story, again", None)
    assert left["reproduce"][:2] == [run.manifest.reproduce, again.manifest.reproduce]
    assert left["reproduce"][-1].count("--run") == 2


def test_a_sweep_is_compared_point_by_point(tmp_path):
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    run_sweep(load_sweep(tmp_path / "sweep.yaml"), tmp_path / "cells")
    soup, notebook = opened(make_report("compare", tmp_path / "cells", {}, tmp_path / "out").html)
    check_anatomy(soup, notebook)
    heads = [cell.text.strip() for cell in soup.find_all("th")]
    assert {"access_ttl 30s", "access_ttl 1h"} <= set(heads)
    assert "access_ttl 30s: 2 runs" in soup.text
    assert notebook["metadata"]["agentsim"]["reproduce"][-1].startswith("agentsim report compare --run ")


def test_one_run_alone_is_refused_in_one_line(run, tmp_path):
    with pytest.raises(ReportError, match="two Runs or more; 1 were given") as caught:
        make_report("compare", run.path, {}, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
