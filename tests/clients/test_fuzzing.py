"""Requests that a machine makes up from the description: none is answered with a fault of the server's own, and what is
answered is what was described.

For more of them: ``AGENTSIM_FUZZ=500 pytest tests/clients/test_fuzzing.py`` makes 500 for each endpoint and caller.
"""

import os
from typing import Any

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks

from agentsim.server.http.openapi import describe

EXAMPLES = int(os.environ.get("AGENTSIM_FUZZ", "4"))
DESCRIPTION = describe("http://127.0.0.1")
#: For the administrator each bound of each parameter is tried as well; nobody else comes so far.
AS_ADMIN = schemathesis.openapi.from_dict(DESCRIPTION)
AS_ANYBODY = schemathesis.openapi.from_dict(DESCRIPTION)
AS_ANYBODY.config.phases.coverage.enabled = False
#: A body may be well-formed and still name no agent, no token and no scope that there is.
NOT_HELD = [checks.positive_data_acceptance]

bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@AS_ADMIN.parametrize()
@bounded
def test_the_administrator_asks_anything(case: schemathesis.Case, served: Any) -> None:
    answer = case.call_and_validate(base_url=served.issuer, headers=served.as_admin, excluded_checks=NOT_HELD)
    assert_no_trace(answer.text)


@AS_ANYBODY.parametrize()
@bounded
def test_anybody_asks_anything(case: schemathesis.Case, served: Any) -> None:
    answer = case.call_and_validate(base_url=served.issuer, excluded_checks=NOT_HELD)
    assert_no_trace(answer.text)


def test_the_server_has_nothing_to_say_of_it(served: Any) -> None:
    """Last in the file: its log has a line for each request before, and none of a fault."""
    lines = [line for line in served.log if "status" in line]
    assert len(lines) > 300
    assert [line for line in lines if line["status"] >= 500] == []
    assert "Traceback" not in served.err


def assert_no_trace(body: str) -> None:
    assert "Traceback" not in body
    assert 'File "' not in body
