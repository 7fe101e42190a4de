"""RFC 7592: a client reads, updates and deletes its own registration."""

from typing import Any

import pytest

SECRETS = {"client_secret", "registration_token"}


def bearer(registration: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {registration['registration_access_token']}"}


@pytest.fixture
def made(site: Any) -> dict[str, Any]:
    """A confirmed registration."""
    registration: dict[str, Any] = site.register(description="before")
    site.confirm(registration)
    return registration


def put(site: Any, made: dict[str, Any], **metadata: Any) -> Any:
    return site.http.put(
        made["registration_client_uri"],
        headers=bearer(made),
        json={"client_id": made["client_id"], **metadata},
    )


def test_a_registration_says_where_it_is_managed_and_with_what(site: Any, made: dict[str, Any]) -> None:
    assert made["registration_client_uri"] == f"{site.issuer}/register/{made['client_id']}"
    assert made["registration_access_token"]


def test_a_client_reads_what_is_registered(site: Any, made: dict[str, Any]) -> None:
    answer = site.http.get(made["registration_client_uri"], headers=bearer(made))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    same = made.keys() - {*SECRETS, "status", "registration_expires_at", "client_secret_expires_at"}
    assert {name: told[name] for name in same} == {name: made[name] for name in same}
    assert told["status"] == "active"
    # What is stored is a digest: the secret was told once.
    assert not SECRETS & told.keys()


def test_the_administrator_reads_it_without_the_client_s_token(site: Any, made: dict[str, Any]) -> None:
    told = site.http.get(made["registration_client_uri"], headers=site.as_admin).json()
    assert told["client_id"] == made["client_id"]
    assert "registration_access_token" not in told


def test_an_update_replaces_and_answers_what_stands(site: Any, made: dict[str, Any]) -> None:
    answer = put(site, made, client_name="renamed", allowed_tools=["file_read"])
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    told = answer.json()
    assert (told["client_name"], told["allowed_tools"]) == ("renamed", ["file_read"])
    assert told["registration_access_token"] == made["registration_access_token"]
    # What a request leaves out, a server may leave as it is.
    assert told["description"] == "before"
    assert site.http.get(made["registration_client_uri"], headers=bearer(made)).json() == told


def test_an_update_must_name_the_client(site: Any, made: dict[str, Any]) -> None:
    for body in ({"client_name": "x"}, {"client_name": "x", "client_id": site.register()["client_id"]}):
        answer = site.http.put(made["registration_client_uri"], headers=bearer(made), json=body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize(
    "member",
    [
        "registration_access_token",
        "registration_client_uri",
        "client_secret_expires_at",
        "client_id_issued_at",
    ],
)
def test_an_update_must_not_hold_what_the_server_alone_decides(
    site: Any, made: dict[str, Any], member: str
) -> None:
    answer = put(site, made, client_name="renamed", **{member: made[member]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert member in answer.json()["error_description"]


def test_a_secret_in_an_update_must_be_the_present_one(site: Any, made: dict[str, Any]) -> None:
    assert put(site, made, client_name="renamed", client_secret=made["client_secret"]).status_code == 200
    answer = put(site, made, client_name="again", client_secret="one of my own choice")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert (
        site.http.get(made["registration_client_uri"], headers=bearer(made)).json()["client_name"]
        == "renamed"
    )
    grant = {"grant_type": "client_credentials", "scope": "file_read:github"}
    assert site.ask((made["client_id"], made["client_secret"]), **grant).status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        {"allowed_tools": ["file_read", "db_drop"]},
        {"resource_access": ["everything"]},
        {"max_scope_level": "admin"},
        {"scope": "email.send"},
    ],
)
def test_a_client_cannot_give_itself_more(site: Any, made: dict[str, Any], more: dict[str, Any]) -> None:
    answer = put(site, made, **more)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    granted = site.http.put(
        made["registration_client_uri"], headers=site.as_admin, json={"client_id": made["client_id"], **more}
    )
    assert granted.status_code == 200


def test_a_deleted_client_is_gone_with_all_it_was_given(site: Any, made: dict[str, Any]) -> None:
    client = (made["client_id"], made["client_secret"])
    grant = site.ask(client, grant_type="client_credentials", scope="file_read:github").json()
    child = site.child(site.agent(), grant)
    answer = site.http.delete(made["registration_client_uri"], headers=bearer(made))
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    for token in (grant["access_token"], grant["refresh_token"], child["access_token"]):
        assert not site.is_active(token)
    refused = site.ask(client, grant_type="client_credentials", scope="file_read:github")
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")
    again = site.http.get(made["registration_client_uri"], headers=bearer(made))
    assert (again.status_code, again.json()["error"]) == (401, "invalid_token")


def test_nobody_else_s_token_opens_it(site: Any, made: dict[str, Any]) -> None:
    for headers in ({}, bearer(site.register()), {"Authorization": "Bearer rat_1_x"}):
        for method in ("GET", "PUT", "DELETE"):
            body = {"client_id": made["client_id"], "client_name": "stolen"} if method == "PUT" else None
            answer = site.http.request(method, made["registration_client_uri"], headers=headers, json=body)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert (
        site.http.get(made["registration_client_uri"], headers=bearer(made)).json()["description"] == "before"
    )


def test_a_client_that_is_unknown_looks_like_one_that_is_not_yours(site: Any, made: dict[str, Any]) -> None:
    unknown = site.http.get("/register/agent_1", headers=bearer(made))
    foreign = site.http.get(f"/register/{site.register()['client_id']}", headers=bearer(made))
    assert (unknown.status_code, unknown.content) == (foreign.status_code, foreign.content)


def test_the_secret_can_be_rotated_and_the_old_one_ends(site: Any, made: dict[str, Any]) -> None:
    answer = site.post(f"/register/{made['client_id']}/secret", headers=bearer(made))
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    fresh = answer.json()
    assert fresh["client_secret_expires_at"] == 0
    grant = {"grant_type": "client_credentials", "scope": "file_read:github"}
    assert site.ask((made["client_id"], made["client_secret"]), **grant).status_code == 401
    assert site.ask((made["client_id"], fresh["client_secret"]), **grant).status_code == 200


def test_other_methods_are_told_which_ones_there_are(site: Any, made: dict[str, Any]) -> None:
    answer = site.http.patch(made["registration_client_uri"], headers=bearer(made))
    assert answer.status_code == 405
    assert {"GET", "PUT", "DELETE"} <= set(answer.headers["allow"].split(", "))
