"""RFC 7523: an agent authenticates itself with a key of its own, everywhere that clients authenticate."""

from typing import Any

import jwt
import pytest

from agentsim.server import SigningKey
from agentsim.server.keys import ALGORITHMS, Algorithm

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}
KEYS = {alg: SigningKey.generate(alg) for alg in ALGORITHMS}


class Signer:
    """An agent that signs for itself."""

    def __init__(self, site: Any, alg: Algorithm = "EdDSA", **metadata: Any) -> None:
        self.site = site
        self.key = KEYS[alg]
        self.client_id = site.agent(
            token_endpoint_auth_method="private_key_jwt",
            jwks={"keys": [self.key.public_jwk()]},
            **metadata,
        ).client_id
        self.count = 0

    def sign(self, key: SigningKey | None = None, **claims: Any) -> dict[str, str]:
        """The parameters that authenticate it."""
        self.count += 1
        says = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.site.issuer,
            "exp": self.site.clock.now() // 1_000_000 + 60,
            "jti": f"{self.client_id} {self.count}",
        }
        key = key or self.key
        payload = {name: value for name, value in (says | claims).items() if value is not None}
        assertion = jwt.encode(payload, key.private, key.alg, {"kid": key.kid})
        return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}

    def ask(self, **claims: Any) -> Any:
        return self.site.ask(None, **GRANT, **self.sign(**claims))


@pytest.fixture
def signer(site: Any) -> Signer:
    return Signer(site)


def check_refusal(answer: Any) -> None:
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), answer.text


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_it_works_at_each_endpoint_and_with_each_algorithm_of_the_metadata(site: Any, alg: Algorithm) -> None:
    signer = Signer(site, alg)
    token = signer.ask().json()["access_token"]
    introspected = site.post("/introspect", data={"token": token, **signer.sign()})
    assert introspected.json()["active"] is True
    assert site.post("/verify", json={"token": token, **signer.sign()}).json()["is_valid"] is True
    assert site.post("/revoke", data={"token": token, **signer.sign()}).json()["revoked"] is True


def test_the_token_endpoint_is_an_audience_too(signer: Signer) -> None:
    assert signer.ask(aud=f"{signer.site.issuer}/token").status_code == 200
    assert signer.ask(aud=[signer.site.issuer]).status_code == 200


def test_the_client_id_beside_it_must_be_the_same(signer: Signer) -> None:
    site = signer.site
    assert site.ask(None, **GRANT, **signer.sign(), client_id=signer.client_id).status_code == 200
    check_refusal(site.ask(None, **GRANT, **signer.sign(), client_id=Signer(site).client_id))


def test_an_assertion_is_used_once(signer: Signer) -> None:
    assertion = signer.sign()
    assert signer.site.ask(None, **GRANT, **assertion).status_code == 200
    check_refusal(signer.site.ask(None, **GRANT, **assertion))
    check_refusal(signer.site.post("/introspect", data={"token": "x", **assertion}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": None},
        {"iss": "agent_1"},
        {"sub": "agent_1"},
        {"exp": None},
        {"exp": 1},
        {"jti": None},
        {"nbf": 1 << 40},
    ],
)
def test_claims_that_do_not_hold_are_refused(signer: Signer, wrong: dict[str, Any]) -> None:
    check_refusal(signer.ask(**wrong))


def test_an_assertion_expires_by_the_server_s_clock(make_site: Any) -> None:
    signer = Signer(make_site())
    assertion = signer.sign()
    signer.site.clock.advance(60_000_000)
    check_refusal(signer.site.ask(None, **GRANT, **assertion))


def test_another_key_is_refused(signer: Signer) -> None:
    check_refusal(signer.ask(key=SigningKey.generate()))


def test_an_assertion_of_another_type_is_refused(signer: Signer) -> None:
    form = signer.sign() | {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    }
    check_refusal(signer.site.ask(None, **GRANT, **form))
    del form["client_assertion_type"]
    check_refusal(signer.site.ask(None, **GRANT, **form))


def test_an_agent_with_a_secret_cannot_sign_and_one_with_a_key_has_no_secret(signer: Signer) -> None:
    site = signer.site
    agent = site.agent(jwks={"keys": [signer.key.public_jwk()]})
    check_refusal(signer.ask(iss=agent.client_id, sub=agent.client_id))
    check_refusal(site.ask((signer.client_id, ""), **GRANT))


def test_in_a_batch_each_request_signs_for_itself(site: Any) -> None:
    signers = [Signer(site, owner="acme") for _ in range(2)]
    replayed = signers[0].sign()
    requests = [{**GRANT, **each} for each in (replayed, signers[1].sign(), replayed)]
    answers = site.post("/token/batch", json={"owner": "acme", "requests": requests}).json()["responses"]
    assert [each.get("error") for each in answers] == [None, None, "invalid_client"]


def test_one_assertion_is_not_taken_for_many_questions(signer: Signer) -> None:
    site, token = signer.site, signer.ask().json()["access_token"]
    answer = site.post("/verify", json={"requests": [{"token": token}] * 2, **signer.sign()})
    assert (answer.status_code, answer.json()["reason"]) == (400, "assertion_with_batch")
