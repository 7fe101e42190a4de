"""Every notebook of the project, executed on small Runs of both kinds."""

import json
import re

import pytest
from bs4 import BeautifulSoup

from agentsim.reporting import ReportError, make_report
from agentsim.reporting.notebooks import describe, list_reports
from agentsim.reporting.page import faults

#: Small parameters, so that a notebook takes seconds.
SMALL = {
    "scale": {"tree_grants": "20", "exposure_agents": "60"},
    "compare": {"companion_agents": "100"},
    "anomaly": {
        "alert_budget": "3000",
        "companion_agents": "200",
        "contain_agents": "200",
        "contain_points": "2",
    },
}
#: Reports on one Run; those on several are told in files of their own.
ABOUT_ONE = [name for name in list_reports() if describe(name).runs == "one"]


@pytest.fixture
def make(tmp_path):
    def report(name, run, **parameters):
        made = make_report(name, run.path, {**SMALL[name], **parameters}, tmp_path)
        page = made.html.read_text(encoding="utf-8")
        assert faults(page) == []
        return BeautifulSoup(page, "html.parser"), json.loads(made.notebook.read_text(encoding="utf-8"))

    return report


@pytest.mark.parametrize("name", list_reports())
def test_every_notebook_has_small_parameters_to_be_tried_with(name):
    assert set(SMALL[name]) <= set(describe(name).parameters.model_fields)


@pytest.mark.parametrize("name", ABOUT_ONE)
def test_a_simulated_run_is_reported(make, check_anatomy, simulated, name):
    soup, notebook = make(name, simulated)
    check_anatomy(soup, notebook)
    assert len(soup.find_all("img")) >= 5
    unseen = soup.find("summary", string=re.compile("What a token server cannot see"))
    assert (unseen is not None) == (name == "anomaly")


@pytest.mark.parametrize("name", ABOUT_ONE)
def test_recorded_traces_are_reported_with_names_as_text(make, check_anatomy, replayed, name):
    soup, notebook = make(name, replayed)
    check_anatomy(soup, notebook)
    assert len(soup.find_all("img")) >= 4
    assert "<script>model-" in soup.text


def test_recorded_traces_stand_beside_simulated_attacks(make, check_anatomy, simulated, replayed):
    soup, notebook = make("anomaly", simulated, replayed=str(replayed.path))
    check_anatomy(soup, notebook)
    beside = soup.find("h2", string="Beside recorded traces")
    assert "bank left out" in soup.text or "on bank" in beside.find_next("h3").text
    assert f"-p replayed={replayed.path}" in notebook["metadata"]["agentsim"]["reproduce"][-1]


def test_a_budget_that_allows_nothing_is_told_in_one_line(simulated, tmp_path):
    with pytest.raises(ReportError, match=r"report anomaly: alert_budget='-1': .*greater than 0") as caught:
        make_report("anomaly", simulated.path, {"alert_budget": "-1"}, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
