"""RFC 9068: access tokens as JWTs, checked the way that a resource server does who knows nothing but the metadata."""

from typing import Any

import httpx
import jwt
import pytest

REQUIRED = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]


def check(site: Any, token: str, audience: str | None = None) -> dict[str, Any]:
    """The claims of a token, by section 4 and with PyJWT's own rules but for the clock, which is the test's."""
    metadata = httpx.get(f"{site.origin}/.well-known/oauth-authorization-server").json()
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "at+jwt"
    served = httpx.get(metadata["jwks_uri"]).json()["keys"]
    key = next(jwt.PyJWK(jwk) for jwk in served if jwk["kid"] == header["kid"])
    assert key.algorithm_name == header["alg"]
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        issuer=metadata["issuer"],
        audience=audience or site.policy.audience,
        options={"require": REQUIRED, "verify_exp": False, "verify_iat": False},
    )
    assert claims["exp"] > site.clock.now() // 1_000_000 >= claims["iat"]
    return claims


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "RS256"])
def test_a_resource_server_can_check_it_with_the_served_keys(site: Any, alg: str) -> None:
    assert site.post("/admin/keys", headers=site.as_admin, json={"alg": alg}).status_code == 201
    agent = site.agent()
    granted = site.root(agent)
    claims = check(site, granted["access_token"])
    assert claims["client_id"] == agent.client_id
    assert claims["scope"] == granted["scope"]
    assert claims["exp"] - claims["iat"] == granted["expires_in"]


def test_the_audience_is_the_resource_that_was_asked_for(make_site: Any) -> None:
    site = make_site(resources=("https://api.example",))
    token = site.root(site.agent(), resource="https://api.example")["access_token"]
    assert check(site, token, "https://api.example")["aud"] == "https://api.example"
    with pytest.raises(jwt.InvalidAudienceError):
        check(site, token)


def test_task_lineage_and_delegation_are_in_the_token_itself(site: Any) -> None:
    parent, child = site.agent(), site.agent()
    root = site.root(parent, task_id="review")
    claims = check(site, site.child(child, root, task_id="review/1")["access_token"])
    above = check(site, root["access_token"])
    assert (claims["task_id"], claims["parent_task_id"]) == ("review/1", "review")
    assert claims["act"] == {"sub": child.client_id, "act": {"sub": parent.client_id}}
    assert claims["lineage"]["tasks"] == ["review", "review/1"]
    assert claims["lineage"]["grants"][0] == above["lineage"]["grants"][0]
    assert (claims["tools"], claims["resources"], claims["level"]) == ("file_read", "github", "restricted")
    assert claims["sub"] == above["sub"]


def test_no_two_tokens_have_the_same_id(site: Any) -> None:
    agent = site.agent()
    first = site.root(agent)
    tokens = [first, site.refresh(agent, first).json(), site.root(agent), site.child(agent, first)]
    assert len({check(site, grant["access_token"])["jti"] for grant in tokens}) == len(tokens)


def test_agents_and_people_are_of_different_spaces(site: Any) -> None:
    claims = check(site, site.root(site.agent(owner="acme"))["access_token"])
    assert claims["sub"] == "acme"
    assert claims["act"]["sub"] == claims["client_id"]
    taken = {"client_name": "x", "allowed_tools": [], "resource_access": [], "owner": claims["client_id"]}
    answer = site.post("/register", headers=site.as_admin, json=taken)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")
