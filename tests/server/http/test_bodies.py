"""Bodies that nobody should send: each is refused in words, and none disturbs the server."""

from typing import Any

import pytest

from agentsim.experiments.soak.hostile.requests import UNREADABLE_FORMS, UNREADABLE_JSON
from agentsim.server import SigningKey
from agentsim.server.http.bodies import LONGEST_FORM, LONGEST_JSON

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
GRANT = b"grant_type=client_credentials&scope=file_read:github"
PROFILE = {"client_name": "x", "allowed_tools": ["file_read"], "resource_access": ["github"]}
FORMS = ("/token", "/introspect", "/revoke")
BODIES = ("/verify", "/token/batch", "/register", "/register/confirm", "/admin/revocations", "/admin/keys")


def check_refusal(site: Any, answer: Any) -> dict[str, Any]:
    assert answer.status_code == 400, answer.text
    refused = dict(answer.json())
    assert refused["error"] in ("invalid_request", "invalid_client_metadata")
    assert refused["error_description"]
    assert "Traceback" not in answer.text
    assert site.get("/healthz").status_code == 200
    return refused


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencodedx",
        "",
    ],
)
def test_a_form_of_another_content_type(site: Any, path: str, kind: str) -> None:
    answer = site.post(path, auth=site.agent(), content=GRANT, headers={"Content-Type": kind})
    assert check_refusal(site, answer)["reason"] == "unsupported_content_type"


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/json", ""])
def test_json_of_another_content_type(site: Any, path: str, kind: str) -> None:
    answer = site.post(path, content=b"{}", headers={**site.as_admin, "Content-Type": kind})
    assert check_refusal(site, answer)["reason"] == "unsupported_content_type"


def test_a_charset_beside_the_content_type_is_no_fault(site: Any) -> None:
    kind = {"Content-Type": "Application/X-WWW-Form-URLencoded; charset=UTF-8"}
    assert site.post("/token", auth=site.agent(), content=GRANT, headers=kind).status_code == 200


def test_a_form_that_is_too_long(site: Any) -> None:
    filled = GRANT + b"&x=" + b"x" * LONGEST_FORM
    answer = site.post("/token", auth=site.agent(), content=filled[: LONGEST_FORM + 1], headers=FORM)
    assert check_refusal(site, answer)["reason"] == "body_too_long"
    assert (
        site.post("/token", auth=site.agent(), content=filled[:LONGEST_FORM], headers=FORM).status_code == 200
    )


def test_json_that_is_too_long(site: Any) -> None:
    for path in ("/verify", "/register"):
        content = b'{"token": "' + b"x" * LONGEST_JSON
        answer = site.post(path, content=content[: LONGEST_JSON + 1], headers={**site.as_admin, **JSON})
        assert check_refusal(site, answer)["reason"] == "body_too_long"


@pytest.mark.parametrize("content", UNREADABLE_FORMS)
def test_a_form_that_cannot_be_read(site: Any, content: bytes) -> None:
    answer = site.post("/token", auth=site.agent(), content=content, headers=FORM)
    assert check_refusal(site, answer)["reason"] == "malformed_body"


@pytest.mark.parametrize("content", UNREADABLE_JSON)
@pytest.mark.parametrize("path", ["/verify", "/register", "/admin/revocations"])
def test_json_that_cannot_be_read(site: Any, path: str, content: bytes) -> None:
    check_refusal(site, site.post(path, content=content, headers={**site.as_admin, **JSON}))


@pytest.mark.parametrize(
    "name", ["task_id", "task_description", "scope", "scope_level", "may_act", "parent_token"]
)
@pytest.mark.parametrize("value", ["a\0b", "\0", "x" * 5_000, "\x1b[2J", "a\nb"])
def test_parameters_that_no_database_or_terminal_should_see(site: Any, name: str, value: str) -> None:
    form = {"grant_type": "client_credentials", "scope": "file_read:github", name: value}
    answer = site.post("/token", auth=site.agent(), data=form)
    assert answer.status_code == 400, answer.text
    assert len(answer.content) < 1_000
    assert site.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"token": "a\0b"},
        {"token": 7},
        {"token": None},
        {"token": {"deep": [[[]]]}},
        {"token": "x", "required_tools": [7]},
        {"token": "x", "include_history": "yes"},
        {"token": "x", "requests": [{"task_id": "no token"}]},
        {"requests": []},
        {"requests": "x"},
        {"requests": [{"token": "x"}, 7]},
    ],
)
def test_verifications_of_another_form(site: Any, body: dict[str, Any]) -> None:
    answer = site.post("/verify", headers=site.as_admin, json=body)
    assert answer.status_code == 400 or "error" in answer.json()
    assert answer.status_code < 500
    assert "is_valid" not in answer.json() or answer.json()["is_valid"] is False


def test_all_faults_of_a_body_are_told_at_once_each_with_its_path(site: Any) -> None:
    bad = {"allowed_tools": 7, "resource_access": [1], "redirect_uris": "x"}
    refused = check_refusal(site, site.post("/register", headers=site.as_admin, json=bad))
    for path in ("allowed_tools", "resource_access.0", "redirect_uris"):
        assert path in refused["error_description"]


def test_a_thousand_and_one_together_are_too_many(site: Any) -> None:
    for path, item, more in (("/token/batch", {}, {"owner": "admin"}), ("/verify", {"token": "x"}, {})):
        answer = site.post(path, headers=site.as_admin, json={"requests": [item] * 1_001, **more})
        assert "1000" in check_refusal(site, answer)["error_description"]
        assert (
            site.post(path, headers=site.as_admin, json={"requests": [item] * 1_000, **more}).status_code
            == 200
        )


def nested(levels: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for _ in range(levels):
        body = {"a": body}
    return body


@pytest.mark.parametrize("levels", [10, 200, 300, 900])
def test_members_nested_deeper_than_anybody_means(site: Any, levels: int) -> None:
    keys = {"keys": [SigningKey.generate().public_jwk() | {"x5c": nested(levels)}]}
    for body in ({"jwks": keys}, {"jwks": nested(levels)}, {"unheard_of": nested(levels)}):
        answer = site.post("/register", headers=site.as_admin, json={**PROFILE, **body})
        assert answer.status_code in (201, 400), answer.text
    batch = {
        "owner": "admin",
        "requests": [{"scope": nested(levels), "authorization_details": [nested(levels)]}],
    }
    assert site.post("/token/batch", json=batch).status_code in (200, 400)


@pytest.mark.parametrize("value", [2**63, 2**64, -1, 1e400, 10**400])
def test_numbers_where_text_is_meant(site: Any, value: Any) -> None:
    text = b'{"task_id": %s}' % str(value).replace("inf", "1e999").encode()
    check_refusal(site, site.post("/admin/revocations", content=text, headers={**site.as_admin, **JSON}))


@pytest.mark.parametrize(
    "query", ["event_type=%00", "client_id=%00", "status=%FF", "before=%00", "grant_id=9" + "9" * 30]
)
def test_queries_that_no_database_should_see(site: Any, query: str) -> None:
    answer = site.get(f"/admin/audit?{query}", headers=site.as_admin)
    assert answer.status_code in (200, 400)
    if "%00" in query:
        check_refusal(site, answer)


@pytest.mark.parametrize(
    "path", ["/register/%00", "/register/%FF", "/admin/grants/%00/tree", "/admin/grants/x/tree"]
)
def test_paths_that_name_nothing(site: Any, path: str) -> None:
    assert site.get(path, headers=site.as_admin).status_code in (400, 403)
