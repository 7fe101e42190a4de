"""RFC 8693: token exchange, by which a child agent gets a token below its parent's."""

from typing import Any

import jwt
import pytest

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"


def exchange(site: Any, by: Any, subject_token: str | None, **form: str) -> Any:
    terms: dict[str, Any] = {
        "grant_type": EXCHANGE,
        "subject_token_type": ACCESS_TOKEN,
        "scope": "file_read:github",
    }
    if subject_token is not None:
        terms["subject_token"] = subject_token
    return site.ask(by, **(terms | form))


def claims_of(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, options={"verify_signature": False}))


def check_refusal(answer: Any, error: str = "invalid_request") -> None:
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_the_response_says_what_was_issued(site: Any) -> None:
    root = site.root(site.agent())
    answer = exchange(site, site.agent(), root["access_token"])
    assert answer.headers["cache-control"] == "no-store"
    granted = answer.json()
    assert granted["issued_token_type"] == ACCESS_TOKEN
    assert granted["token_type"] == "Bearer"
    assert 0 < granted["expires_in"] <= 300
    assert granted["scope"] == "file_read:github"
    # Only an exchange has the member.
    assert "issued_token_type" not in root


@pytest.mark.parametrize("kind", [ACCESS_TOKEN, JWT_TYPE])
def test_access_tokens_may_be_named_by_either_type(site: Any, kind: str) -> None:
    root = site.root(site.agent())
    granted = exchange(
        site, site.agent(), root["access_token"], subject_token_type=kind, requested_token_type=kind
    )
    assert granted.status_code == 200


def test_subject_token_and_its_type_are_needed(site: Any) -> None:
    token = site.root(site.agent())["access_token"]
    check_refusal(exchange(site, site.agent(), None))
    check_refusal(exchange(site, site.agent(), token, subject_token_type=""))


@pytest.mark.parametrize(
    "form",
    [
        {"subject_token_type": ID_TOKEN},
        {"requested_token_type": ID_TOKEN},
        {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
        {"actor_token_type": ACCESS_TOKEN},
        {"actor_token": "e30.e30.e30"},
        {"actor_token": "e30.e30.e30", "actor_token_type": ACCESS_TOKEN},
    ],
)
def test_what_is_not_offered_or_does_not_go_together_is_refused(site: Any, form: dict[str, str]) -> None:
    check_refusal(exchange(site, site.agent(), site.root(site.agent())["access_token"], **form))


def test_a_subject_token_that_does_not_hold_is_an_invalid_request(make_site: Any) -> None:
    site = make_site(max_depth=1)
    parent, child = site.agent(), site.agent()
    revoked, expired = site.root(parent), site.root(parent, task_id="goes on")
    deep = site.child(child, site.root(parent, task_id="deep"))
    site.post("/revoke", auth=parent, data={"token": revoked["access_token"]})
    check_refusal(exchange(site, child, "nonsense"))
    check_refusal(exchange(site, child, expired["refresh_token"]))
    check_refusal(exchange(site, child, revoked["access_token"]))
    check_refusal(exchange(site, child, deep["access_token"]))
    check_refusal(exchange(site, child, expired["access_token"], parent_task_id="another"))
    site.clock.advance(300_000_000)
    check_refusal(exchange(site, child, expired["access_token"]))
    # Each is one row of the trail, written when it was decided and not once more at the door.
    refused = site.audit(event_type="child_token_issued", status="refused")
    assert [row["reason"] for row in refused] == [
        "parent_expired",
        "parent_task_mismatch",
        "depth_exceeded",
        "parent_revoked",
        "parent_invalid",
        "parent_invalid",
    ]


def test_the_client_must_authenticate_whatever_it_holds(site: Any) -> None:
    token = site.root(site.agent())["access_token"]
    assert exchange(site, None, token).status_code == 401
    assert exchange(site, site.agent()._replace(client_secret="wrong"), token).status_code == 401


def test_actors_nest_with_the_current_one_outermost(site: Any) -> None:
    agents = [site.agent() for _ in range(4)]
    grant = site.root(agents[0])
    for agent in agents[1:]:
        grant = site.child(agent, grant)
    act = claims_of(grant["access_token"])["act"]
    told = site.post("/introspect", headers=site.as_admin, data={"token": grant["access_token"]}).json()
    assert told["act"] == act
    for agent in reversed(agents):
        assert act["sub"] == agent.client_id
        act = act.get("act")
    assert act is None


def test_the_subject_stays_the_same_down_the_chain(site: Any) -> None:
    root = site.root(site.agent(owner="acme"))
    child = site.child(site.agent(owner="acme"), root)
    assert claims_of(child["access_token"])["sub"] == claims_of(root["access_token"])["sub"] == "acme"


def test_another_owner_s_agent_is_refused_unless_may_act_names_it(site: Any) -> None:
    parent, stranger = site.agent(), site.agent(owner="elsewhere")
    check_refusal(exchange(site, stranger, site.root(parent)["access_token"]))
    named = site.root(parent, may_act=stranger.client_id)
    assert claims_of(named["access_token"])["may_act"] == {"sub": stranger.client_id}
    answer = exchange(site, stranger, named["access_token"])
    assert answer.status_code == 200
    # It names one agent, and for one step.
    check_refusal(exchange(site, site.agent(owner="elsewhere"), named["access_token"]))
    check_refusal(exchange(site, site.agent(owner="elsewhere"), answer.json()["access_token"]))


def test_a_child_gets_a_subset(site: Any) -> None:
    root = site.root(site.agent(), scope="file_read:github/a file_read:jira")
    child = site.agent()
    for scope in (
        "file_read:github",
        "file_read:github/b",
        "file_write:jira",
        "file_read:github/a db_query:jira",
    ):
        check_refusal(exchange(site, child, root["access_token"], scope=scope), "invalid_scope")
    assert exchange(site, child, root["access_token"], scope="file_read:github/a/b").status_code == 200


def test_a_child_is_bounded_by_its_own_registration_too(site: Any) -> None:
    child = site.agent(allowed_tools=["db_query"])
    root = site.root(site.agent())
    check_refusal(exchange(site, child, root["access_token"]), "invalid_scope")


def test_audience_names_the_target_as_resource_does(make_site: Any) -> None:
    site = make_site(resources=("https://api.example",))
    root = site.root(site.agent(), resource=[site.policy.audience, "https://api.example"])
    answer = exchange(site, site.agent(), root["access_token"], audience="https://api.example")
    assert claims_of(answer.json()["access_token"])["aud"] == "https://api.example"
    unknown = exchange(site, site.agent(), root["access_token"], audience="https://evil.example")
    check_refusal(unknown, "invalid_target")


def test_an_agent_must_be_registered_for_it(site: Any) -> None:
    agent = site.agent(grant_types=["client_credentials"])
    check_refusal(exchange(site, agent, site.root(agent)["access_token"]), "unauthorized_client")
