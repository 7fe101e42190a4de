"""RFC 7009: revocation."""

from typing import Any

import pytest


def revoke(site: Any, by: Any, token: str, **form: str) -> Any:
    return site.post("/revoke", auth=by, data={"token": token, **form})


def test_an_access_token_ends(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    answer = revoke(site, agent, grant["access_token"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert not site.is_active(grant["access_token"])
    # The refresh token would bring it back, so it goes, too.
    assert site.refresh(agent, grant).json()["error"] == "invalid_grant"


def test_with_a_refresh_token_go_all_access_tokens_of_its_grant_and_below(site: Any) -> None:
    agent = site.agent()
    first = site.root(agent)
    second = site.refresh(agent, first).json()
    child = site.child(site.agent(), second)
    assert revoke(site, agent, second["refresh_token"], token_type_hint="refresh_token").status_code == 200
    for grant in (first, second, child):
        assert not site.is_active(grant["access_token"])
    assert site.refresh(agent, second).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("token", ["nonsense", "e30.e30.e30", "rt_1_unknown", "\u20ac"])
def test_a_token_that_is_none_is_no_error(site: Any, token: str) -> None:
    assert revoke(site, site.agent(), token).status_code == 200


def test_revoking_twice_is_no_error(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    first, second = (revoke(site, agent, grant["access_token"]) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json()["revocation_id"] == second.json()["revocation_id"]


def test_an_expired_token_still_ends_its_grant(make_site: Any) -> None:
    site = make_site()
    agent = site.agent()
    grant = site.root(agent)
    site.clock.advance(301_000_000)
    assert revoke(site, agent, grant["access_token"]).status_code == 200
    assert site.refresh(agent, grant).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unheard_of"])
def test_a_wrong_or_unknown_hint_is_ignored(site: Any, hint: str) -> None:
    agent = site.agent()
    for kind in ("access_token", "refresh_token"):
        grant = site.root(agent)
        assert revoke(site, agent, grant[kind], token_type_hint=hint).status_code == 200
        assert not site.is_active(grant["access_token"])


def test_a_token_must_be_named(site: Any) -> None:
    answer = site.post("/revoke", auth=site.agent(), data={"token_type_hint": "access_token"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_the_client_must_authenticate(site: Any) -> None:
    agent = site.agent()
    token = site.root(agent)["access_token"]
    for by in (None, agent._replace(client_secret="wrong")):
        answer = revoke(site, by, token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert revoke(site, None, token, client_id=agent.client_id).status_code == 401
    assert site.is_active(token)


def test_another_client_s_token_is_refused_and_lives_on(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    for stranger in (site.agent(), site.agent(owner="elsewhere")):
        for token in (grant["access_token"], grant["refresh_token"]):
            answer = revoke(site, stranger, token)
            assert (answer.status_code, answer.json()["error"]) == (400, "access_denied")
    assert site.is_active(grant["access_token"])


def test_a_child_cannot_end_its_parent_s_but_a_parent_its_child_s(site: Any) -> None:
    parent, child = site.agent(), site.agent()
    root = site.root(parent)
    below = site.child(child, root)
    assert revoke(site, child, root["access_token"]).status_code == 400
    assert revoke(site, parent, below["access_token"]).status_code == 200
    assert not site.is_active(below["access_token"])
    assert site.is_active(root["access_token"])


def test_both_kinds_of_token_can_be_revoked_so_no_type_is_unsupported(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    errors = [
        revoke(site, agent, grant[kind]).json().get("error") for kind in ("access_token", "refresh_token")
    ]
    assert errors == [None, None]


def test_reason_and_task_chain_are_an_administrator_s(site: Any) -> None:
    grant = site.root(site.agent(), task_id="rfc7009")
    asked = {"token": grant["access_token"], "reason": "suspicious", "affected_task_chain": ["rfc7009/other"]}
    answer = site.post("/admin/revocations", headers=site.as_admin, json=asked)
    assert answer.json()["affected_task_chain"] == ["rfc7009", "rfc7009/other"]
    assert site.audit(event_type="token_revoked")[0]["reason"] == "suspicious"
