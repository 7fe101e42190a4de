"""RFC 6749: the token endpoint's requests and responses."""

import base64
import re
from typing import Any

import httpx
import pytest

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic(client_id: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}


def percent(text: str) -> str:
    """Every character percent-encoded, as any client may."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


def test_a_form_post_is_granted(site: Any) -> None:
    answer = site.ask(site.agent(), **GRANT)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    granted = answer.json()
    assert granted["token_type"] == "Bearer"
    assert granted["expires_in"] == 300
    assert granted["scope"] == "file_read:github"
    assert granted["access_token"].count(".") == 2


def test_the_response_is_not_to_be_stored(site: Any) -> None:
    answer = site.ask(site.agent(), **GRANT)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"


def test_expires_in_is_when_the_token_ends(make_site: Any) -> None:
    site = make_site(access_ttl_us=60_000_000)
    granted = site.root(site.agent())
    assert granted["expires_in"] == 60
    site.clock.advance(59_999_999)
    assert site.is_active(granted["access_token"])
    site.clock.advance(1)
    assert not site.is_active(granted["access_token"])


def test_the_token_endpoint_takes_nothing_but_post(site: Any) -> None:
    agent = site.agent()
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        answer = site.http.request(method, "/token", params=GRANT, auth=agent)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert "access_token" not in answer.text


def test_parameters_in_the_query_are_not_seen(site: Any) -> None:
    answer = site.post("/token", auth=site.agent(), params=GRANT, headers=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("name", ["grant_type", "scope", "task_id", "client_id", "unheard_of"])
def test_a_repeated_parameter_is_refused(site: Any, name: str) -> None:
    agent = site.agent()
    terms = GRANT | {"task_id": "repeated", "client_id": agent.client_id, "unheard_of": "x"}
    pairs = [*terms.items(), (name, terms[name])]
    answer = site.post("/token", auth=agent, content=str(httpx.QueryParams(pairs)), headers=FORM)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert name in answer.json()["error_description"]


def test_an_empty_parameter_is_as_good_as_none(site: Any) -> None:
    empty = {
        "task_id": "",
        "scope_level": "",
        "may_act": "",
        "resource": "",
        "parent_token": "",
        "client_id": "",
    }
    granted = site.ask(site.agent(), **GRANT, **empty)
    assert granted.status_code == 200
    assert granted.json()["task_id"].startswith("task_")
    refused = site.ask(site.agent(), grant_type="", scope="file_read:github")
    assert (refused.status_code, refused.json()["reason"]) == (400, "missing_parameter")


def test_an_unknown_parameter_is_ignored(site: Any) -> None:
    assert site.ask(site.agent(), **GRANT, code_verifier="x", nonsense="y").status_code == 200


def test_basic_takes_id_and_secret_form_encoded(site: Any) -> None:
    agent = site.agent()
    encoded = basic(percent(agent.client_id), percent(agent.client_secret))
    assert site.post("/token", headers=encoded, data=GRANT).status_code == 200
    # Once decoded they are compared, not decoded again.
    twice = basic(percent(percent(agent.client_id)), agent.client_secret)
    assert site.post("/token", headers=twice, data=GRANT).status_code == 401


def test_the_scheme_s_name_has_no_case(site: Any) -> None:
    headers = basic(*site.agent())
    headers["Authorization"] = headers["Authorization"].replace("Basic", "bAsIc")
    assert site.post("/token", headers=headers, data=GRANT).status_code == 200


def test_id_and_secret_may_stand_in_the_body(site: Any) -> None:
    agent = site.agent(token_endpoint_auth_method="client_secret_post")
    in_body = {"client_id": agent.client_id, "client_secret": agent.client_secret}
    assert site.ask(None, **GRANT, **in_body).status_code == 200


def test_the_id_may_stand_beside_basic_where_it_is_the_same(site: Any) -> None:
    agent = site.agent()
    assert site.ask(agent, **GRANT, client_id=agent.client_id).status_code == 200
    other = site.ask(agent, **GRANT, client_id=site.agent().client_id)
    assert (other.status_code, other.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "second",
    [
        {"client_secret": "the same or another"},
        {"client_assertion": "e30.e30.e30"},
        {"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
    ],
)
def test_two_ways_of_authentication_at_once_are_refused(site: Any, second: dict[str, str]) -> None:
    answer = site.ask(site.agent(), **GRANT, **second)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert answer.json()["reason"] == "two_authentications"


def test_a_secret_and_an_assertion_in_one_body_are_refused(site: Any) -> None:
    agent = site.agent()
    in_body = {"client_id": agent.client_id, "client_secret": agent.client_secret}
    answer = site.ask(None, **GRANT, **in_body, client_assertion="e30.e30.e30")
    assert (answer.status_code, answer.json()["reason"]) == (400, "two_authentications")


def test_two_authorization_headers_are_refused(site: Any) -> None:
    first, second = basic(*site.agent()), basic(*site.agent())
    headers = [*first.items(), *second.items()]
    answer = site.post("/token", headers=headers, data=GRANT)
    assert (answer.status_code, answer.json()["reason"]) == (400, "two_authentications")
    both = [*site.as_admin.items(), *first.items()]
    assert site.get("/admin/agents", headers=both).json()["reason"] == "two_authentications"


def test_client_credentials_give_a_refresh_token_by_the_document_s_default_only(make_site: Any) -> None:
    site = make_site()
    assert "refresh_token" in site.root(site.agent())
    # Section 4.4.3 advises against it; one switch of the policy follows.
    strict = make_site(refresh_tokens=False)
    assert "refresh_token" not in strict.root(strict.agent())


def test_an_agent_that_cannot_refresh_is_given_no_refresh_token(site: Any) -> None:
    assert "refresh_token" not in site.root(site.agent(grant_types=["client_credentials"]))


def test_scope_is_one_space_delimited_string(site: Any) -> None:
    granted = site.root(site.agent(), scope="file_write:jira file_read:github")
    assert isinstance(granted["scope"], str)
    assert set(granted["scope"].split(" ")) == {"file_read:github", "file_write:jira"}
    assert all(SCOPE_TOKEN.fullmatch(token) for token in granted["scope"].split(" "))


def test_the_order_of_scopes_does_not_matter(site: Any) -> None:
    agent = site.agent()
    one = site.root(agent, scope="file_read:jira file_read:github")["scope"]
    assert site.root(agent, scope="file_read:github file_read:jira")["scope"] == one


def test_scopes_have_a_case(site: Any) -> None:
    answer = site.ask(site.agent(), grant_type="client_credentials", scope="FILE_READ:github")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    "scope",
    ['a"b', "a\\b", "a\tb", "a\nb", "file_read:github  file_read:jira", " file_read:github", "é", "a\x7f"],
)
def test_a_scope_outside_the_grammar_is_refused(site: Any, scope: str) -> None:
    answer = site.ask(site.agent(), grant_type="client_credentials", scope=scope)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_the_scope_is_told_where_it_is_not_what_was_asked(site: Any) -> None:
    asked = {
        "grant_type": "client_credentials",
        "required_tools": "file_read",
        "required_resources": "github",
    }
    assert site.ask(site.agent(), **asked).json()["scope"] == "file_read:github"


def test_a_refresh_narrows_and_never_widens(site: Any) -> None:
    agent = site.agent()
    first = site.root(agent, scope="file_read:github file_read:jira")
    narrowed = site.refresh(agent, first, scope="file_read:github/one")
    assert narrowed.json()["scope"] == "file_read:github/one"
    widened = site.refresh(agent, narrowed.json(), scope="file_read:github file_write:github")
    assert (widened.status_code, widened.json()["error"]) == (400, "invalid_scope")
    # What was left out of one access token is still the grant's.
    assert site.refresh(agent, narrowed.json()).json()["scope"] == first["scope"]


def test_a_refresh_token_is_bound_to_its_client(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    answer = site.refresh(site.agent(), grant)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert site.refresh(agent, grant).status_code == 200


def test_a_refresh_needs_the_client_s_authentication(site: Any) -> None:
    agent = site.agent()
    grant = site.root(agent)
    for by in (None, agent._replace(client_secret="wrong")):
        assert site.refresh(by, grant).status_code == 401
    assert (
        site.ask(
            None, grant_type="refresh_token", refresh_token=grant["refresh_token"], client_id=agent.client_id
        ).status_code
        == 401
    )
    assert site.refresh(agent, grant).status_code == 200


def test_a_refresh_rotates_the_refresh_token(site: Any) -> None:
    agent = site.agent()
    first = site.root(agent)
    second = site.refresh(agent, first).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    assert second["task_id"] == first["task_id"]
