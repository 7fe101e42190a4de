"""The keys that a client registers: public, few, and of kinds that can be checked."""

from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from agentsim.server import SigningKey
from agentsim.server.clientkeys import LONGEST_JWKS, LONGEST_KID, MOST_KEYS, check_jwks, parse_jwks
from agentsim.server.keys import ALGORITHMS, PRIVATE_MEMBERS


def jwks(*keys: Any) -> str:
    return orjson.dumps({"keys": keys}).decode()


def public(**change: Any) -> dict[str, Any]:
    return SigningKey.generate().public_jwk() | change


def test_each_kind_of_key_can_be_registered() -> None:
    keys = [SigningKey.generate(alg).public_jwk() for alg in ALGORITHMS]
    assert orjson.loads(check_jwks(jwks(*keys))) == {"keys": keys}


def test_the_canonical_text_keeps_what_makes_the_keys_and_nothing_else() -> None:
    key = public()
    bare = {name: key[name] for name in ("kty", "crv", "x")}
    noisy = bare | {"x5c": ["MII"], "key_ops": ["verify"], "note": "from HR", "kid": "2024", "alg": "Ed25519"}
    text = check_jwks(orjson.dumps({"note": "x", "keys": [noisy]}, option=orjson.OPT_INDENT_2).decode())
    assert orjson.loads(text) == {"keys": [key | {"kid": "2024"}]}
    assert check_jwks(text) == text
    # A key without a name goes by its thumbprint.
    assert orjson.loads(check_jwks(jwks(bare))) == {"keys": [key]}


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_private_keys_are_refused_and_not_repeated(alg: Any) -> None:
    key = SigningKey.generate(alg).private_jwk()
    for member in PRIVATE_MEMBERS & key.keys():
        with pytest.raises(ValueError, match=r"keys\[1\]: holds a private or shared secret") as caught:
            check_jwks(jwks(public(), SigningKey.generate(alg).public_jwk() | {member: key[member]}))
        assert str(key[member]) not in str(caught.value)


def small_rsa_key() -> dict[str, Any]:
    return RSAAlgorithm.to_jwk(rsa.generate_private_key(65_537, 1024).public_key(), as_dict=True)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON"),
        ("nonsense", "no JSON"),
        ('{"keys": NaN}', "no JSON"),
        ("[]", "1 to 10 keys"),
        ('{"keys": "x"}', "1 to 10 keys"),
        (jwks(), "1 to 10 keys"),
        (jwks(*[public() for _ in range(MOST_KEYS + 1)]), "1 to 10 keys"),
        ("[" * 5_000, "no JSON"),
        (jwks(public(note="x" * LONGEST_JWKS)), "longer than"),
        (jwks(5), r"keys\[0\]: no object"),
        (jwks({"kty": "oct", "k": "c2VjcmV0"}), "secret"),
        (jwks({"kty": "oct"}), "OKP"),
        (jwks({}), "OKP"),
        (jwks(small_rsa_key()), "1024"),
        (jwks(public(use="enc")), "not for signatures"),
        (jwks(public(key_ops=["sign"])), "not for signatures"),
        (jwks(public(key_ops="verify")), "not for signatures"),
        (jwks(public(key_ops=5)), "not for signatures"),
        (jwks(public(alg="HS256")), "for EdDSA"),
        (jwks(public(kid=5)), "kid must be"),
        (jwks(public(kid="")), "kid must be"),
        (jwks(public(kid=None)), "kid must be"),
        (jwks(public(kid="k" * (LONGEST_KID + 1))), "kid must be"),
        (jwks(public(kid="a"), public(kid="a")), "same kid"),
    ],
)
def test_what_cannot_be_registered_is_told_in_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        check_jwks(text)


def test_a_key_may_not_bear_anothers_thumbprint() -> None:
    nameless = public()
    thumbprint = nameless.pop("kid")
    with pytest.raises(ValueError, match="same kid"):
        check_jwks(jwks(nameless, public(kid=thumbprint)))


def test_as_many_keys_as_allowed_can_be_registered_however_long() -> None:
    keys = [SigningKey.generate("RS256").public_jwk() for _ in range(2)] + [public() for _ in range(8)]
    assert len(parse_jwks(check_jwks(jwks(*keys)))) == MOST_KEYS
