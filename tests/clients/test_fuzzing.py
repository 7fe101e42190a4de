"""Requests that a machine makes up from the description: none is answered with a fault of the server's own, and what is
answered is what was described.

For more of them: ``AGENTSIM_FUZZ=500 pytest tests/clients/test_fuzzing.py`` makes 500 for each endpoint and caller.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentsim.server.http.endpoints import ENDPOINTS
from agentsim.server.http.models import ClientForm
from agentsim.server.metadata import GRANT_TYPES

EXAMPLES = os.environ.get("AGENTSIM_FUZZ", "4")
# As a program of its own: its plugin gives all endpoints of a test one name, of which pytest-xdist would run but one.
COMMAND = [sys.executable, "-m", "schemathesis.cli", "run"]
OPTIONS = {
    "--max-examples": EXAMPLES,
    "--seed": "1",
    "--generation-database": "none",
    # A body may be well-formed and still name no agent, no token and no scope that there is.
    "--exclude-checks": "positive_data_acceptance",
    "--suppress-health-check": "all",
    "--warnings": "off",
    "--report-har-path": "answers.har",
}
Ask = Callable[..., None]


@pytest.fixture
def ask(served: Any, tmp_path: Path) -> Ask:
    """Make requests up, none of which may be answered otherwise than described, or with a trace of what went wrong."""

    def call(description: dict[str, Any], phases: str, *words: str) -> None:
        (tmp_path / "openapi.json").write_text(json.dumps(description))
        options = [word for option in OPTIONS.items() for word in option]
        done = subprocess.run(
            [*COMMAND, "openapi.json", "--url", served.issuer, "--phases", phases, *options, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answers = json.loads((tmp_path / "answers.har").read_text())["log"]["entries"]
        bodies = [answer["response"]["content"]["text"] for answer in answers]
        assert len(bodies) >= 10
        assert [body for body in bodies if "Traceback" in body or 'File "' in body] == []

    return call


@pytest.fixture
def description(served: Any) -> dict[str, Any]:
    return dict(served.get("/openapi.json").json())


def test_the_administrator_asks_anything(ask: Ask, description: dict[str, Any], served: Any) -> None:
    bearer = served.as_admin["Authorization"]
    ask(description, "coverage,fuzzing", "--header", f"Authorization: {bearer}")


def test_anybody_asks_anything(ask: Ask, description: dict[str, Any]) -> None:
    ask(description, "fuzzing")


def test_an_agent_asks_anything(ask: Ask, description: dict[str, Any], served: Any) -> None:
    """It has authenticated already, so its requests are looked at more closely; a second way would be refused."""
    for schema in description["components"]["schemas"].values():
        for name in ClientForm.model_fields:
            schema.get("properties", {}).pop(name, None)
    grant_type = {"type": "string", "enum": list(GRANT_TYPES)}
    form = description["components"]["schemas"]["TokenForm"]
    form["properties"]["grant_type"] = grant_type
    form["required"] = ["grant_type"]
    only = [
        word for path in ("/token", "/introspect", "/revoke", "/verify") for word in ("--include-path", path)
    ]
    ask(description, "fuzzing", "--auth", ":".join(served.agent()), *only)


def test_the_server_has_nothing_to_say_of_it(served: Any) -> None:
    """Last in the file: its log has a line for each request before, and none of a fault."""
    lines = [line for line in served.log if "status" in line]
    assert len(lines) > 10 * len(ENDPOINTS)
    assert [line for line in lines if line["status"] >= 500] == []
    assert "Traceback" not in served.err
