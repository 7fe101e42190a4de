"""RFC 9396: authorization details, of the type ``agent_task``."""

import json
from typing import Any

import jwt
import pytest

DETAILS = {
    "type": "agent_task",
    "identifier": "review-7",
    "actions": ["file_read"],
    "locations": ["github"],
    "privileges": ["restricted"],
}


def ask(site: Any, details: Any, **form: str) -> Any:
    text = details if isinstance(details, str) else json.dumps(details)
    return site.ask(site.agent(), grant_type="client_credentials", authorization_details=text, **form)


def test_what_was_granted_comes_back_in_the_response_the_token_and_introspection(site: Any) -> None:
    answer = ask(site, [DETAILS])
    assert answer.status_code == 200, answer.text
    granted = answer.json()
    assert granted["authorization_details"] == [DETAILS]
    assert (granted["scope"], granted["task_id"]) == ("file_read:github", "review-7")
    token = granted["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["authorization_details"] == [DETAILS]
    told = site.post("/introspect", headers=site.as_admin, data={"token": token}).json()
    assert told["authorization_details"] == [DETAILS]


def test_who_did_not_ask_with_them_is_not_answered_with_them(site: Any) -> None:
    granted = site.root(site.agent())
    assert "authorization_details" not in granted
    told = site.post("/introspect", headers=site.as_admin, data={"token": granted["access_token"]}).json()
    assert "authorization_details" not in told


def test_what_the_server_adds_is_told(site: Any) -> None:
    bare = {"type": "agent_task", "actions": ["file_read"], "locations": ["github"]}
    (granted,) = ask(site, [bare]).json()["authorization_details"]
    assert granted["identifier"].startswith("task_")
    assert granted["privileges"] == ["restricted"]


def test_several_objects_ask_for_each_its_own_combination(site: Any) -> None:
    one = {"type": "agent_task", "actions": ["file_read"], "locations": ["github"]}
    two = {"type": "agent_task", "actions": ["db_query"], "locations": ["jira"]}
    assert ask(site, [one, two]).json()["scope"] == "db_query:jira file_read:github"


@pytest.mark.parametrize(
    "details",
    [
        "not json",
        "{}",
        "[]",
        "[7]",
        "[{}]",
        [{"type": "payment_initiation"}],
        [{"type": "AGENT_TASK"}],
        [{**DETAILS, "amount": 7}],
        [{**DETAILS, "actions": "file_read"}],
        [{**DETAILS, "locations": [7]}],
        [{**DETAILS, "identifier": 7}],
        [DETAILS, {**DETAILS, "identifier": "review-8"}],
        [{**DETAILS, "privileges": ["restricted", "minimal"]}],
        [DETAILS] * 101,
        "[" * 5_000,
    ],
)
def test_malformed_or_unknown_details_are_refused(site: Any, details: Any) -> None:
    answer = ask(site, details)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")


@pytest.mark.parametrize(
    "form",
    [
        {"scope": "file_read:github"},
        {"required_tools": "file_read"},
        {"task_id": "x"},
        {"scope_level": "minimal"},
    ],
)
def test_nothing_is_said_twice(site: Any, form: dict[str, str]) -> None:
    answer = ask(site, [DETAILS], **form)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_authorization_details")


def test_more_than_is_registered_is_refused(site: Any) -> None:
    answer = ask(site, [{**DETAILS, "locations": ["everything"]}])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_a_child_asks_with_them_for_no_more_than_its_parent_has(site: Any) -> None:
    root = site.root(site.agent(), task_id="rar")
    exchange = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token": root["access_token"],
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    }
    below = [{**DETAILS, "identifier": "rar/1", "locations": ["github/specific"]}]
    granted = site.ask(site.agent(), **exchange, authorization_details=json.dumps(below)).json()
    assert granted["authorization_details"] == below
    beyond = [{**DETAILS, "actions": ["file_write"]}]
    answer = site.ask(site.agent(), **exchange, authorization_details=json.dumps(beyond))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


def test_a_refresh_keeps_them_and_does_not_pretend_to_narrow_by_them(site: Any) -> None:
    agent = site.agent()
    form = {"grant_type": "client_credentials", "authorization_details": json.dumps([DETAILS])}
    grant = site.ask(agent, **form).json()
    narrowing = site.refresh(agent, grant, authorization_details=json.dumps([DETAILS]))
    assert (narrowing.status_code, narrowing.json()["error"]) == (400, "invalid_authorization_details")
    assert site.refresh(agent, grant).json()["authorization_details"] == [DETAILS]
