"""Client assertions: an agent proves who it is with its own key, for this server, once, and soon."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.server import SigningKey
from agentsim.server.assertions import LEEWAY, LONGEST_ASSERTION, LONGEST_JTI, check, peek
from agentsim.server.clientkeys import check_jwks
from agentsim.server.clock import SECOND
from agentsim.server.errors import InvalidClient
from agentsim.server.keys import ALGORITHMS, Algorithm

NOW = 1_700_000_000 * SECOND
SECONDS = NOW // SECOND
SERVER = ("https://auth.example", "https://auth.example/token")
KEYS = {alg: SigningKey.generate(alg) for alg in ALGORITHMS}
CLAIMS = {"iss": "agent_7", "sub": "agent_7", "aud": SERVER[0], "exp": SECONDS + 60, "jti": "one"}


def jwks(*keys: SigningKey) -> str:
    return check_jwks(orjson.dumps({"keys": [key.public_jwk() for key in keys]}).decode())


ALL = jwks(*KEYS.values())


def made(
    change: dict[str, Any] | None = None,
    *,
    key: SigningKey = KEYS["EdDSA"],
    without: str = "",
    **header: Any,
) -> str:
    claims = {name: value for name, value in (CLAIMS | (change or {})).items() if name != without}
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key.private, key.alg, header or None)


def why_not(assertion: str, keys: str = ALL, now: int = NOW) -> str | None:
    """What is wrong with an assertion, or None where it holds."""
    try:
        check(assertion, keys, "agent_7", SERVER, now)
    except InvalidClient as exc:
        error = exc
    else:
        return None
    # RFC 6749 section 5.2 says which characters a description may have.
    assert error.description.isascii()
    assert not {'"', "\\"} & set(error.description)
    assert error.reason == "assertion_invalid"
    _, prefix, why = error.description.partition("the client assertion does not hold: ")
    assert prefix
    return why


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_an_assertion_by_each_kind_of_key_holds(alg: Algorithm) -> None:
    assertion = made(key=KEYS[alg])
    checked = check(assertion, ALL, "agent_7", SERVER, NOW)
    assert (checked.client_id, checked.expires_at_us) == ("agent_7", NOW + 60 * SECOND)
    seen = peek(assertion)
    assert seen is not None
    assert (seen.client_id, seen.jti, seen.key) == ("agent_7", "one", checked.key)


def test_an_assertion_is_remembered_by_its_client_and_its_id() -> None:
    def key(client: str, jti: str) -> bytes:
        seen = peek(made({"iss": client, "sub": client, "jti": jti}))
        assert seen is not None
        return seen.key

    assert len(key("agent_1", "x")) == 32
    # The same pair always, whatever else is said; any other pair never.
    assert key("agent_1", "x") == key("agent_1", "x")
    assert len({key("agent_1", "x"), key("agent_1", "y"), key("agent_2", "x"), key("agent_2", "y")}) == 4
    assert key("agent_1", "1x") != key("agent_11", "x")


def test_ed25519_may_be_called_by_its_new_name() -> None:
    assert why_not(made(alg="EdDSA")) is None
    first = b64(json.dumps({"alg": "Ed25519"}).encode())
    text = f"{first}.{b64(json.dumps(CLAIMS).encode())}"
    private: Any = KEYS["EdDSA"].private
    assert why_not(f"{text}.{b64(private.sign(text.encode()))}") is None


@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "client-authentication+jwt"])
def test_these_types_are_assertions(typ: str | None) -> None:
    assert why_not(made(typ=typ)) is None


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", 5, ["JWT"]])
def test_a_token_of_another_kind_is_no_assertion(typ: Any) -> None:
    assert why_not(made(typ=typ)) == "typ is that of another kind of token"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"iss": "agent_8"}, "iss and sub"),
        ({"sub": "agent_8"}, "iss and sub"),
        ({"iss": "agent_8", "sub": "agent_8"}, "iss and sub"),
        ({"iss": ["agent_7"]}, "iss and sub"),
        ({"aud": "https://evil.example"}, "aud"),
        ({"aud": SERVER[0] + "/"}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": [["https://auth.example"]]}, "aud"),
        ({"aud": {"https://auth.example": 1}}, "aud"),
        ({"aud": None}, "aud"),
        ({"exp": SECONDS}, "expired"),
        ({"exp": SECONDS - 3600}, "expired"),
        ({"exp": SECONDS + 3661}, "ahead"),
        ({"exp": 1e11}, "ahead"),
        ({"exp": "soon"}, "exp is no date"),
        ({"exp": True}, "exp is no date"),
        ({"exp": -5}, "exp is no date"),
        ({"exp": 10**30}, "exp is no date"),
        ({"exp": None}, "exp is missing"),
        ({"nbf": SECONDS + 59, "exp": SECONDS + 30}, "nbf is in the future"),
        ({"nbf": SECONDS + 61, "exp": SECONDS + 300}, "nbf is in the future"),
        ({"iat": SECONDS + 61, "exp": SECONDS + 300}, "iat is in the future"),
        ({"iat": []}, "iat is no date"),
        ({"jti": ""}, "jti"),
        ({"jti": 5}, "jti"),
        ({"jti": "j" * (LONGEST_JTI + 1)}, "jti"),
    ],
)
def test_what_an_assertion_must_not_say(change: dict[str, Any], why: str) -> None:
    assert why in (why_not(made(change)) or "nothing is wrong")


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_is_required(name: str) -> None:
    assert why_not(made(without=name)) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"aud": SERVER[1]},
        {"aud": ["https://other.example", SERVER[1]]},
        {"exp": SECONDS + 3660},
        {"exp": SECONDS + 0.5},
        {"nbf": SECONDS, "iat": SECONDS - 30},
        {"nbf": SECONDS + LEEWAY // SECOND, "exp": SECONDS + 300},
        {"jti": "j" * LONGEST_JTI},
        {"jti": "é"},
        {"more": {"deep": [1]}},
    ],
)
def test_what_an_assertion_may_say(change: dict[str, Any]) -> None:
    assert why_not(made(change)) is None


def test_it_holds_to_the_last_microsecond_and_no_longer() -> None:
    assertion = made()
    assert why_not(assertion, now=NOW + 60 * SECOND - 1) is None
    assert why_not(assertion, now=NOW + 60 * SECOND) == "it has expired"


def test_another_key_of_the_same_kind_signs_for_nobody() -> None:
    for alg in ALGORITHMS:
        stranger = SigningKey.generate(alg)
        assert why_not(made(key=stranger)) == "the signature does not verify"
        assert why_not(made(key=stranger, kid=stranger.kid)) == "no registered key has this kid and alg"
        assert why_not(made(key=stranger, kid=KEYS[alg].kid)) == "the signature does not verify"


def test_a_key_is_found_by_its_name_or_by_being_the_only_one() -> None:
    first, second = SigningKey.generate(), SigningKey.generate()
    both = jwks(first, second)
    assert why_not(made(key=second, kid=second.kid), both) is None
    assert why_not(made(key=second), both) == "several registered keys have this alg: name one with kid"
    assert why_not(made(key=second), jwks(second, KEYS["RS256"])) is None
    assert why_not(made(key=second, kid=KEYS["RS256"].kid), ALL) == "no registered key has this kid and alg"
    assert why_not(made(), jwks(KEYS["ES256"])) == "no registered key has this kid and alg"


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "HS256", "RS512", "PS256", "ES384", "", None, 5, ["EdDSA"]]
)
def test_no_other_algorithm_is_taken(algorithm: Any) -> None:
    _, payload, signature = made().split(".")
    for tail in (signature, ""):
        forged = f"{b64(json.dumps({'alg': algorithm}).encode())}.{payload}.{tail}"
        assert why_not(forged) in ("alg must be EdDSA, ES256 or RS256", "it is not a signed JWT")


def test_the_registered_public_key_is_no_shared_secret() -> None:
    text = f"{b64(json.dumps({'alg': 'HS256'}).encode())}.{b64(json.dumps(CLAIMS).encode())}"
    for secret in (ALL, json.dumps(KEYS["EdDSA"].public_jwk()), KEYS["EdDSA"].public_jwk()["x"]):
        mac = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
        assert why_not(f"{text}.{b64(mac)}") == "alg must be EdDSA, ES256 or RS256"


@pytest.mark.parametrize(
    "header", [{"crit": ["exp"], "exp": 5}, {"crit": []}, {"crit": ["b64"], "b64": True}]
)
def test_critical_extensions_are_refused(header: dict[str, Any]) -> None:
    first = b64(json.dumps({"alg": "EdDSA"} | header).encode())
    text = f"{first}.{b64(json.dumps(CLAIMS).encode())}"
    private: Any = KEYS["EdDSA"].private
    assert why_not(f"{text}.{b64(private.sign(text.encode()))}") in (
        "it is not a signed JWT",
        "its header asks for extensions that are not understood",
    )


def test_a_key_in_the_header_is_not_taken() -> None:
    stranger = SigningKey.generate()
    for extra in ({"jwk": stranger.public_jwk()}, {"jku": "https://evil.example/keys"}):
        assert why_not(made(key=stranger, **extra)) == "the signature does not verify"


@pytest.mark.parametrize(
    "presented",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "\x00",
        "\u0660.\u0660.\u0660",
        "\ud800",
        made()[:-4],
        made()[: len(made()) // 2],
        made() + "=",
        made() + ".x",
        made({"note": "x" * LONGEST_ASSERTION}),
        b64(b"[" * 4_000) + ".e30.AAAA",
        b64(b'{"alg":"EdDSA","kid":5}') + ".e30.AAAA",
    ],
)
def test_garbage_is_refused(presented: str) -> None:
    assert why_not(presented) is not None


@pytest.mark.parametrize("payload", [b"", b"[]", b"5", b"null", b"{", b"\xff", b'{"a":' * 1_000, b"NaN"])
def test_a_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    assertion = jwt.PyJWS().encode(payload, KEYS["EdDSA"].private, "EdDSA")
    assert why_not(assertion) == "its payload is no JSON object"
    assert peek(assertion) is None


@pytest.mark.parametrize(
    "change", [{"iss": "agent_8"}, {"iss": 5, "sub": 5}, {"jti": 5}, {"jti": ""}, {"jti": "j" * 257}]
)
def test_there_is_nothing_to_load_for_what_can_never_hold(change: dict[str, Any]) -> None:
    assert peek(made(change)) is None


def test_registered_keys_that_are_damaged_refuse_and_do_not_fail() -> None:
    assert why_not(made(), "") == "the registered keys cannot be read"


@given(
    place=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=6), alg=st.sampled_from(ALGORITHMS)
)
def test_no_flipped_bit_is_overlooked(place: int, bit: int, alg: Algorithm) -> None:
    assertion = ASSERTIONS[alg]
    place %= len(assertion)
    flipped = assertion[:place] + chr(ord(assertion[place]) ^ 1 << bit) + assertion[place + 1 :]
    assert why_not(flipped) is not None


@given(st.text())
def test_no_text_makes_it_fail(text: str) -> None:
    assert why_not(text) is not None
    peek(text)


ASSERTIONS = {alg: made(key=KEYS[alg]) for alg in ALGORITHMS}
