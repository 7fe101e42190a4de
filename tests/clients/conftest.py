"""What a client knows when it begins: the issuer, and where a stranger's code says that metadata must be."""

from typing import Any

import httpx
import pytest
from authlib.oauth2.rfc8414 import get_well_known_url

from tests.callers import ACCESS_TOKEN


def discover(issuer: str) -> dict[str, Any]:
    found = httpx.get(get_well_known_url(issuer, external=True), trust_env=False)
    assert found.status_code == 200, found.text
    metadata = dict(found.json())
    assert metadata["issuer"] == issuer
    return metadata


@pytest.fixture(scope="module")
def metadata(served: Any) -> dict[str, Any]:
    """The metadata of the served instance."""
    return discover(served.issuer)


@pytest.fixture
def child_terms() -> dict[str, str]:
    """What is asked of a token exchange, beside the subject token itself."""
    return {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": ACCESS_TOKEN,
        "scope": "file_read:github/pull/7",
        "task_id": "walk/1",
    }
