"""Client metadata: what may be registered of an agent, and what is refused in words."""

import json
from typing import Any

import pytest

from agentsim.server import Admin, Register, Registration
from agentsim.server.clientkeys import LONGEST_JWKS
from agentsim.server.metadata import GRANT_TYPES, MOST_REDIRECT_URIS
from agentsim.server.schema import Agent

PROFILE: dict[str, Any] = {"agent_name": "a", "allowed_tools": ["file_read"], "resource_access": ["github"]}


def register(world: Any, by: Admin | None = None, **terms: Any) -> Registration:
    registration: Registration = world.ask(Register(by=by or world.admin, **(PROFILE | terms)), Registration)
    return registration


def test_what_is_left_out_has_its_default(world: Any) -> None:
    profile = register(world).profile
    assert profile.grant_types == [name for name in GRANT_TYPES if name != "authorization_code"]
    # A code must have somewhere to go.
    reachable = register(world, redirect_uris=["https://app.example/back"]).profile
    assert reachable.grant_types == list(GRANT_TYPES)
    assert (profile.redirect_uris, profile.jwks, profile.scope) == ([], None, "")
    assert profile.token_endpoint_auth_method == "client_secret_basic"
    assert (profile.status, profile.owner, profile.allowed_scopes) == (
        "pending",
        "acme",
        ["file_read:github"],
    )


@pytest.mark.parametrize(
    "terms",
    [
        {"agent_name": ""},
        {"owner": ""},
        {"max_scope_level": "godlike"},
        {"actor_class": "alien"},
        {"grant_types": ["authorization_code"]},
        {"grant_types": ["client_credentials", ""]},
        {"token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"jwks": "{"},
        {"jwks": '{"keys":[]}'},
        {"jwks": '{"keys":[{"kty":"oct","k":"AAAA"}]}'},
        {"jwks": '{"keys":[]}' + " " * LONGEST_JWKS},
    ],
)
def test_metadata_that_makes_no_sense_is_refused(world: Any, terms: dict[str, Any]) -> None:
    by = Admin("acme", everywhere=True)
    refused = world.refusal(Register(by=by, **(PROFILE | terms)))
    assert (refused.error, refused.reason) == ("invalid_client_metadata", "invalid_client_metadata")
    assert world.rows(Agent) == []
    assert len(world.audit()[-1]["details"]) < 500


def test_grant_types_are_a_set(world: Any) -> None:
    named = ["refresh_token", "client_credentials", "refresh_token"]
    profile = register(world, grant_types=named).profile
    assert profile.grant_types == ["client_credentials", "refresh_token"]
    assert register(world, grant_types=[]).profile.grant_types == []


@pytest.mark.parametrize(
    "uri",
    [
        "https://agent.example/callback",
        "https://agent.example:8443/a/b?c=d&e=%20",
        "https://[2001:db8::1]/callback",
        "http://127.0.0.1:51004/callback",
        "http://[::1]/callback",
        "http://localhost/callback",
        "com.example.app:/callback",
    ],
)
def test_a_redirect_uri_that_is_kept_as_it_was_given(world: Any, uri: str) -> None:
    assert register(world, redirect_uris=[uri, uri + "2"]).profile.redirect_uris == [uri, uri + "2"]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/callback",
        "agent.example/callback",
        "//agent.example/callback",
        "https:///callback",
        "https://agent.example/callback#part",
        "https://agent.example/call back",
        "https://agent.example/\x00",
        "https://agent.example/\n",
        "https://agent.example\\@elsewhere.example/",
        "https://agent.example@elsewhere.example/",
        "https://:word@elsewhere.example/",
        "https://agent.example:port/",
        "https://agent.example:99999/",
        "https://[::1/",
        "https://b\u00fccher.example/",
        "http://agent.example/callback",
        "http://localhost.elsewhere.example/",
        "http://127.0.0.1.elsewhere.example/",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "urn:ietf:wg:oauth:2.0:oob",
        "https://agent.example/" + "x" * 1_024,
    ],
)
def test_a_redirect_uri_that_nobody_should_be_sent_to(world: Any, uri: str) -> None:
    refused = world.refusal(
        Register(by=world.admin, redirect_uris=["https://agent.example/", uri], **PROFILE)
    )
    assert refused.reason in ("invalid_redirect_uri", "invalid_request")
    assert world.rows(Agent) == []
    assert len(world.audit()[-1]["details"]) < 500


def test_only_so_many_redirect_uris(world: Any) -> None:
    uris = [f"https://agent.example/{n}" for n in range(MOST_REDIRECT_URIS + 1)]
    refused = world.refusal(Register(by=world.admin, redirect_uris=uris, **PROFILE))
    assert (refused.error, refused.reason) == ("invalid_redirect_uri", "invalid_redirect_uri")
    assert register(world, redirect_uris=uris[1:]).profile.redirect_uris == uris[1:]


def test_keys_are_kept_without_what_is_no_key(world: Any, public_jwks: str) -> None:
    keys = json.loads(public_jwks)
    keys["keys"][0]["note"] = "x" * 5_000
    registration = register(
        world, token_endpoint_auth_method="private_key_jwt", jwks=json.dumps(keys | {"more": 1})
    )
    assert registration.client_secret is None
    kept = json.loads(registration.profile.jwks or "")
    assert list(kept) == ["keys"]
    assert {key: kept["keys"][0][key] for key in ("kty", "crv", "kid")} == {
        "kty": "OKP",
        "crv": "Ed25519",
        "kid": "agent's",
    }
    assert "note" not in kept["keys"][0]


def test_an_administrator_registers_agents_of_its_own_organisation_alone(world: Any) -> None:
    """An agent may ask about its owner's tokens and work below them: whoever makes one has a way in."""
    refused = world.refusal(Register(by=Admin("globex"), owner="acme", **PROFILE))
    assert (refused.error, refused.reason) == ("access_denied", "not_entitled")
    assert world.rows(Agent) == []
    assert register(world, Admin("globex"), owner="globex").profile.owner == "globex"
    assert register(world, Admin("root", everywhere=True), owner="acme").profile.owner == "acme"
