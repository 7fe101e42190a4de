"""RFC 7517: the key set, and keys that have been replaced."""

from typing import Any

import jwt
import pytest

ALLOWED = {
    "OKP": {"kty", "crv", "x", "kid", "use", "alg"},
    "EC": {"kty", "crv", "x", "y", "kid", "use", "alg"},
    "RSA": {"kty", "n", "e", "kid", "use", "alg"},
}


def keys(site: Any) -> list[dict[str, str]]:
    return list(site.get("/jwks").json()["keys"])


def rotate(site: Any, alg: str) -> dict[str, str]:
    answer = site.post("/admin/keys", headers=site.as_admin, json={"alg": alg})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def kid_of(token: str) -> str:
    return str(jwt.get_unverified_header(token)["kid"])


def test_the_set_has_a_media_type_of_its_own_and_its_place_in_the_metadata(site: Any) -> None:
    metadata = site.http.get(f"{site.origin}/.well-known/oauth-authorization-server").json()
    answer = site.http.get(metadata["jwks_uri"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/jwk-set+json")
    assert answer.json().keys() == {"keys"}


@pytest.mark.parametrize("alg", ["EdDSA", "ES256", "RS256"])
def test_each_key_tells_its_name_use_and_algorithm_and_nothing_private(site: Any, alg: str) -> None:
    made = rotate(site, alg)
    first = keys(site)[0]
    assert (first["kid"], first["alg"], first["use"]) == (made["kid"], alg, "sig")
    assert first.keys() == ALLOWED[first["kty"]]
    token = site.root(site.agent())["access_token"]
    assert jwt.get_unverified_header(token) == {"alg": alg, "kid": made["kid"], "typ": "at+jwt"}
    assert site.is_active(token)


def test_an_old_key_is_served_until_its_last_token_has_expired(make_site: Any) -> None:
    site = make_site()
    agent = site.agent()
    site.clock.advance(1_000_000)
    old = site.root(agent)
    rotate(site, "ES256")
    new = site.root(agent, task_id="after")
    assert kid_of(old["access_token"]) != kid_of(new["access_token"])
    site.clock.advance(299_999_999)
    assert kid_of(old["access_token"]) in [key["kid"] for key in keys(site)]
    assert site.is_active(old["access_token"])
    site.clock.advance(61_000_000)
    assert not site.is_active(old["access_token"])
    assert [key["kid"] for key in keys(site)] == [kid_of(new["access_token"])]
    # The grant outlives the key: its next token is signed by the new one.
    assert kid_of(site.refresh(agent, old).json()["access_token"]) == kid_of(new["access_token"])


def test_a_rotation_is_in_the_audit_trail_and_an_unknown_algorithm_is_refused(site: Any) -> None:
    made = rotate(site, "EdDSA")
    row = site.audit(event_type="key_rotated")[0]
    assert (row["details"]["kid"], row["details"]["alg"]) == (made["kid"], "EdDSA")
    for alg in ("none", "HS256", "RS512", ""):
        answer = site.post("/admin/keys", headers=site.as_admin, json={"alg": alg})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert keys(site)[0]["kid"] == made["kid"]
