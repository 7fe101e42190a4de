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

EXAMPLES = int(os.environ.get("AGENTSIM_FUZZ", "6"))
SCHEMA = schemathesis.openapi.from_dict(describe("http://127.0.0.1"))
#: A body may be well-formed and still name no agent, no token and no scope that there is.
NOT_HELD = [checks.positive_data_acceptance]

bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@SCHEMA.parametrize()
@bounded
def test_the_administrator_asks_anything(case: schemathesis.Case, served: Any) -> None:
    answer = case.call_and_validate(base_url=served.issuer, headers=served.as_admin, excluded_checks=NOT_HELD)
    assert_no_trace(answer.text)


@SCHEMA.parametrize()
@bounded
def test_anybody_asks_anything(case: schemathesis.Case, served: Any) -> None:
    answer = case.call_and_validate(base_url=served.issuer, excluded_checks=NOT_HELD)
    assert_no_trace(answer.text)


def test_none_of_it_was_too_much(served: Any) -> None:
    """Last in the file: whatever the server had to say of the requests before, it said in lines of its log."""
    assert {line["status"] for line in served.log if "status" in line} & set(range(500, 600)) == set()


def assert_no_trace(body: str) -> None:
    assert "Traceback" not in body
    assert 'File "' not in body
