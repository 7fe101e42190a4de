"""Authlib's ``OAuth2Session``, which knows the server by its issuer, with each way to authenticate that it has."""

from collections.abc import Callable
from typing import Any

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

#: Keys that sign assertions, and the algorithm of each.
KEYS = {
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
    "ES256": lambda: ECKey.generate_key("P-256"),
    "RS256": lambda: RSAKey.generate_key(2048),
}
Sessions = Callable[..., OAuth2Session]
Terms = dict[str, str]


@pytest.fixture
def session(served: Any, metadata: dict[str, Any]) -> Sessions:
    """Sessions of new agents."""

    def make(method: str, alg: str = "ES256") -> OAuth2Session:
        profile: dict[str, Any] = {"token_endpoint_auth_method": method}
        key = KEYS[alg]() if method == "private_key_jwt" else None
        if key is not None:
            profile["jwks"] = {"keys": [key.as_dict(private=False)]}
        client_id, secret = served.agent(**profile)
        made = OAuth2Session(
            client_id,
            key or secret,
            token_endpoint_auth_method=method,
            revocation_endpoint_auth_method=method,
            token_endpoint=metadata["token_endpoint"],
        )
        # As its manual has it: for the token endpoint's address rather than the issuer, and for an hour.
        made.register_client_auth_method(PrivateKeyJWT(metadata["token_endpoint"], alg=alg))
        made.trust_env = False
        return made

    return make


WAYS = [
    ("client_secret_basic", ""),
    ("client_secret_post", ""),
    *(("private_key_jwt", alg) for alg in KEYS),
]


@pytest.mark.parametrize(("method", "alg"), WAYS)
def test_it_walks_from_a_first_token_to_a_revoked_tree(
    session: Sessions, metadata: dict[str, Any], child_terms: Terms, method: str, alg: str
) -> None:
    orchestrator, reviewer = session(method, alg), session(method, alg)
    root = orchestrator.fetch_token(grant_type="client_credentials", scope="file_read:github", task_id="walk")
    child = reviewer.fetch_token(subject_token=root["access_token"], **child_terms)
    assert child["parent_task_id"] == "walk"

    refreshed = reviewer.refresh_token()
    assert refreshed["refresh_token"] != child["refresh_token"]
    assert reviewer.token["access_token"] == refreshed["access_token"]

    def look() -> dict[str, Any]:
        answer = reviewer.introspect_token(
            metadata["introspection_endpoint"], token=refreshed["access_token"]
        )
        return dict(answer.json())

    seen = look()
    assert (seen["active"], seen["task_id"], seen["scope"]) == (True, "walk/1", "file_read:github/pull/7")
    ended = orchestrator.revoke_token(metadata["revocation_endpoint"], token=root["access_token"])
    assert ended.status_code == 200
    assert look() == {"active": False}
    with pytest.raises(OAuthError, match="invalid_grant"):
        reviewer.refresh_token()


def test_it_reads_a_refusal(session: Sessions) -> None:
    stranger = session("client_secret_basic")
    with pytest.raises(OAuthError, match="invalid_scope"):
        stranger.fetch_token(grant_type="client_credentials", scope="file_delete:github")
    stranger.client_secret = "not the secret"
    with pytest.raises(OAuthError, match="invalid_client"):
        stranger.fetch_token(grant_type="client_credentials", scope="file_read:github")


def test_a_token_is_verified_with_the_keys_that_metadata_name(
    session: Sessions, metadata: dict[str, Any], served: Any
) -> None:
    token = session("client_secret_basic").fetch_token(
        grant_type="client_credentials", scope="file_read:github"
    )
    keys = KeySet.import_key_set(served.http.get(metadata["jwks_uri"]).json())
    # Tokens name the algorithm as everybody knows it; RFC 9864 would have it called Ed25519.
    with pytest.warns(SecurityWarning, match="9864"):
        read = jwt.decode(token["access_token"], keys, algorithms=["EdDSA"])
    assert read.header["typ"] == "at+jwt"
    assert read.claims["iss"] == metadata["issuer"]


def test_its_reading_of_rfc_8414_finds_no_fault_in_the_metadata(serve: Any) -> None:
    # It wants https throughout, which is what a proxy in front would give the issuer.
    site = serve("--issuer", "https://auth.example/agents")
    found = site.get("/.well-known/oauth-authorization-server/agents").json()
    assert found["issuer"] == "https://auth.example/agents"
    AuthorizationServerMetadata(found).validate()
