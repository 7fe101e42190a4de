"""The same attacks on every door that takes a JWT: what one refuses, all refuse, and none fails.

Doors for access tokens are verification, introspection, token exchange and the offline check of a resource server. The
attacker may hold keys of its own, tokens of the server of every kind, and sometimes the very key of the server (another
service of the house that signs with it): then it must still not get another kind of token through. How the codec
alone takes each forged part is told in ``test_tokens.py``, and of assertions in ``test_assertions.py``.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agentsim.resources import Issuer, Offline, Refusal
from agentsim.resources.checking import Wanted
from agentsim.server import (
    Activation,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
    OAuthError,
    SigningKey,
    TokenGrant,
    Verify,
)
from agentsim.server.announcements import Announcer
from agentsim.server.assertions import LONGEST_ASSERTION, peek
from agentsim.server.clock import SECOND
from agentsim.server.parties import ClientAssertion
from agentsim.server.schema import UsedAssertion
from agentsim.server.tokens import LONGEST_TOKEN

TASK = "Code Review"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
FOREIGN = {alg: SigningKey.generate(alg) for alg in ("EdDSA", "ES256", "RS256")}
Sign = Callable[[bytes], bytes]


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def opened(segment: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))))


class Forge:
    """A good token, and what can be made of it.

    ``key`` is the one that signed it: attacks that take it are those of somebody inside.
    """

    def __init__(self, good: str, key: SigningKey) -> None:
        self.good, self.key = good, key
        self.head, self.body, self.tail = good.split(".")
        self.header, self.payload = opened(self.head), opened(self.body)

    def sign(self, header: Any, payload: Any, by: SigningKey | Sign | None = None) -> str:
        by = by or self.key
        signed = f"{b64(self.text(header))}.{b64(self.text(payload))}"
        signature = by(signed.encode()) if callable(by) else self.bare(by, signed.encode())
        return f"{signed}.{b64(signature)}"

    def text(self, part: Any) -> bytes:
        # As the server writes its headers, whose every byte counts.
        return (
            part
            if isinstance(part, bytes)
            else json.dumps(part, separators=(",", ":"), sort_keys=True).encode()
        )

    def bare(self, key: SigningKey, message: bytes) -> bytes:
        return bytes(
            jwt.PyJWS(algorithms=[key.alg]).get_algorithm_by_name(key.alg).sign(message, key.private)
        )

    def headed(self, **members: Any) -> str:
        """With another header and the signature of somebody else's key."""
        return self.sign(self.header | members, self.payload, FOREIGN["EdDSA"])

    def claiming(self, **claims: Any) -> str:
        """With other claims, signed with the true key."""
        return self.sign(self.header, self.payload | claims)

    def mac(self, secret: bytes, digest: str = "sha256") -> Sign:
        return lambda message: hmac.new(secret, message, digest).digest()

    @property
    def public_texts(self) -> dict[str, bytes]:
        """The public key, in each form in which somebody may have it."""
        public = self.key.public
        return {
            "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "JWK": json.dumps(self.key.public_jwk()).encode(),
            "x": str(self.key.public_jwk().get("x")).encode(),
            "kid": self.key.kid.encode(),
            "empty": b"",
        }


def without_signature(forge: Forge) -> Iterator[str]:
    for alg in ("none", "None", "NONE", "nOnE", "none ", "", None, 0, False, ["none"], {"alg": "none"}):
        header = forge.header | {"alg": alg}
        yield forge.sign(header, forge.payload, lambda _: b"")
        yield f"{b64(forge.text(header))}.{forge.body}.{forge.tail}"
    yield f"{b64(forge.text(forge.header))}.{forge.body}."
    yield f"{forge.head}.{forge.body}"


def public_key_as_secret(forge: Forge) -> Iterator[str]:
    for secret in forge.public_texts.values():
        for alg, digest in (
            ("HS256", "sha256"),
            ("HS384", "sha384"),
            ("HS512", "sha512"),
            ("EdDSA", "sha512"),
        ):
            yield forge.sign(forge.header | {"alg": alg}, forge.payload, forge.mac(secret, digest))


def confused_algorithms(forge: Forge) -> Iterator[str]:
    for key in FOREIGN.values():
        for alg in ("EdDSA", "Ed25519", "Ed448", "ES256", "ES256K", "ES384", "RS256", "PS256", "RS512"):
            yield forge.sign(forge.header | {"alg": alg}, forge.payload, key)
    curve = generate_private_key(SECP384R1())
    es384 = jwt.PyJWS(algorithms=["ES384"]).get_algorithm_by_name("ES384")
    for alg in ("ES384", "ES256", "EdDSA"):
        yield forge.sign(
            forge.header | {"alg": alg}, forge.payload, lambda text: bytes(es384.sign(text, curve))
        )
    # Signatures that are zero, or empty, or far too long, are those of no key.
    for signature in (bytes(64), b"\xff" * 64, bytes(1), bytes(4_000)):
        for alg in ("EdDSA", "ES256"):
            yield forge.sign(forge.header | {"alg": alg}, forge.payload, lambda _, made=signature: made)


def hostile_kids(forge: Forge) -> Iterator[str]:
    texts = [
        "",
        " ",
        "../../../../dev/null",
        "/dev/null",
        "file:///etc/passwd",
        "https://evil.example/keys.json",
        "' OR '1'='1",
        "x'; DROP TABLE agents; --",
        "$(id)|id`id`",
        "%00",
        "\x00",
        "\u202e\ufeff",
        forge.key.kid + "\x00",
        forge.key.kid.lower(),
        forge.key.kid[:-1],
        "k" * 5_000,
        5,
        True,
        None,
        [forge.key.kid],
        {"kid": forge.key.kid},
    ]
    for kid in texts:
        yield forge.headed(kid=kid)
        # A file or a row that does not exist was once an empty secret.
        yield forge.sign(forge.header | {"kid": kid, "alg": "HS256"}, forge.payload, forge.mac(b""))


def keys_of_their_own(forge: Forge) -> Iterator[str]:
    jwk, url = FOREIGN["EdDSA"].public_jwk(), "https://evil.example/keys"
    for members in (
        {"jwk": jwk},
        {"jku": url},
        {"x5u": url},
        {"x5c": [b64(b"certificate")]},
        {"x5t": b64(b"print"), "x5t#S256": b64(b"print")},
        {"jwk": jwk, "jku": url, "crit": ["jwk", "jku"]},
    ):
        yield forge.headed(**members)
        yield forge.headed(**members, kid=FOREIGN["EdDSA"].kid)


def extensions(forge: Forge) -> Iterator[str]:
    """Signed with the true key: what is marked as critical and not understood must be refused."""
    for members in (
        {"crit": ["exp"]},
        {"crit": []},
        {"crit": "exp"},
        {"crit": None},
        {"crit": ["https://example.com/x"], "https://example.com/x": 1},
        {"b64": False, "crit": ["b64"]},
        {"b64": False},
    ):
        yield forge.sign(forge.header | members, forge.payload)
    # Unencoded payload (RFC 7797): signed over the text itself.
    raw = f"{b64(forge.text(forge.header | {'b64': False, 'crit': ['b64']}))}.{json.dumps(forge.payload)}"
    yield f"{raw}.{b64(forge.bare(forge.key, raw.encode()))}"


def strangers(forge: Forge) -> Iterator[str]:
    for key in FOREIGN.values():
        for kid in (forge.key.kid, key.kid):
            for alg in {key.alg, forge.header["alg"]}:
                yield forge.sign(forge.header | {"kid": kid, "alg": alg}, forge.payload, key)


def bombs(forge: Forge) -> Iterator[str]:
    member = json.dumps(forge.header)[:-1].encode()
    for deep in (b"[" * 900 + b"]" * 900, b"[" * 3_000, b'{"a":' * 900 + b"1" + b"}" * 900, b"9" * 4_500):
        yield forge.sign(member + b',"x":' + deep + b"}", forge.payload, FOREIGN["EdDSA"])
        yield forge.sign(forge.header, deep)
        yield f"{b64(deep)}.{b64(deep)}.{b64(deep)}"
    yield forge.good + "A" * LONGEST_TOKEN
    yield "." * 1_000_000
    yield forge.claiming(note="x" * max(LONGEST_TOKEN, LONGEST_ASSERTION))


def cut_and_swapped(forge: Forge) -> Iterator[str]:
    head, body, tail = forge.head, forge.body, forge.tail
    yield from ("", ".", "..", "...", "....", head, f"{head}.", f".{body}.{tail}", f"{head}..{tail}")
    yield from (f"{body}.{head}.{tail}", f"{head}.{tail}.{body}", f"{tail}.{body}.{head}")
    yield from (f"{forge.good}.{tail}", f".{forge.good}", f"{forge.good}.", f"{head}.{head}.{tail}")
    # JWE has five segments; JSON serialisation has none.
    yield f"{head}.{body}.{tail}.{body}.{tail}"
    yield json.dumps({"protected": head, "payload": body, "signature": tail})
    yield json.dumps({"payload": body, "signatures": [{"protected": head, "signature": tail}]})


def other_spellings(forge: Forge) -> Iterator[str]:
    """The same bytes, or nearly, in another text: no second name for one token."""
    head, body, tail = forge.head, forge.body, forge.tail
    for change in (
        "=",
        "==",
        "\n",
        "\r\n",
        " ",
        "\t",
        "\x00",
        "\u200b",
        "\ufeff",
        "%",
        "!",
        "\u00e9",
        "\ud800",
    ):
        yield from (forge.good + change, change + forge.good, f"{head}{change}.{body}.{tail}")
        yield from (f"{head}.{body}{change}.{tail}", f"{head}.{body[:9]}{change}{body[9:]}.{tail}")
    yield from (forge.good[:-1] + letter for letter in ALPHABET if letter != forge.good[-1])
    yield f"{head}.{body}.{base64.b64encode(base64.urlsafe_b64decode(tail + '==')).decode()}"
    yield forge.good.translate({ord("A"): "\uff21", ord("e"): "\u0435"})
    yield from (forge.good.upper(), forge.good.swapcase(), f"Bearer {forge.good}", f'"{forge.good}"')


#: Nothing of this may pass any door, whichever kind of token it began as.
ATTACKS = (
    without_signature,
    public_key_as_secret,
    confused_algorithms,
    hostile_kids,
    keys_of_their_own,
    extensions,
    strangers,
    bombs,
    cut_and_swapped,
    other_spellings,
)


def wrong_types(forge: Forge) -> Iterator[str]:
    kinds = "JWT jwt id_token+jwt refresh+jwt logout+jwt statuslist+jwt marks+jwt dpop+jwt JOSE at at+jwt+jwt".split()
    for kind in (*kinds, "token-introspection+jwt", "secevent+jwt", "", " at+jwt", None, 5, ["at+jwt"]):
        yield forge.sign(forge.header | {"typ": kind}, forge.payload)
    yield forge.sign({name: forge.header[name] for name in ("alg", "kid")}, forge.payload)


def wrong_parties(forge: Forge) -> Iterator[str]:
    issuer, audience = forge.payload["iss"], forge.payload["aud"]
    for iss in (
        f"{issuer}/",
        issuer.upper(),
        f"{issuer}.evil.example",
        [issuer],
        {"iss": issuer},
        "",
        None,
        5,
    ):
        yield forge.claiming(iss=iss)
    for aud in (
        [audience],
        [audience, {}],
        [audience, None],
        [audience, audience],
        [],
        {audience: 1},
        "",
        None,
        5,
    ):
        yield forge.claiming(aud=aud)
    yield from (
        forge.claiming(aud=f"{audience}/"),
        forge.claiming(aud=issuer),
        forge.claiming(sub=None, act=None),
    )
    for name in ("iss", "aud", "sub", "exp", "iat", "jti", "client_id", "lineage", "act"):
        payload = {key: value for key, value in forge.payload.items() if key != name}
        yield forge.sign(forge.header, payload)


def absurd_times(forge: Forge) -> Iterator[str]:
    now = forge.payload["iat"]
    values = (
        1 << 62,
        1 << 63,
        1 << 64,
        10**30,
        -1,
        -(1 << 63),
        now + 60.5,
        1e300,
        "",
        str(now + 60),
        None,
        True,
        [],
        {},
    )
    for name in ("exp", "iat", "grant_exp"):
        # Issued before 1970 is early, and no attack: clocks of simulations may begin there.
        wrong = (value for value in values if (name, value) != ("iat", -1))
        yield from (forge.claiming(**{name: value}) for value in wrong)
        for literal in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"0x7fffffff", b"01"):
            written = forge.text(forge.payload | {name: "HERE"}).replace(b'"HERE"', literal)
            yield forge.sign(forge.header, written)
    # This server's tokens begin when they are issued; one that says otherwise is none of them.
    yield from (forge.claiming(nbf=value) for value in (now + 3_600, 1 << 63, "soon", None))
    yield forge.claiming(exp=now - 1)


def hostile_members(forge: Forge) -> Iterator[str]:
    for claims in (
        {"jti": "1" * 5_000},
        {"lineage": {"grants": ["1" * 5_000], "tasks": ["t"]}},
        {"lineage": {"grants": [[]], "tasks": [[]]}},
        {"act": {"sub": "agent_1", "act": {"sub": "agent_1"}}},
        {"act": [{"sub": "agent_1"}]},
        {"scope": ["file_read:github"]},
        {"budget": -1},
        {"budget": 1.5},
        {"status": {"status_list": {"idx": 1 << 70, "uri": "https://evil.example/statuslists/0"}}},
        {"may_act": {"sub": "agent_1", "extra": 1}},
    ):
        yield forge.claiming(**claims)


#: What must not pass as an access token, even with the signature of the true key.
ACCESS_ATTACKS = (*ATTACKS, wrong_types, wrong_parties, absurd_times, hostile_members)


class Doors:
    """All ways to present an access token to one server; ``why_not`` of each is what kept it out, or None."""

    def __init__(self, world: Any) -> None:
        self.world, self.agent = world, world.agent()
        self.issuer = Issuer(
            world.policy.issuer,
            clock=world.clock,
            http=httpx.AsyncClient(transport=httpx.MockTransport(self._answer)),
        )
        self._offline = Offline(self.issuer, world.policy.audience, period=None)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        issuer = self.world.policy.issuer
        if request.url.path.startswith("/.well-known/"):
            return httpx.Response(200, json={"issuer": issuer, "jwks_uri": f"{issuer}/jwks"})
        assert str(request.url) == f"{issuer}/jwks", "no other address is ever asked"
        return httpx.Response(200, json=self.world.keyring.jwks(self.world.clock.now()))

    def good(self) -> str:
        return str(self.world.root(self.agent, TASK).access_token)

    def forge(self) -> Forge:
        return Forge(self.good(), self.world.keyring.keys.signing)

    def verify(self, token: str) -> str | None:
        (answer,) = self.world.server.execute([Verify(token=token)])
        # What is no text at all is refused before it is looked at.
        error = answer if isinstance(answer, OAuthError) else answer.error
        return error.reason if error else None

    def introspect(self, token: str) -> str | None:
        (answer,) = self.world.server.execute([Introspect(token=token)])
        if isinstance(answer, OAuthError):
            return answer.error
        return None if answer.active else "inactive"

    def exchange(self, token: str) -> str | None:
        asked = IssueChild(by=self.agent, parent_token=token, task_id="below", scope="file_read:github")
        (answer,) = self.world.server.execute([asked])
        return answer.error if isinstance(answer, OAuthError) else None

    def offline(self, token: str) -> str | None:
        try:
            asyncio.run(self._offline.check(token, Wanted(task_id=TASK)))
        except Refusal as refusal:
            # Whoever presents a bad token is told so; it is no fault of anything behind the door.
            return refusal.reason if refusal.status == 401 else None
        return None


DOORS = ("verify", "introspect", "exchange", "offline")


@pytest.fixture
def doors(world: Any) -> Doors:
    return Doors(world)


@pytest.mark.parametrize("door", DOORS)
def test_the_doors_open_for_a_good_token(doors: Doors, door: str) -> None:
    forge = doors.forge()
    assert getattr(doors, door)(forge.good) is None
    # The forge writes as the server does: what is refused below is refused for what it is.
    assert forge.sign(forge.header, forge.payload).split(".")[0] == forge.head
    assert getattr(doors, door)(forge.sign(forge.header, forge.payload)) is None


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("attack", ACCESS_ATTACKS, ids=lambda attack: attack.__name__)
def test_no_attack_opens_a_door(doors: Doors, attack: Callable[[Forge], Iterator[str]], door: str) -> None:
    forge = doors.forge()
    presented = [token for token in attack(forge) if token != forge.good]
    assert presented
    let_in = [token for token in presented if getattr(doors, door)(token) is None]
    assert let_in == []
    assert getattr(doors, door)(forge.good) is None


@pytest.mark.parametrize("door", DOORS)
def test_other_tokens_of_the_house_open_nothing(make_world: Any, door: str) -> None:
    """Signed with the same key and by the same server: announcements, and tokens that are no JWTs."""
    doors = Doors(make_world(status_lists=True))
    world = doors.world
    granted = world.root(doors.agent, TASK)
    announcer = Announcer(world.server.store, world.keyring, world.policy.issuer, world.clock)
    listed = announcer.status_list(0)
    assert listed is not None
    for token in (
        announcer.marks(0),
        listed,
        # What a refresh token is may be asked about; it is used nowhere else.
        *([granted.refresh_token] if door != "introspect" else []),
        doors.agent.client_secret,
        world.register().registration_token,
    ):
        assert getattr(doors, door)(token) is not None


def test_an_access_token_is_no_announcement(doors: Doors) -> None:
    for kind in ("marks+jwt", "statuslist+jwt"):
        with pytest.raises(Refusal) as refused:
            asyncio.run(doors.issuer.verified(doors.good(), kind))
        assert refused.value.reason == "wrong_type"


@pytest.mark.parametrize("door", DOORS)
def test_a_key_signs_for_the_server_only_while_it_is_one_of_its_keys(doors: Doors, door: str) -> None:
    world, present = doors.world, getattr(doors, door)
    coming = SigningKey.generate("ES256")
    forge = doors.forge()
    early = forge.sign({"alg": "ES256", "kid": coming.kid, "typ": "at+jwt"}, forge.payload, coming)
    assert present(early) is not None
    before = forge.good
    world.keyring.rotate("EdDSA", world.clock.now(), world.clock.now() + 300 * SECOND)
    world.clock.advance(20 * SECOND)
    assert present(doors.good()) is None
    assert present(before) is None
    # The old key is gone with its last token, and whoever still holds it makes nothing any more.
    world.clock.advance(3_601 * SECOND)
    assert (
        present(forge.sign(forge.header, forge.payload | {"exp": world.clock.now() // SECOND + 60}))
        is not None
    )


@pytest.fixture
def own_key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def assertion(world: Any, own_key: SigningKey) -> Forge:
    """A good assertion of an agent that has registered two keys, of which this is one."""
    jwks = json.dumps({"keys": [own_key.public_jwk(), SigningKey.generate("RS256").public_jwk()]})
    made = world.register(jwks=jwks, token_endpoint_auth_method="private_key_jwt")
    world.ask(Confirm(registration_token=made.registration_token), Activation)
    now = world.clock.now() // SECOND
    claims = {
        "iss": made.client_id,
        "sub": made.client_id,
        "aud": world.policy.issuer,
        "exp": now + 60,
        "iat": now,
        "jti": "once",
    }
    header = {"alg": "EdDSA", "kid": own_key.kid, "typ": "JWT"}
    forge = Forge("e30.e30.e30", own_key)
    return Forge(forge.sign(header, claims), own_key)


def asked_by(forge: Forge, text: str) -> Issue:
    by = ClientAssertion(forge.payload["iss"], text)
    return Issue(by=by, task_id=TASK, scope="file_read:github")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_no_attack_authenticates_an_agent(
    world: Any, assertion: Forge, attack: Callable[[Forge], Iterator[str]]
) -> None:
    presented = [text for text in attack(assertion) if text != assertion.good]
    answers = world.server.execute([asked_by(assertion, text) for text in presented])
    let_in = [
        text
        for text, answer in zip(presented, answers, strict=True)
        if getattr(answer, "error", None) not in ("invalid_client", "invalid_request")
    ]
    assert let_in == []
    assert world.rows(UsedAssertion) == []
    (answer,) = world.server.execute([asked_by(assertion, assertion.good)])
    assert isinstance(answer, TokenGrant)


def test_tokens_of_the_server_authenticate_nobody(world: Any, assertion: Forge) -> None:
    token = world.root(world.agent(), TASK).access_token
    assert world.refusal(asked_by(assertion, token)).error == "invalid_client"


def test_an_assertion_said_differently_is_the_same_one(world: Any, assertion: Forge) -> None:
    """What remembers that it was used goes by what it says: other bytes and another signature are no second use."""
    again = [
        assertion.sign(dict(reversed(assertion.header.items())), assertion.payload),
        assertion.sign(assertion.header | {"typ": "jwt"}, assertion.payload),
        assertion.sign(assertion.header, assertion.payload | {"note": 1}),
        assertion.sign(assertion.header, json.dumps(assertion.payload, indent=1).encode()),
        assertion.sign(assertion.header, assertion.payload | {"exp": assertion.payload["exp"] + 1}),
        assertion.sign(
            assertion.header, json.dumps(assertion.payload).replace("once", "\\u006fnce").encode()
        ),
    ]
    assert len({peek(text).key for text in (assertion.good, *again)}) == 1
    (first,) = world.server.execute([asked_by(assertion, assertion.good)])
    assert isinstance(first, TokenGrant)
    for text in again:
        assert world.refusal(asked_by(assertion, text)).reason == "assertion_used"


def test_of_doubled_members_all_readers_take_the_same(world: Any, assertion: Forge) -> None:
    """What is loaded by, what is checked and what is remembered must be one agent and one id."""
    claims = json.dumps(assertion.payload)
    stolen = assertion.sign(assertion.header, (claims[:-1] + ',"jti":"twice"}').encode())
    seen = peek(stolen)
    assert seen is not None
    assert seen.jti == "twice"
    other = assertion.sign(assertion.header, (claims[:-1] + ',"iss":"agent_1"}').encode())
    assert peek(other) is None
    assert world.refusal(asked_by(assertion, other)).reason == "assertion_invalid"


def test_the_digest_of_a_token_is_that_of_its_only_text(doors: Doors) -> None:
    """Tokens are looked up by their hash: each text that is believed has one."""
    forge = doors.forge()
    believed = {text for text in (*other_spellings(forge), forge.good) if doors.verify(text) is None}
    assert {hashlib.sha256(text.encode()).digest() for text in believed} == {
        hashlib.sha256(forge.good.encode()).digest()
    }
