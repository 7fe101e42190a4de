"""Secrets planted in the environment and in a Run are in no page, no executed notebook and no message of one that failed."""

import shutil
from pathlib import Path

import pytest

from agentsim.reporting import ReportError, make_report
from agentsim.run import Run, save_manifest

TOKEN, KEYS, PASSWORD, CLIENT = (
    f"planted-{name}-0123456789abcdef" for name in ("token", "keys", "pw", "client")
)
SECRETS = (TOKEN, KEYS, PASSWORD, CLIENT)
URL = f"postgresql://me:{PASSWORD}@db.example/x"
#: A notebook that tells all that it finds, as a careless one may.
TELLS_ALL = """
import os, sys
from agentsim.reporting import Number, open_run, publish

opened = open_run(run)
print(dict(os.environ), sys.argv, sorted(vars(sys).get("flags", ())))
opened
"""
PUBLISHES = """
numbers = [Number(value="1", label=name) for name in "abc"]
publish("tiny", opened, verdict="All is well", numbers=numbers, reproduce=["agentsim report tiny"])
"""
FAILS = """
import os
raise RuntimeError(f"it has failed with {dict(os.environ)}")
"""
DIES = """
import os, sys
print(dict(os.environ), file=sys.__stderr__, flush=True)
os._exit(3)
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the account has set for a server that it serves."""
    for name, secret in (("AGENTSIM_ADMIN_TOKEN", TOKEN), ("AGENTSIM_KEYS", KEYS), ("PGPASSWORD", PASSWORD)):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("PLANTED", "which may be told")


@pytest.fixture
def planted(run, tmp_path) -> Run:
    """A Run whose source, for some reason, holds more than a scenario does."""
    shutil.copytree(run.path, tmp_path / "planted")
    copy = Run(tmp_path / "planted")
    copy.manifest.source |= {"client_secret": CLIENT, "database": URL}
    copy.manifest.policy |= {"client_secret": CLIENT, "database": URL}
    save_manifest(copy)
    return Run(copy.path)


def found(out: Path, told: str = "") -> list[str]:
    """The secrets that are in any file of a folder, or in a text."""
    files = [file.read_text(encoding="utf-8") for file in out.rglob("*") if file.is_file()]
    return [secret for secret in SECRETS if any(secret in text for text in (*files, told))]


def test_a_notebook_finds_no_secret_to_tell(shelf, planted, tmp_path, capfd):
    shelf("tiny", TELLS_ALL, PUBLISHES)
    made = make_report("tiny", planted.path, {}, tmp_path / "out")
    # It did tell what it has found.
    assert "which may be told" in made.html.read_text()
    assert "which may be told" in made.notebook.read_text()
    assert found(tmp_path / "out", "".join(capfd.readouterr())) == []


@pytest.mark.parametrize("cell", [FAILS, DIES], ids=["fails", "dies"])
def test_what_is_told_of_a_notebook_that_fails_holds_none(shelf, planted, tmp_path, capfd, caplog, cell):
    shelf("tiny", cell, TELLS_ALL)
    caplog.set_level("DEBUG")
    with pytest.raises(ReportError) as caught:
        make_report("tiny", planted.path, {}, tmp_path / "out")
    told = [str(caught.value), caplog.text, *capfd.readouterr()]
    cause = caught.value.__cause__
    while cause is not None:
        told.append(str(cause))
        cause = cause.__cause__
    assert "which may be told" in "".join(told)
    assert found(tmp_path / "out", "".join(told)) == []


@pytest.mark.parametrize("name", ["scale", "lineage"])
def test_what_a_run_holds_beside_its_scenario_is_not_reported(planted, tmp_path, name):
    small = {"scale": {"tree_grants": "20", "exposure_agents": "60"}, "lineage": {"most_rows": "4"}}
    try:
        make_report(name, planted.path, small[name], tmp_path / "out")
        told = ""
    except ReportError as error:
        told = str(error)
    assert found(tmp_path / "out", told) == []
