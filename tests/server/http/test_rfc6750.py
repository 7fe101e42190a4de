"""RFC 6750: bearer tokens, and what a resource server says who refuses one."""

from typing import Any

import pytest


def challenge(answer: Any) -> str:
    return str(answer.headers["www-authenticate"])


def test_without_credentials_no_error_is_named(site: Any) -> None:
    for headers in (
        {},
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
    ):
        answer = site.get("/admin/agents", headers=headers)
        assert answer.status_code == 401
        assert challenge(answer) == 'Bearer realm="agentsim"'
        assert "error" not in answer.json()


def test_a_token_that_does_not_hold_is_an_invalid_token(site: Any) -> None:
    answer = site.get("/admin/agents", headers={"Authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert challenge(answer).startswith('Bearer realm="agentsim", error="invalid_token"')


def test_the_scheme_s_name_has_no_case(site: Any) -> None:
    token = site.as_admin["Authorization"].removeprefix("Bearer ")
    assert site.get("/admin/agents", headers={"Authorization": f"bEARER {token}"}).status_code == 200


def test_a_token_in_query_or_body_opens_nothing(site: Any) -> None:
    token = site.as_admin["Authorization"].removeprefix("Bearer ")
    assert site.get("/admin/agents", params={"access_token": token}).status_code == 401
    assert site.post("/admin/keys", json={"access_token": token}).status_code == 401
    beside = site.get("/admin/agents", headers=site.as_admin, params={"access_token": token})
    assert (beside.status_code, beside.json()["error"]) == (400, "invalid_request")


def test_what_is_malformed_is_an_invalid_request(site: Any) -> None:
    for query in ("limit=0", "limit=x", "limit=1&limit=2", "unheard_of=1", "status=sleeping"):
        answer = site.get(f"/admin/agents?{query}", headers=site.as_admin)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_what_the_caller_may_not_do_is_forbidden(site: Any) -> None:
    answer = site.post("/admin/agents/agent_1/disable", headers=site.as_admin, json={})
    assert answer.status_code == 403
    assert 'error="insufficient_scope"' in challenge(answer)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"required_tools": ["file_write"]}, "tool_not_granted"),
        ({"required_resources": ["jira"]}, "resource_not_granted"),
        ({"scope": "file_read:jira"}, "insufficient_scope"),
        ({"scope": ["file_read:github", "db_query:github"]}, "insufficient_scope"),
    ],
)
def test_a_resource_server_learns_that_the_scope_does_not_suffice(
    site: Any, asked: dict[str, Any], reason: str
) -> None:
    token = site.root(site.agent())["access_token"]
    answer = site.post("/verify", headers=site.as_admin, json={"token": token, **asked}).json()
    assert (answer["is_valid"], answer["error"], answer["reason"]) == (False, "insufficient_scope", reason)
    # What its challenge has to name: the scope that would be needed, and here also the one that is there.
    assert answer["asked"]
    assert answer["scope"] == "file_read:github"


def test_a_resource_server_learns_that_a_token_is_dead(make_site: Any) -> None:
    site = make_site()
    agent = site.agent()
    revoked, expired = site.root(agent), site.root(agent)
    site.post("/revoke", auth=agent, data={"token": revoked["access_token"]})
    site.clock.advance(300_000_000)
    for token in (revoked["access_token"], expired["access_token"], "nonsense"):
        answer = site.post("/verify", headers=site.as_admin, json={"token": token}).json()
        assert (answer["is_valid"], answer["error"]) == (False, "invalid_token")
        assert not answer["scope"]
