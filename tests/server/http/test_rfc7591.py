"""RFC 7591: registration."""

from typing import Any

import pytest

from agentsim.server import SigningKey

PROFILE = {"client_name": "reviewer", "allowed_tools": ["file_read"], "resource_access": ["github"]}


def register(site: Any, **metadata: Any) -> Any:
    return site.post("/register", headers=site.as_admin, json=PROFILE | metadata)


def test_a_registration_is_created_and_not_to_be_stored(site: Any) -> None:
    answer = register(site)
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    made = answer.json()
    assert made["client_id"].startswith("agent_")
    assert len(made["client_secret"]) == 43
    assert made["client_secret_expires_at"] == 0
    assert made["client_id_issued_at"] == site.clock.now() // 1_000_000


def test_all_that_is_registered_is_echoed(site: Any) -> None:
    jwks = {"keys": [SigningKey.generate().public_jwk()]}
    metadata = {
        "client_name": "reviewer",
        "description": "reads what was written",
        "allowed_tools": ["db_query", "file_read"],
        "resource_access": ["github", "jira"],
        "max_scope_level": "standard",
        "scope": "email.read",
        "role": "reviewer",
        "owner": "acme",
        "actor_class": "agent",
        "grant_types": ["client_credentials", "refresh_token"],
        "redirect_uris": ["https://client.example/back"],
        "token_endpoint_auth_method": "client_secret_post",
        "jwks": jwks,
    }
    made = register(site, **metadata).json()
    assert {name: made[name] for name in metadata} == metadata
    assert made["agent_name"] == "reviewer"
    assert made["allowed_scopes"] == [
        "db_query:github",
        "db_query:jira",
        "email.read",
        "file_read:github",
        "file_read:jira",
    ]


def test_defaults_are_echoed_too(site: Any) -> None:
    made = register(site).json()
    assert made["token_endpoint_auth_method"] == "client_secret_basic"
    assert made["grant_types"] == [
        "client_credentials",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ]
    assert (made["owner"], made["redirect_uris"], made["scope"]) == ("admin", [], "")


def test_an_agent_with_a_key_of_its_own_has_no_secret_to_expire(site: Any) -> None:
    jwks = {"keys": [SigningKey.generate().public_jwk()]}
    made = register(site, token_endpoint_auth_method="private_key_jwt", jwks=jwks).json()
    assert not {"client_secret", "client_secret_expires_at"} & made.keys()
    assert made["jwks"] == jwks


def test_metadata_that_nobody_understands_is_ignored(site: Any) -> None:
    answer = register(site, tos_uri="https://client.example/terms", **{"client_name#de": "Prüfer"})
    assert answer.status_code == 201
    assert "tos_uri" not in answer.json()


def test_a_client_chooses_neither_its_id_nor_its_secret(site: Any) -> None:
    made = register(site, client_id="agent_7", client_secret="mine", registration_access_token="mine").json()
    assert made["client_id"] != "agent_7"
    assert "mine" not in (made["client_secret"], made["registration_access_token"])


@pytest.mark.parametrize(
    "bad",
    [
        {"grant_types": ["password"]},
        {"token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"max_scope_level": "godlike"},
        {"allowed_tools": ["a tool"]},
        {"allowed_tools": 7},
        {"scope": 'a"b'},
        {"client_name": None},
        {"client_name": "one", "agent_name": "another"},
        {"jwks": {"keys": []}},
        {"jwks_uri": "https://client.example/jwks"},
        {"owner": "agent_7"},
        {"owner": ""},
        {"actor_class": "robot"},
    ],
)
def test_invalid_client_metadata(site: Any, bad: dict[str, Any]) -> None:
    answer = register(site, **bad)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "uri",
    ["relative", "http://client.example/", "https://client.example/#part", "javascript:alert(1)", "https://"],
)
def test_invalid_redirect_uri(site: Any, uri: str) -> None:
    answer = register(site, redirect_uris=[uri])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


def test_a_software_statement_is_none_or_nobody_s_whom_we_trust(site: Any) -> None:
    malformed = register(site, software_statement="nonsense")
    assert (malformed.status_code, malformed.json()["error"]) == (400, "invalid_software_statement")
    unsigned = "eyJhbGciOiJub25lIn0.e30."
    untrusted = register(site, software_statement=unsigned)
    assert (untrusted.status_code, untrusted.json()["error"]) == (400, "unapproved_software_statement")


def test_only_the_administrator_registers(site: Any) -> None:
    answer = site.post("/register", json=PROFILE)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert "client_id" not in answer.text


def test_the_body_must_be_json(site: Any) -> None:
    answer = site.post("/register", headers=site.as_admin, data={"client_name": "x"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_confirmation_activates_once(site: Any) -> None:
    made = site.register()
    assert made["status"] == "pending"
    confirmed = site.post("/register/confirm", json={"registration_token": made["registration_token"]})
    assert confirmed.json() == {"client_id": made["client_id"], "status": "active"}
    assert confirmed.headers["cache-control"] == "no-store"
    again = site.post("/register/confirm", json={"registration_token": made["registration_token"]})
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")


def test_a_registration_token_expires(make_site: Any) -> None:
    site = make_site()
    made = site.register()
    assert made["registration_expires_at"] == site.clock.now() // 1_000_000 + 3600
    site.clock.advance(3600 * 1_000_000)
    late = site.post("/register/confirm", json={"registration_token": made["registration_token"]})
    assert (late.status_code, late.json()["reason"]) == (400, "registration_token_expired")
