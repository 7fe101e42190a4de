"""RFC 7662: introspection."""

from typing import Any

import pytest

MEMBERS = {"active", "iss", "scope", "client_id", "token_type", "exp", "iat", "sub", "aud", "jti"}


def introspect(site: Any, by: Any, token: str, **form: str) -> Any:
    return site.post("/introspect", auth=by, data={"token": token, **form})


def test_an_active_token_tells_the_registered_members(site: Any) -> None:
    agent = site.agent()
    told = introspect(site, agent, site.root(agent)["access_token"]).json()
    now = site.clock.now() // 1_000_000
    assert told.keys() >= MEMBERS
    assert told["active"] is True
    assert (told["iat"], told["exp"]) == (now, now + 300)
    assert told["client_id"] == agent.client_id
    assert (told["iss"], told["aud"]) == (site.issuer, site.policy.audience)
    assert (told["scope"], told["token_type"]) == ("file_read:github", "Bearer")
    assert (told["sub"], told["act"]) == ("admin", {"sub": agent.client_id})
    # It goes by no user's name, and is good from the moment that it was issued.
    assert not {"username", "nbf"} & told.keys()


def test_the_answer_is_json_and_not_to_be_stored(site: Any) -> None:
    agent = site.agent()
    for token in (site.root(agent)["access_token"], "nonsense"):
        answer = introspect(site, agent, token)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"


def test_it_takes_forms_by_post_alone(site: Any) -> None:
    agent = site.agent()
    token = site.root(agent)["access_token"]
    assert site.get("/introspect", auth=agent, params={"token": token}).status_code == 405
    in_json = site.post("/introspect", auth=agent, json={"token": token})
    assert (in_json.status_code, in_json.json()["error"]) == (400, "invalid_request")


def test_a_token_must_be_named(site: Any) -> None:
    for form in ({}, {"token": ""}):
        answer = site.post("/introspect", auth=site.agent(), data={"token_type_hint": "access_token", **form})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("by", [None, ("agent_1", "x")])
def test_a_caller_who_is_nobody_is_refused(site: Any, by: Any) -> None:
    answer = introspect(site, by, site.root(site.agent())["access_token"])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")
    assert "active" not in answer.json()


def test_a_bearer_token_that_opens_nothing_is_refused(site: Any) -> None:
    token = site.root(site.agent())["access_token"]
    answer = site.post("/introspect", headers={"Authorization": f"Bearer {token}"}, data={"token": token})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_an_inactive_token_tells_nothing_else(make_site: Any) -> None:
    site = make_site()
    agent = site.agent()
    revoked, expired = site.root(agent), site.root(agent, task_id="expires")
    site.post("/revoke", auth=agent, data={"token": revoked["access_token"]})
    consumed = site.root(agent, task_id="goes on")
    site.refresh(agent, consumed)
    unknown = ["nonsense", "e30.e30.e30", "rt_1_unknown", "\u20ac", revoked["access_token"][:-4] + "AAAA"]
    dead = [revoked["access_token"], revoked["refresh_token"], consumed["refresh_token"]]
    assert introspect(site, agent, expired["access_token"]).json()["active"] is True
    site.clock.advance(300_000_000)
    for token in (*unknown, *dead, expired["access_token"]):
        for by in (agent, site.agent()):
            assert introspect(site, by, token, include_task_history="true").json() == {"active": False}


def test_a_token_of_another_owner_is_inactive_to_who_asks(site: Any) -> None:
    agent, stranger = site.agent(), site.agent(owner="elsewhere")
    grant = site.root(agent)
    for token in (grant["access_token"], grant["refresh_token"]):
        assert introspect(site, stranger, token).json() == {"active": False}
        assert introspect(site, agent, token).json()["active"] is True


def test_a_refresh_token_concerns_its_own_client_alone(site: Any) -> None:
    agent, sibling = site.agent(), site.agent()
    token = site.root(agent)["refresh_token"]
    assert introspect(site, sibling, token).json() == {"active": False}
    told = introspect(site, agent, token).json()
    assert (told["active"], told["token_type"]) == (True, "refresh_token")
    assert told["exp"] == site.clock.now() // 1_000_000 + 24 * 3600


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "unheard_of"])
def test_a_hint_helps_and_never_hides(site: Any, hint: str) -> None:
    agent = site.agent()
    grant = site.root(agent)
    for token in (grant["access_token"], grant["refresh_token"]):
        assert introspect(site, agent, token, token_type_hint=hint).json()["active"] is True


def test_a_resource_server_of_the_owner_asks_like_an_agent(site: Any) -> None:
    server = site.agent(client_name="resource server", role="resource_server")
    assert introspect(site, server, site.root(site.agent())["access_token"]).json()["active"] is True


def test_several_audiences_are_an_array(make_site: Any) -> None:
    site = make_site(resources=("https://api.example",))
    agent = site.agent()
    targets = [site.policy.audience, "https://api.example"]
    told = introspect(site, agent, site.root(agent, resource=targets)["access_token"]).json()
    assert told["aud"] == targets
