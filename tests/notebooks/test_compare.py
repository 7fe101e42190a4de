"""The comparison of Runs and of cells of a sweep, as a page."""

import json

import pytest
from bs4 import BeautifulSoup

from agentsim.experiments.sweep import load_sweep, run_sweep
from agentsim.reporting import ReportError, make_report
from agentsim.reporting.page import faults
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario

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


def pages(made):
    page = made.html.read_text(encoding="utf-8")
    assert faults(page) == []
    return BeautifulSoup(page, "html.parser"), json.loads(made.notebook.read_text(encoding="utf-8"))


def test_two_runs_are_compared_with_what_is_found_in_each(simulated, tmp_path, check_anatomy):
    played = parse_scenario(simulated.manifest.source)
    again = simulate(played.with_seed(8), tmp_path / "again")
    soup, notebook = pages(
        make_report("compare", [simulated.path, again.path], {"companion_agents": "100"}, tmp_path / "out")
    )
    check_anatomy(soup, notebook)
    assert "Only the seeds differ" in soup.text
    assert "simulated attacks found" in soup.text
    assert len(soup.find_all("img")) >= 4
    left = notebook["metadata"]["agentsim"]
    assert (left["run"], left["seed"]) == ("small, again", None)
    assert left["reproduce"][:2] == [simulated.manifest.reproduce, again.manifest.reproduce]
    assert left["reproduce"][-1].count("--run") == 2


def test_a_sweep_is_compared_point_by_point(tmp_path, check_anatomy):
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    run_sweep(load_sweep(tmp_path / "sweep.yaml"), tmp_path / "cells")
    soup, notebook = pages(make_report("compare", tmp_path / "cells", {}, tmp_path / "out"))
    check_anatomy(soup, notebook)
    heads = [cell.text.strip() for cell in soup.find_all("th")]
    assert {"access_ttl 30s", "access_ttl 1h"} <= set(heads)
    assert "access_ttl 30s: 2 runs" in soup.text
    assert notebook["metadata"]["agentsim"]["reproduce"][-1].startswith("agentsim report compare --run ")


def test_one_run_alone_is_refused_in_one_line(simulated, tmp_path):
    with pytest.raises(ReportError, match="two Runs or more; 1 were given") as caught:
        make_report("compare", simulated.path, {}, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
