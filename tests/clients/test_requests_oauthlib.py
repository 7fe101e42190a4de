"""requests-oauthlib's backend client; what it lacks (exchange, introspection, revocation) is plain HTTP as its users would write it."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError, InvalidScopeError
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session

Metadata = dict[str, Any]
Agent = tuple[str, str]


@pytest.fixture(autouse=True)
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is on the loopback; and proxies of the environment are none of its business."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def session_of(agent: Agent) -> OAuth2Session:
    return OAuth2Session(client=BackendApplicationClient(agent[0], scope=["file_read:github"]))


def basic(agent: Agent) -> dict[str, Any]:
    return {"auth": HTTPBasicAuth(*agent)}


def post(agent: Agent) -> dict[str, Any]:
    return {"include_client_id": True, "client_secret": agent[1]}


@pytest.mark.parametrize(("method", "way"), [("client_secret_basic", basic), ("client_secret_post", post)])
def test_it_walks_from_a_first_token_to_a_revoked_tree(
    served: Any,
    metadata: Metadata,
    child_terms: dict[str, str],
    method: str,
    way: Callable[[Agent], dict[str, Any]],
) -> None:
    agent = served.agent(token_endpoint_auth_method=method)
    reviewer = served.agent(client_name="reviewer")
    session = session_of(agent)
    root = session.fetch_token(metadata["token_endpoint"], task_id="walk", **way(agent))
    assert root["scope"] == ["file_read:github"]

    asked = child_terms | {"subject_token": root["access_token"]}
    child = requests.post(metadata["token_endpoint"], data=asked, auth=reviewer, timeout=30).json()
    assert child["parent_task_id"] == "walk"

    # Its refresh writes client_id and client_secret into the body, or sends what it is given as auth.
    secret = {"client_id": agent[0], "client_secret": agent[1]}
    refreshed = session.refresh_token(metadata["token_endpoint"], **(way(agent) if way is basic else secret))
    assert refreshed["refresh_token"] != root["refresh_token"]

    def look() -> dict[str, Any]:
        asked = {"token": child["access_token"], "token_type_hint": "access_token"}
        answer = requests.post(metadata["introspection_endpoint"], data=asked, auth=reviewer, timeout=30)
        return dict(answer.json())

    assert look()["active"] is True
    form = {"token": refreshed["refresh_token"], "token_type_hint": "refresh_token"}
    if way is basic:
        ended = requests.post(metadata["revocation_endpoint"], form, auth=agent, timeout=30)
    else:
        ended = requests.post(metadata["revocation_endpoint"], form | secret, timeout=30)
    assert ended.status_code == 200
    assert look() == {"active": False}


def test_it_reads_a_refusal(served: Any, metadata: Metadata) -> None:
    agent = served.agent()
    with pytest.raises(InvalidScopeError):
        OAuth2Session(client=BackendApplicationClient(agent[0], scope=["file_delete:github"])).fetch_token(
            metadata["token_endpoint"], **basic(agent)
        )
    with pytest.raises(InvalidClientError):
        session_of(agent).fetch_token(metadata["token_endpoint"], **basic((agent[0], "not the secret")))
