"""RFC 9700: refresh tokens that are used twice, and names that could be mistaken."""

from typing import Any

import pytest


def test_a_replay_ends_the_grant_and_all_below(site: Any) -> None:
    agent = site.agent()
    first = site.root(agent)
    second = site.refresh(agent, first).json()
    child = site.child(site.agent(), second)
    replay = site.refresh(agent, first)
    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    for grant in (first, second, child):
        assert not site.is_active(grant["access_token"])
    assert site.refresh(agent, second).json()["error"] == "invalid_grant"
    assert site.audit(event_type="token_refreshed", status="refused")[1]["reason"] == "refresh_reused"


def test_a_thief_s_use_is_found_out_by_the_owner_s(site: Any) -> None:
    agent = site.agent()
    stolen = site.root(agent)
    by_the_thief = site.refresh(agent, stolen).json()
    assert site.refresh(agent, stolen).status_code == 400
    assert not site.is_active(by_the_thief["access_token"])


def test_another_client_s_attempt_does_not_end_the_grant(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    site.refresh(agent, grant)
    assert site.refresh(site.agent(), grant).json()["reason"] == "wrong_client"
    assert site.is_active(grant["access_token"])


def test_within_the_grace_window_a_second_use_is_no_replay(make_site: Any) -> None:
    site = make_site(refresh_grace_us=10_000_000)
    agent = site.agent()
    first = site.root(agent)
    site.refresh(agent, first)
    site.clock.advance(9_999_999)
    again = site.refresh(agent, first)
    assert again.status_code == 200
    site.clock.advance(1)
    assert site.refresh(agent, first).json()["reason"] == "refresh_reused"
    assert not site.is_active(again.json()["access_token"])


def test_a_grant_ends_however_often_it_is_refreshed(make_site: Any) -> None:
    site = make_site(grant_ttl_us=3600_000_000)
    agent = site.agent()
    grant = site.root(agent)
    for _ in range(11):
        site.clock.advance(300_000_000)
        grant = site.refresh(agent, grant).json()
    site.clock.advance(300_000_000)
    assert not site.is_active(grant["access_token"])
    late = site.refresh(agent, grant)
    assert (late.status_code, late.json()["reason"]) == (400, "refresh_expired")


@pytest.mark.parametrize("path", ["register", "update"])
def test_a_client_does_not_choose_its_id(site: Any, path: str) -> None:
    made = site.register(client_id="alice@example.com", sub="alice@example.com")
    assert made["client_id"].startswith("agent_")
    if path == "update":
        body = {"client_id": "alice@example.com"}
        answer = site.http.put(made["registration_client_uri"], headers=site.as_admin, json=body)
        assert answer.status_code == 400


def test_no_principal_is_called_like_an_agent(site: Any) -> None:
    agent = site.agent()
    profile = {"client_name": "x", "allowed_tools": ["file_read"], "resource_access": ["github"]}
    for owner in (agent.client_id, "agent_1"):
        answer = site.post("/register", headers=site.as_admin, json=profile | {"owner": owner})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
