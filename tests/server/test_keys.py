"""Keys: one algorithm each, named by their thumbprint, written and read as JWKs."""

from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from agentsim.server.keys import ALGORITHMS, PRIVATE_MEMBERS, Algorithm, SigningKey, VerifyingKey


@pytest.fixture(scope="module", params=ALGORITHMS)
def key(request: Any) -> SigningKey:
    return SigningKey.generate(request.param)


def test_thumbprints_are_those_of_the_standards() -> None:
    """RFC 7638 section 3.1 and RFC 8037 appendix A.3."""
    rsa_key = {
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiF"
        "V4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0"
        "zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csF"
        "Cur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    }
    assert VerifyingKey.from_jwk(rsa_key).kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    okp = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert VerifyingKey.from_jwk(okp).kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_public_key_tells_no_secret_and_can_be_read_back(key: SigningKey) -> None:
    jwk = key.public_jwk()
    assert not PRIVATE_MEMBERS & jwk.keys()
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (key.kid, key.alg, "sig")
    for read in (VerifyingKey.from_jwk(jwk), VerifyingKey.from_jwk(key.private_jwk()), key.public_half()):
        assert type(read) is VerifyingKey
        assert read.public_jwk() == jwk


def test_what_a_key_read_back_signs_verifies(key: SigningKey) -> None:
    again = SigningKey.from_jwk(key.private_jwk())
    token = jwt.encode({"a": 1}, again.private, again.alg)
    assert jwt.decode(token, key.public, algorithms=[key.alg]) == {"a": 1}
    assert again.private_jwk() == key.private_jwk()
    assert again.kid == key.kid
    # Any library reads the public one by itself.
    assert jwt.decode(token, jwt.PyJWK(key.public_jwk())) == {"a": 1}


def test_new_keys_are_new_and_seeded_ones_say_that_they_are_simulated() -> None:
    assert SigningKey.generate().kid != SigningKey.generate().kid
    assert not SigningKey.generate().simulated
    seeded = SigningKey.from_seed(b"a")
    assert seeded.kid == SigningKey.from_seed(b"a").kid != SigningKey.from_seed(b"b").kid
    assert seeded.simulated
    assert SigningKey.from_jwk(seeded.private_jwk()).simulated
    assert not SigningKey.from_jwk(SigningKey.generate().private_jwk()).simulated


def test_no_text_of_a_key_holds_its_secret(key: SigningKey) -> None:
    assert str(key.private_jwk()["d"]) not in repr(key) + str(key)


def foreign(kind: str) -> dict[str, Any]:
    match kind:
        case "P-384":
            return ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True)
        case "Ed448":
            return OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True)
        case "RSA 1024":
            return RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 1024).public_key(), as_dict=True)
        case "oct":
            return {"kty": "oct", "k": "c2VjcmV0"}
    raise ValueError(kind)


@pytest.mark.parametrize("kind", ["P-384", "Ed448", "RSA 1024", "oct"])
def test_keys_of_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"a key must be OKP|2048"):
        VerifyingKey.from_jwk(foreign(kind))


@pytest.mark.parametrize(
    ("alg", "change"),
    [
        ("EdDSA", {"x": "AAAA"}),
        ("EdDSA", {"x": 5}),
        ("EdDSA", {"x": None}),
        ("EdDSA", {"x": "é"}),
        ("EdDSA", {"crv": ["Ed25519"]}),
        ("EdDSA", {"kty": {}}),
        ("EdDSA", {"kty": "EC"}),
        ("EdDSA", {"alg": "ES256"}),
        ("EdDSA", {"alg": None}),
        ("EdDSA", {"alg": "none"}),
        ("EdDSA", {"alg": "HS256"}),
        ("ES256", {"y": "AAAA"}),
        ("ES256", {"x": "A" * 43, "y": "A" * 43}),
        ("ES256", {"alg": "ES384"}),
        ("RS256", {"n": "AQAB"}),
        ("RS256", {"e": "AA"}),
        ("RS256", {"alg": "PS256"}),
    ],
)
def test_an_unsound_key_is_refused_without_being_told(alg: Algorithm, change: dict[str, Any]) -> None:
    jwk = SigningKey.generate(alg).public_jwk() | change
    with pytest.raises(ValueError, match=r"key|member") as caught:
        VerifyingKey.from_jwk(jwk)
    assert not any(str(value) in str(caught.value) for name, value in jwk.items() if name in ("x", "y", "n"))


def test_a_private_half_must_be_that_of_the_public_one(key: SigningKey) -> None:
    other = SigningKey.generate(key.alg).private_jwk()
    with pytest.raises(ValueError, match="no sound key"):
        SigningKey.from_jwk({**key.private_jwk(), "d": other["d"]})
    with pytest.raises(ValueError, match="private member"):
        SigningKey.from_jwk(dict(key.public_jwk()))
    with pytest.raises(ValueError, match="no texts"):
        SigningKey.from_jwk({**key.private_jwk(), "d": 5})


def test_an_unknown_algorithm_is_refused() -> None:
    wanted: Any = "HS256"
    with pytest.raises(ValueError, match="EdDSA, ES256, RS256"):
        SigningKey.generate(wanted)


def test_ed25519_may_bear_its_new_name() -> None:
    """RFC 9864: Ed25519 for what was EdDSA."""
    key = SigningKey.generate()
    assert VerifyingKey.from_jwk(key.public_jwk() | {"alg": "Ed25519"}).public_jwk() == key.public_jwk()
