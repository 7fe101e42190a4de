"""RFC 9449: tokens bound to a key of the client's (DPoP) are not offered, and nobody is left to believe that they are."""

from typing import Any

GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}
PROOF = {"DPoP": "eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.e30"}


def test_it_is_not_advertised(site: Any) -> None:
    metadata = site.http.get(f"{site.origin}/.well-known/oauth-authorization-server").json()
    assert not [name for name in metadata if "dpop" in name]


def test_a_proof_is_ignored_and_the_token_says_bearer(site: Any) -> None:
    answer = site.post("/token", auth=site.agent(), data=GRANT, headers=PROOF)
    assert (answer.status_code, answer.json()["token_type"]) == (200, "Bearer")
    assert "dpop-nonce" not in answer.headers
    told = site.post(
        "/introspect", headers=site.as_admin, data={"token": answer.json()["access_token"]}
    ).json()
    assert told["token_type"] == "Bearer"
    assert "cnf" not in told


def test_the_scheme_is_refused_where_a_bearer_token_is_wanted(site: Any) -> None:
    token = site.as_admin["Authorization"].removeprefix("Bearer ")
    answer = site.get("/admin/agents", headers={"Authorization": f"DPoP {token}", **PROOF})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer ")


def test_a_registration_that_wants_it_is_told_that_it_has_not_got_it(site: Any) -> None:
    assert "dpop_bound_access_tokens" not in site.register(dpop_bound_access_tokens=True)
