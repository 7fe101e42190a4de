"""What is granted is what the description says: each endpoint once, with an answer that says yes."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis

from agentsim.server.http.endpoints import ENDPOINTS
from agentsim.server.http.openapi import describe
from agentsim.server.http.replies import REPLIES
from tests.callers import ACCESS_TOKEN, EXCHANGE

Call = Callable[..., dict[str, Any]]
PROFILE = {
    "client_name": "an agent",
    "allowed_tools": ["file_read"],
    "resource_access": ["github"],
    "token_endpoint_auth_method": "client_secret_post",
}


@pytest.fixture
def seen() -> set[str]:
    return set()


@pytest.fixture
def call(served: Any, seen: set[str]) -> Call:
    """Ask an endpoint by name; its answer, which must be granted and as described."""
    described = schemathesis.openapi.from_dict(describe(served.issuer))
    endpoints = {endpoint.name: endpoint for endpoint in ENDPOINTS}

    def ask(name: str, *places: str, **request: Any) -> dict[str, Any]:
        endpoint = endpoints[name]
        path = endpoint.path
        for place in places:
            path = path[: path.index("{")] + place + path[path.index("}") + 1 :]
        if name not in ("token", "token_batch"):
            request["headers"] = served.as_admin
        answer: httpx.Response = served.http.request(endpoint.method, path, **request)
        assert answer.status_code == endpoint.status, answer.text
        described[endpoint.path][endpoint.method].validate_response(answer)
        seen.add(name)
        return dict(answer.json())

    return ask


def agent(call: Call) -> dict[str, str]:
    """Credentials of a new agent, as parameters."""
    made = call("register", json=PROFILE)
    call("confirm", json={"registration_token": made["registration_token"]})
    return {"client_id": made["client_id"], "client_secret": made["client_secret"]}


def test_every_answer_is_as_described(call: Call, seen: set[str]) -> None:
    mine, other = agent(call), agent(call)
    details = '[{"type": "agent_task", "identifier": "t", "actions": ["file_read"], "locations": ["github"]}]'
    root = call("token", data=mine | {"grant_type": "client_credentials", "authorization_details": details})
    asked = {
        "grant_type": EXCHANGE,
        "subject_token": root["access_token"],
        "subject_token_type": ACCESS_TOKEN,
        "scope": "file_read:github",
    }
    child = call("token", data=other | asked)
    call("token", data=other | {"grant_type": "refresh_token", "refresh_token": child["refresh_token"]})
    wrong = other | {"grant_type": "client_credentials", "scope": "file_write:github"}
    answers = call("token_batch", json={"owner": "admin", "requests": [other | asked, wrong]})["responses"]
    assert ["access_token" in answer for answer in answers] == [True, False]

    told = call("introspect", data={"token": child["access_token"], "include_task_history": "true"})
    assert told["task_history"]
    call("introspect", data={"token": root["access_token"]})
    call("introspect", data={"token": "none"})
    call("verify", json={"token": root["access_token"], "scope": "file_read:github"})
    call("verify", json={"token": root["access_token"], "scope": "file_write:github"})
    call("verify", json={"requests": [{"token": root["access_token"]}, {"token": "none"}]})

    call("list_agents")
    (grant, *_) = call("list_grants", params={"client_id": other["client_id"]})["grants"]
    call("tree", grant["grant_id"])
    call("audit")
    call("revoke", data={"token": root["access_token"]})
    call("revoke_by_name", json={"task_id": "t"})

    name = mine["client_id"]
    call("read_agent", name)
    call("update_agent", name, json=PROFILE | {"client_id": name, "description": "changed"})
    call("rotate_secret", name)
    call("disable_agent", name, json={"reason": "leave"})
    call("enable_agent", name)
    call("policy")
    call("rotate_key", json={"alg": "ES256"})
    call("jwks")
    call("health")
    # Nobody but a watch holds a grant: test_rfc9470.py has one that is re-authorised.
    assert seen == REPLIES.keys() - {"reauthorize_grant"}
