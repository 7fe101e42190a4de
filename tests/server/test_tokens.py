"""Attacks on tokens: whatever is presented, only what this server signed for this purpose is believed."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from agentsim.server import Introspect, IssueChild, KeyRing, Policy, Server, SigningKey
from agentsim.server.answers import Introspection
from agentsim.server.clock import SECOND
from agentsim.server.errors import InvalidToken
from agentsim.server.keys import ALGORITHMS, Algorithm
from agentsim.server.tokens import LONGEST_TOKEN, TYPE, TokenCodec


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    header, payload, signature = (
        base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in token.split(".")
    )
    return json.loads(header), json.loads(payload), signature


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def written(header: Any, payload: Any) -> str:
    # Spaced and sorted as the server's own headers are, whose every byte counts.
    first = json.dumps(header, separators=(",", ":"), sort_keys=True)
    return f"{b64(first.encode())}.{b64(json.dumps(payload).encode())}"


def signed(world: Any, header: dict[str, Any], payload: Any, key: Ed25519PrivateKey | None = None) -> str:
    """A token as whoever holds a key could make it; without one, with the server's own."""
    text = written(header, payload)
    return f"{text}.{b64((key or SigningKey.from_seed(world.seed).private).sign(text.encode()))}"


@pytest.fixture
def good(world: Any) -> str:
    return world.root(world.agent(), "Code Review").access_token


def test_a_token_that_is_signed_here_is_believed(world: Any, good: str) -> None:
    header, payload, _ = parts(good)
    assert world.why_not(signed(world, header, payload)) is None


def test_every_changed_part_is_noticed(world: Any, good: str) -> None:
    header, payload, signature = parts(good)
    for name, value in {
        "scope": "db_query:jira",
        "exp": payload["exp"] + 10_000,
        "sub": "root",
        "tools": "db_query",
    }.items():
        forged = f"{written(header, payload | {name: value})}.{b64(signature)}"
        assert world.why_not(forged) == "bad_signature"
    other = world.root(world.agent(), "another").access_token
    head, _, tail = good.split(".")
    assert world.why_not(f"{head}.{other.split('.')[1]}.{tail}") == "bad_signature"


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", None, "HS256", "RS256", "ES256", "Ed448", ["EdDSA"], 5]
)
@pytest.mark.parametrize("signature", ["kept", "empty"])
def test_the_algorithm_is_never_the_tokens_to_choose(
    world: Any, good: str, algorithm: Any, signature: str
) -> None:
    header, payload, kept = parts(good)
    forged = f"{written(header | {'alg': algorithm}, payload)}.{b64(kept) if signature == 'kept' else ''}"
    assert world.why_not(forged) == "token_malformed"


@pytest.mark.parametrize("form", ["raw", "pem", "base64"])
def test_the_public_key_is_no_shared_secret(world: Any, good: str, form: str) -> None:
    public = SigningKey.from_seed(world.seed).public
    secret = {
        "raw": public.public_bytes_raw(),
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "base64": b64(public.public_bytes_raw()).encode(),
    }[form]
    header, payload, _ = parts(good)
    text = written(header | {"alg": "HS256"}, payload)
    mac = hmac.new(secret, text.encode(), hashlib.sha256).digest()
    assert world.why_not(f"{text}.{b64(mac)}") == "token_malformed"


@pytest.mark.parametrize("kid", ["ours", "theirs", None])
def test_a_foreign_key_opens_nothing(world: Any, good: str, kid: str | None) -> None:
    foreign = SigningKey.generate()
    header, payload, _ = parts(good)
    header = header | {"kid": {"ours": header["kid"], "theirs": foreign.kid, None: None}[kid]}
    if kid is None:
        del header["kid"]
    expected = "bad_signature" if kid == "ours" else "token_malformed"
    assert world.why_not(signed(world, header, payload, foreign.private)) == expected


def test_a_key_in_the_header_is_not_taken(world: Any, good: str) -> None:
    foreign = SigningKey.generate()
    header, payload, _ = parts(good)
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": b64(foreign.public.public_bytes_raw())}
    for extra in ({"jwk": jwk}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/cert"}):
        assert world.why_not(signed(world, header | extra, payload, foreign.private)) == "token_malformed"
        assert world.why_not(signed(world, header | extra, payload)) == "token_malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"typ": "JWT"},
        {"typ": "at+JWT "},
        {"typ": None},
        {"typ": "refresh+jwt"},
        {"kid": "another"},
        {"kid": "../../dev/null"},
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
    ],
)
def test_a_header_that_is_not_an_access_tokens_is_refused(
    world: Any, good: str, change: dict[str, Any]
) -> None:
    """Signed with the server's own key: another kind of token of the same house must not pass as an access token."""
    header, payload, _ = parts(good)
    assert world.why_not(signed(world, header | change, payload)) == "token_malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"},
        {"iss": Policy().issuer + "/"},
        {"aud": "https://other.example"},
        {"aud": [Policy().audience]},
        {"aud": [Policy().audience, "https://other.example"]},
        {"aud": [Policy().audience, Policy().audience]},
        {"aud": [Policy().audience, None]},
        {"aud": []},
        {"aud": {}},
        {"aud": ""},
        {"aud": None},
    ],
)
def test_a_foreign_issuer_or_audience_is_refused(world: Any, good: str, change: dict[str, Any]) -> None:
    header, payload, _ = parts(good)
    assert world.why_not(signed(world, header, payload | change)) == "token_malformed"


def test_each_claim_is_required(world: Any, good: str) -> None:
    header, payload, _ = parts(good)
    for name in payload.keys() - {"parent_task_id"}:
        short = {key: value for key, value in payload.items() if key != name}
        assert world.why_not(signed(world, header, short)) == "token_malformed", name


@pytest.mark.parametrize(
    "change",
    [
        {"lineage": None},
        {"lineage": {}},
        {"lineage": {"grants": [], "tasks": []}},
        {"lineage": {"grants": ["x"], "tasks": ["t"]}},
        {"lineage": {"grants": ["1", "2"], "tasks": ["t"]}},
        {"lineage": {"grants": ["1"], "tasks": [5]}},
        {"act": {}},
        {"act": "agent_1"},
        {"act": {"sub": 5}},
        {"jti": "x"},
        {"jti": None},
        {"exp": "soon"},
        {"exp": None},
        {"owner": 5},
        {"iat": []},
        {"may_act": None},
        {"may_act": {}},
        {"may_act": "agent_1"},
        {"may_act": {"sub": "root"}},
        {"may_act": {"sub": "agent_1", "iss": "https://other.example"}},
        {"authorization_details": None},
        {"authorization_details": []},
        {"authorization_details": [{"type": "agent_task", "actions": ["db_query"]}]},
    ],
)
def test_a_payload_of_another_form_is_refused(world: Any, good: str, change: dict[str, Any]) -> None:
    header, payload, _ = parts(good)
    assert world.why_not(signed(world, header, payload | change)) == "token_malformed"


@pytest.mark.parametrize("payload", [[], "text", 5, None, True])
def test_a_payload_that_is_no_object_is_refused(world: Any, good: str, payload: Any) -> None:
    header, _, _ = parts(good)
    assert world.why_not(signed(world, header, payload)) == "token_malformed"


def test_a_payload_that_is_no_json_is_refused(world: Any, good: str) -> None:
    header, _, _ = parts(good)
    for payload in (b"", b"{", b"\xff\xfe", b'{"a":' * 3_000, b"NaN"):
        text = f"{written(header, {}).partition('.')[0]}.{b64(payload)}"
        token = f"{text}.{b64(SigningKey.from_seed(world.seed).private.sign(text.encode()))}"
        assert world.why_not(token) == "token_malformed"


@pytest.mark.parametrize(
    "make",
    [
        lambda token: "",
        lambda token: ".",
        lambda token: "..",
        lambda token: "...",
        lambda token: "a.b.c",
        lambda token: token[:-1],
        lambda token: token[: len(token) // 2],
        lambda token: token.rsplit(".", 1)[0],
        lambda token: token.rsplit(".", 1)[0] + ".",
        lambda token: token + ".",
        lambda token: token + "A",
        lambda token: token + "=",
        lambda token: token + "!",
        lambda token: " " + token,
        lambda token: token + "\n",
        lambda token: token.replace(".", ". "),
        lambda token: token + "." + token,
        lambda token: "Bearer " + token,
        lambda token: "\u0660" + token,
        lambda token: "\x01" * 100,
        lambda token: "x" * 1_000_000,
        lambda token: token + "A" * LONGEST_TOKEN,
        lambda token: b64(b'{"a":' + b"[" * 9_000) + ".e30.AAAA",
        lambda token: b64(b'{"alg":"EdDSA","n":' + b"9" * 9_000 + b"}") + ".e30.AAAA",
        lambda token: b64(b"[]") + ".e30.AAAA",
        lambda token: b64(b"null") + ".e30.AAAA",
    ],
)
def test_garbage_is_refused(world: Any, good: str, make: Any) -> None:
    presented = make(good)
    assert world.why_not(presented) in ("token_malformed", "bad_signature")
    assert world.ask(Introspect(token=presented), Introspection).active is False
    row = world.audit()[-1]
    assert row["access_token_hash"] == hashlib.sha256(presented.encode()).digest()
    assert row["token_id"] is None


def test_one_token_has_one_spelling(world: Any, good: str) -> None:
    """The spare bits of the last character must not make a second text of the same token."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    others = [good[:-1] + letter for letter in alphabet if letter != good[-1]]
    assert {world.why_not(other) for other in others} <= {"token_malformed", "bad_signature"}


def test_no_library_clock_decides(world: Any, good: str) -> None:
    """Tokens of a simulated past or future are judged by the server's clock alone."""
    for moment in (0, 3_700_000_000_000_000):
        world.clock.set(moment)
        token = world.root(world.agent()).access_token
        assert world.why_not(token) is None
        world.clock.advance(300_000_000)
        assert world.why_not(token) == "expired"


def test_a_remembered_signature_is_decided_anew(world: Any, good: str) -> None:
    assert world.why_not(good) is None
    assert world.why_not(good, required_tools=["db_query"]) == "tool_not_granted"
    world.revoke(token=good)
    assert world.why_not(good) == "revoked"


def test_refresh_and_registration_tokens_and_secrets_are_no_access_tokens(world: Any) -> None:
    registration = world.register()
    grant = world.root(world.agent())
    for secret in (grant.refresh_token, registration.registration_token, registration.client_secret):
        assert world.why_not(secret) == "token_malformed"


def test_another_organisations_server_does_not_accept_our_tokens(world: Any, good: str) -> None:
    other = Server(
        policy=world.policy, clock=world.clock, keyring=KeyRing(SigningKey.from_seed(b"another seed"))
    )
    asked = IssueChild(by=world.agent(), parent_token=good, task_id="c", scope="file_read:github")
    assert other.execute([asked])[0].reason == "invalid_client"
    other.close()


def test_a_token_can_be_read_by_any_jwt_library(world: Any, good: str) -> None:
    public = SigningKey.from_seed(world.seed).public
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(
        good,
        public,
        algorithms=["EdDSA"],
        audience=Policy().audience,
        issuer=Policy().issuer,
        options=options,
    )
    assert claims["task_id"] == "Code Review"
    assert parts(good)[0]["typ"] == TYPE == "at+jwt"


@pytest.fixture(scope="module")
def kept_token(new_world: Any) -> tuple[Any, str]:
    world = new_world()
    return world, world.root(world.agent(), "Code Review").access_token


@given(place=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=6))
def test_no_flipped_bit_is_overlooked(kept_token: tuple[Any, str], place: int, bit: int) -> None:
    world, token = kept_token
    place %= len(token)
    flipped = token[:place] + chr(ord(token[place]) ^ 1 << bit) + token[place + 1 :]
    assert world.why_not(flipped) in ("token_malformed", "bad_signature")


def test_a_header_that_says_the_same_in_other_bytes_is_refused(world: Any, good: str) -> None:
    """One token has one spelling: spaces, order and repeated members are the doors of smugglers."""
    header, payload, _ = parts(good)
    for text in (
        json.dumps(header, sort_keys=True),
        json.dumps(dict(reversed(header.items())), separators=(",", ":")),
        json.dumps(header, separators=(",", ":"), sort_keys=True)[:-1] + f',"typ":"{TYPE}"}}',
    ):
        signing_input = f"{b64(text.encode())}.{b64(json.dumps(payload).encode())}"
        token = (
            f"{signing_input}.{b64(SigningKey.from_seed(world.seed).private.sign(signing_input.encode()))}"
        )
        assert world.why_not(token) == "token_malformed"


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_after_a_rotation_both_keys_tokens_are_believed(world: Any, good: str, alg: Algorithm) -> None:
    world.keyring.rotate(alg, world.clock.now(), world.clock.now() + 300 * SECOND)
    fresh = world.root(world.agent()).access_token
    header, _, _ = parts(fresh)
    assert (header["alg"], header["kid"]) == (alg, world.keyring.keys.signing.kid)
    assert world.why_not(good) is world.why_not(fresh) is None
    assert jwt.decode(
        fresh,
        world.keyring.keys.signing.public,
        algorithms=[alg],
        audience=Policy().audience,
        options={"verify_exp": False, "verify_iat": False},
    )


def test_a_retired_keys_last_token_lives_its_life(world: Any, good: str) -> None:
    keep_until = world.clock.now() + 300 * SECOND
    world.keyring.rotate("EdDSA", world.clock.now(), keep_until)
    world.clock.set(keep_until - 1)
    assert world.why_not(good) is None
    world.clock.set(keep_until)
    assert world.why_not(good) == "expired"
    world.keyring.rotate("EdDSA", world.clock.now(), keep_until + 300 * SECOND)
    assert world.why_not(good) == "token_malformed"


def test_a_key_is_kept_for_tokens_whose_lifetime_was_longer_than_the_rules_give_now(world: Any) -> None:
    agent = world.agent()
    old = world.root(agent)
    world.server.change_policy(Policy(access_ttl_us=10 * SECOND), by=world.admin)
    new = world.root(agent)
    world.server.rotate_key("EdDSA")
    world.clock.set(new.expires_at)
    assert (world.why_not(old), world.why_not(new)) == (None, "expired")
    world.clock.set(old.expires_at)
    assert world.why_not(old) == "expired"


def test_a_stolen_retired_key_makes_nothing_that_outlives_it(world: Any, good: str) -> None:
    header, payload, _ = parts(good)
    world.keyring.rotate("EdDSA", world.clock.now(), payload["exp"] * SECOND)
    assert world.why_not(signed(world, header, payload)) is None
    assert world.why_not(signed(world, header, payload | {"exp": payload["exp"] + 1})) == "token_malformed"


def test_a_key_that_is_dropped_takes_what_is_remembered_along(world: Any, good: str) -> None:
    assert world.why_not(good) is None
    world.keyring.rotate("ES256", world.clock.now(), world.clock.now())
    assert world.why_not(good) == "token_malformed"


def test_an_unknown_key_makes_the_ring_look_again(world: Any) -> None:
    """Another worker has rotated; its first token comes here before anybody has told."""

    class Shared(KeyRing):
        def reload(self) -> bool:
            changed, self.keys = self.keys is not others.keys, others.keys
            return changed

    others = KeyRing(SigningKey.generate())
    ring = Shared(others.keys)
    there, here = (TokenCodec("https://a.example", ("https://b.example",), kept) for kept in (others, ring))
    claims = world.server._codec.decode(world.root(world.agent()).access_token)
    claims.audience = ()
    before = there.encode(claims)
    others.rotate("ES256", 0, claims.expires_at)
    after = there.encode(claims)
    assert here.decode(before) == here.decode(after)
    assert ring.keys is others.keys
    assert parts(here.encode(claims))[0]["alg"] == "ES256"
    with pytest.raises(InvalidToken, match="header"):
        here.decode(
            TokenCodec("https://a.example", ("https://b.example",), KeyRing(SigningKey.generate())).encode(
                claims
            )
        )


def test_what_a_token_may_say_besides_is_read_back(world: Any, good: str) -> None:
    audiences = ("https://a.example", "https://b.example", "https://c.example")
    codec = TokenCodec(Policy().issuer, audiences, KeyRing(SigningKey.generate()))
    claims = world.server._codec.decode(good)
    for audience, written_as in (
        ((), audiences[0]),
        (audiences[1:2], audiences[1]),
        (audiences[1:], list(audiences[1:])),
    ):
        claims.audience = audience
        token = codec.encode(claims)
        assert parts(token)[1]["aud"] == written_as
        assert codec.decode(token).audience == (audience or audiences[:1])
    assert not {"may_act", "authorization_details"} & parts(token)[1].keys()
    claims.may_act, claims.authorization_details = 7, True
    token = codec.encode(claims)
    assert codec.decode(token) == claims
    assert parts(token)[1]["may_act"] == {"sub": "agent_7"}
    assert parts(token)[1]["authorization_details"] == [
        {
            "type": "agent_task",
            "identifier": "Code Review",
            "actions": ["file_read"],
            "locations": ["github"],
            "privileges": [claims.level],
        }
    ]


def test_tokens_of_a_simulation_are_the_same_bytes_as_ever(world: Any) -> None:
    """The tables of a Run hold their hashes: what is not asked for adds nothing, and nothing changes its place."""
    claims = parts(world.root(world.agent()).access_token)[1]
    expected = (
        "iss sub aud client_id iat exp jti scope task_id parent_task_id tools resources level owner grant_exp"
    )
    assert list(claims) == [*expected.split(), "lineage", "act"]
