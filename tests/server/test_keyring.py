"""The key ring: who signs, who still verifies, and until when."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest

from agentsim.server import KeyFileError, KeyRing, SigningKey
from agentsim.server.clock import SECOND
from agentsim.server.keyring import Keys
from agentsim.server.keys import ALGORITHMS, PRIVATE_MEMBERS, Algorithm

NOW = 1_700_000_000 * SECOND


def kids(ring: KeyRing, now: int) -> list[str]:
    return [key["kid"] for key in ring.jwks(now)["keys"]]


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_a_rotation_makes_a_new_key_sign_and_keeps_the_old_one(alg: Algorithm) -> None:
    ring = KeyRing(SigningKey.generate())
    old = ring.keys.signing
    new = ring.rotate(alg, NOW, NOW + 300 * SECOND)
    assert ring.keys.signing is new
    assert (new.alg, ring.keys.since) == (alg, NOW)
    assert kids(ring, NOW) == kids(ring, NOW + 300 * SECOND - 1) == [new.kid, old.kid]
    assert kids(ring, NOW + 300 * SECOND) == [new.kid]


def test_the_old_keys_private_half_is_given_up() -> None:
    ring = KeyRing(SigningKey.generate())
    ring.rotate("EdDSA", NOW, NOW + SECOND)
    assert not hasattr(ring.keys.retired[0].key, "private")
    assert [PRIVATE_MEMBERS & jwk.keys() for jwk in orjson.loads(ring.keys.as_json())["keys"]] == [
        {"d"},
        set(),
    ]


def test_only_public_keys_are_served() -> None:
    ring = KeyRing(SigningKey.generate("RS256"))
    ring.rotate("ES256", NOW, NOW + SECOND)
    ring.rotate("EdDSA", NOW, NOW + SECOND)
    served = ring.jwks(NOW)["keys"]
    assert [key["alg"] for key in served] == ["EdDSA", "RS256", "ES256"]
    assert not any(PRIVATE_MEMBERS & key.keys() for key in served)


def test_several_rotations_keep_each_key_for_its_own_time() -> None:
    ring = KeyRing(SigningKey.generate())
    first = ring.keys.signing.kid
    second = ring.rotate("EdDSA", NOW, NOW + 100 * SECOND).kid
    third = ring.rotate("EdDSA", NOW + SECOND, NOW + 50 * SECOND).kid
    assert kids(ring, NOW + SECOND) == [third, first, second]
    fourth = ring.rotate("EdDSA", NOW + 60 * SECOND, NOW + 360 * SECOND).kid
    assert kids(ring, NOW + 60 * SECOND) == [fourth, first, third]
    assert [retired.key.kid for retired in ring.keys.retired] == [first, third]


def test_a_key_that_must_go_at_once_goes_at_once() -> None:
    ring = KeyRing(SigningKey.generate())
    ring.rotate("EdDSA", NOW, NOW)
    assert ring.keys.retired == ()


def test_keys_are_kept_to_the_full_second() -> None:
    """The file counts seconds; what is read back must believe the same tokens."""
    ring = KeyRing(SigningKey.generate())
    ring.rotate("EdDSA", NOW, NOW + 1)
    assert ring.keys.retired[0].keep_until == NOW + SECOND
    assert Keys.from_json(ring.keys.as_json()).retired[0].keep_until == NOW + SECOND


def test_keys_can_be_written_and_read_back() -> None:
    ring = KeyRing(SigningKey.generate("RS256"))
    ring.rotate("ES256", NOW, NOW + SECOND)
    ring.rotate("EdDSA", NOW, NOW + 2 * SECOND)
    text = ring.keys.as_json()
    again = KeyRing.from_json(text.decode())
    assert again.keys.as_json() == text
    assert again.jwks(NOW) == ring.jwks(NOW)


def test_rotations_at_the_same_time_lose_no_key() -> None:
    ring = KeyRing(SigningKey.generate())
    signed = [ring.keys.signing.kid]
    with ThreadPoolExecutor(8) as pool:
        # Making an RSA key takes long enough for all to come between.
        signed += pool.map(lambda _: ring.rotate("RS256", NOW, NOW + SECOND).kid, range(16))
    assert sorted(kids(ring, NOW)) == sorted(signed)


def test_keys_from_the_environment_are_not_rotated() -> None:
    ring = KeyRing.from_json(KeyRing(SigningKey.generate()).keys.as_json().decode())
    before = ring.keys
    with pytest.raises(KeyFileError, match="cannot be rotated"):
        ring.rotate("EdDSA", NOW, NOW + SECOND)
    assert ring.keys is before
    assert ring.reload() is False


def set_of(*changes: dict[str, Any]) -> str:
    keys = [SigningKey.generate().private_jwk() | {"iat": 5} | change for change in changes]
    return orjson.dumps({"keys": keys}).decode()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "these are not the keys"),
        ("{", "these are not the keys"),
        ("[]", 'an object with "keys"'),
        ('{"keys": {}}', 'an object with "keys"'),
        ('{"keys": [5]}', 'an object with "keys"'),
        ('{"keys": []}', "0 keys without exp"),
        (set_of({}, {}), "2 keys without exp"),
        (set_of({"exp": 9}), "0 keys without exp"),
        (set_of({"iat": None}), "iat must be whole seconds"),
        (set_of({"iat": -1}), "iat must be whole seconds"),
        (set_of({"iat": True}), "iat must be whole seconds"),
        (set_of({}, {"exp": "soon"}), "exp must be whole seconds"),
        (set_of({}, {"exp": 1 << 62}), "exp must be whole seconds"),
        (set_of({"kid": "mine"}), "thumbprint"),
        (set_of({"kid": ["mine"]}), "thumbprint"),
        (set_of({"kid": None}), "thumbprint"),
        (set_of({"x": "AAAA"}), "no sound key"),
        (set_of({"alg": "ES256"}), "for EdDSA"),
        (set_of({"d": None}), "no texts"),
    ],
)
def test_what_is_no_key_set_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(KeyFileError, match=why):
        KeyRing.from_json(text)


def test_the_same_key_twice_is_refused() -> None:
    jwk = SigningKey.generate().private_jwk() | {"iat": 5}
    with pytest.raises(KeyFileError, match="be there once"):
        KeyRing.from_json(orjson.dumps({"keys": [jwk, jwk | {"exp": 9}]}).decode())


def test_no_error_tells_a_secret() -> None:
    jwk = SigningKey.generate("RS256").private_jwk()
    for broken in ({"q": jwk["p"]}, {"n": "AQAB"}, {"kid": "x"}, {"iat": "x"}):
        with pytest.raises(KeyFileError) as caught:
            KeyRing.from_json(orjson.dumps({"keys": [jwk | {"iat": 5} | broken]}).decode())
        assert not any(str(jwk[name]) in str(caught.value) for name in PRIVATE_MEMBERS & jwk.keys())
