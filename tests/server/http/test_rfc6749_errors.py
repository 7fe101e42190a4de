"""RFC 6749 section 5.2: how the token endpoint refuses."""

import base64
import re
from typing import Any

import pytest

from tests.callers import EXCHANGE

DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")
GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def check_refusal(answer: Any, status: int, error: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert DESCRIPTION.fullmatch(answer.json()["error_description"])


def test_invalid_request(site: Any) -> None:
    check_refusal(site.ask(site.agent(), scope="file_read:github"), 400, "invalid_request")
    check_refusal(site.ask(site.agent(), grant_type="refresh_token"), 400, "invalid_request")
    check_refusal(site.ask(site.agent(), grant_type=EXCHANGE), 400, "invalid_request")
    check_refusal(site.ask(site.agent(), grant_type="authorization_code"), 400, "invalid_request")


def test_invalid_grant(site: Any) -> None:
    unknown = site.ask(site.agent(), grant_type="refresh_token", refresh_token="rt_1_unknown")
    check_refusal(unknown, 400, "invalid_grant")


def test_invalid_scope(site: Any) -> None:
    beyond = site.ask(site.agent(), grant_type="client_credentials", scope="file_read:everything")
    check_refusal(beyond, 400, "invalid_scope")
    # An agent reads it, too: what was too much, what would do, and what to do next.
    assert beyond.json()["asked"] == ["file_read:everything"]
    assert "file_read:github" in beyond.json()["allowed"]
    assert beyond.json()["hint"]


def test_unauthorized_client(site: Any) -> None:
    agent = site.agent(grant_types=["refresh_token"])
    check_refusal(site.ask(agent, **GRANT), 400, "unauthorized_client")


@pytest.mark.parametrize(
    "grant", ["authorization code", "password", "implicit", "client_credentials ", "DROP"]
)
def test_unsupported_grant_type(site: Any, grant: str) -> None:
    answer = site.ask(site.agent(), grant_type=grant, username="u", password="p", code="c")
    check_refusal(answer, 400, "unsupported_grant_type")


def test_invalid_client_after_a_header_is_401_with_a_challenge_of_its_scheme(site: Any) -> None:
    agent = site.agent()
    for by in (agent._replace(client_secret="wrong"), agent._replace(client_id="agent_1"), ("nobody", "x")):
        answer = site.ask(by, **GRANT)
        check_refusal(answer, 401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith('Basic realm="')


def test_invalid_client_in_the_body_is_401_too(site: Any) -> None:
    in_body = {"client_id": site.agent().client_id, "client_secret": "wrong"}
    check_refusal(site.ask(None, **GRANT, **in_body), 401, "invalid_client")
    check_refusal(site.ask(None, **GRANT), 401, "invalid_client")
    check_refusal(site.ask(None, **GRANT, client_id=in_body["client_id"]), 401, "invalid_client")


def test_an_unknown_client_and_a_wrong_secret_look_the_same(site: Any) -> None:
    agent = site.agent()
    wrong = site.ask(agent._replace(client_secret="wrong"), **GRANT)
    unknown = site.ask(agent._replace(client_id="agent_99"), **GRANT)
    assert wrong.content == unknown.content


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode("agent_1:é".encode("latin-1")).decode(),
        "Basic " + base64.b64encode(b"agent_%FF:secret").decode(),
        "Bearer e30.e30.e30",
        b"Basic \xe9",
        "Digest x",
        "nonsense",
        "",
    ],
)
def test_a_header_that_cannot_be_read_authenticates_nobody(site: Any, value: str | bytes) -> None:
    answer = site.post("/token", data=GRANT, headers={"Authorization": value})
    check_refusal(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "form",
    [
        b'a"b\\c%0A%C3%A9=1&a"b\\c%0A%C3%A9=2',
        b"grant_type=%22%5C%0D%0AX-Injected:%20yes%E2%82%AC",
        b"grant_type=client_credentials&scope=%22%5C%E2%82%AC",
        b"grant_type=client_credentials&scope=file_read:github&task_id=%22%5C%0A%E2%82%AC",
        b"grant_type=client_credentials&scope=file_read:github&scope_level=%22%5C%0A%E2%82%AC",
        b"grant_type=client_credentials&scope=file_read:github&may_act=%22%5C%0A%E2%82%AC",
        b"grant_type=client_credentials&scope=file_read:github&resource=%22%5C%0A%E2%82%AC",
        b"grant_type=client_credentials&authorization_details=[{%22type%22:%22%5C%5C%5C%22%E2%82%AC%22}]",
    ],
)
def test_a_description_keeps_to_its_characters_whatever_it_quotes(site: Any, form: bytes) -> None:
    answer = site.post("/token", auth=site.agent(), content=form, headers=FORM)
    assert answer.status_code == 400
    assert DESCRIPTION.fullmatch(answer.json()["error_description"])
    assert "x-injected" not in answer.headers


def test_a_description_in_a_challenge_keeps_to_its_characters_too(site: Any) -> None:
    answer = site.get("/admin/agents", headers={"Authorization": 'Bearer a"b\\c'})
    challenge = answer.headers["www-authenticate"]
    assert re.fullmatch(
        r'Bearer realm="[^"\\]+", error="invalid_token", error_description="[^"\\]+"', challenge
    )


def test_what_is_no_place_of_the_server_is_answered_in_json(site: Any) -> None:
    nowhere = site.get("/nowhere")
    assert (nowhere.status_code, nowhere.json()["error"]) == (404, "invalid_request")
    assert DESCRIPTION.fullmatch(nowhere.json()["error_description"])
