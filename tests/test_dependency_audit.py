"""``make audit``: nobody is told that all is well where nothing was looked up."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

verdict = runpy.run_path(str(Path(__file__).parents[1] / ".ci" / "audit.py"))["verdict"]
SOUND = {"name": "jinja2", "version": "3.1.6", "vulns": []}
UNKNOWN = {"name": "agentsim-plugin", "skip_reason": "Dependency not found on PyPI and could not be audited"}
FAULTY = {
    "name": "jinja2",
    "version": "2.10",
    "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}],
}


def told(*libraries: dict[str, Any]) -> tuple[list[str], int]:
    # What it prints to standard error says the same of all of these.
    return verdict(json.dumps({"dependencies": libraries, "fixes": []}), "No known vulnerabilities found")


def test_what_is_known_is_told_and_fails() -> None:
    lines, status = told(SOUND, FAULTY)
    assert status == 1
    assert lines == [
        "jinja2 2.10: PYSEC-2019-217, mended in 2.10.1",
        "audited: 2 libraries, 1 known vulnerabilities",
    ]


def test_what_is_sound_is_counted() -> None:
    assert told(SOUND) == (["audited: 1 libraries, 0 known vulnerabilities"], 0)


def test_what_was_not_looked_up_is_not_called_sound() -> None:
    assert told(UNKNOWN, UNKNOWN) == (["not audited: the service knows none of the 2 libraries"], 0)
    lines, status = told(SOUND, UNKNOWN)
    assert status == 0
    assert lines[0] == "1 of 2 libraries not audited: the service does not know them"


@pytest.mark.parametrize(
    "error",
    [
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(...): Max retries exceeded",
        "pip_audit._service.interface.ConnectionError: could not connect to the service",
        "requests.exceptions.ReadTimeout: HTTPSConnectionPool(...): Read timed out.",
    ],
)
def test_a_service_that_is_away_fails_nothing_and_is_told(error: str) -> None:
    lines, status = verdict("", f"Traceback\n{error}\n")
    assert (lines, status) == ([f"not audited: {error}"], 0)


def test_whatever_else_goes_wrong_fails() -> None:
    assert verdict("", "usage: pip-audit [-h]\nerror: unrecognized arguments")[1] == 1
    assert verdict("{}", "")[1] == 1
