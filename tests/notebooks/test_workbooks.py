"""The notebooks that are worked through: executed as JupyterLab would, from the first cell to the last."""

import json
import re

import pytest

from agentsim.reporting import NOTEBOOKS, ReportError
from agentsim.reporting.kernel import execute
from agentsim.reporting.notebooks import find_notebook, read_notebook


def work_through(name, **parameters):
    """What each cell shows as text, and as HTML."""
    outputs = [
        output
        for cell in execute(read_notebook(find_notebook(name)), parameters).cells
        for output in cell.get("outputs", [])
    ]
    assert [output for output in outputs if output["output_type"] == "error"] == []
    shown = [output["data"] for output in outputs if "data" in output]
    return [data.get("text/plain", "") for data in shown], " ".join(
        data.get("text/html", "") for data in shown
    )


def test_the_quickstart_goes_from_nothing_to_a_revoked_tree_and_a_report(tmp_path):
    texts, html = work_through("quickstart", agents=40, out=str(tmp_path))
    told = "\n".join(texts)
    assert "'reason': 'scope_exceeds_parent'" in told
    verdicts = re.findall(r"<strong>(Valid|Refused: [^<]*)</strong>", html)
    assert verdicts[0] == "Valid"
    assert [verdict.startswith("Refused") for verdict in verdicts] == [False, True, True]
    assert "revoked" in verdicts[2]
    assert "closure='closed', affected_grants=2" in told
    assert "{'links': 14, 'hold': 14, 'holds when changed': False}" in told
    assert "quickstart" in html
    assert (tmp_path / "reports/scale-quickstart.html").is_file()


def test_the_tutorial_s_role_and_attack_are_played_and_seen(tmp_path):
    texts, html = work_through("extend", agents=150, out=str(tmp_path))
    told = "\n".join(texts)
    assert re.search(r"auditor +\d+", told)
    assert re.search(r"skimming +token_verified", told)
    # No invariant is broken.
    assert "[]" in texts
    assert "What the thresholds do" in html
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["source"]["roles"]["auditor"]["steps"] == 12
    assert manifest["source"]["attacks"][0]["kind"] == "ledger_attacks:Skimmer"


@pytest.mark.parametrize(
    "name", [name for name, entry in NOTEBOOKS.items() if "agents" in entry.parameters.model_fields]
)
def test_a_wrong_value_is_told_by_the_notebook_itself(name):
    with pytest.raises(ReportError, match=r"cell \d .*greater than or equal to 1"):
        execute(read_notebook(find_notebook(name)), {"agents": 0})
