"""The same attacks on every door that takes a JWT: what one refuses, all refuse, and none fails.

Doors for access tokens are verification, introspection, token exchange and the offline check of a resource server. The
attacker may hold keys of its own, tokens of the server of every kind, and sometimes the very key of the server (another
service of the house that signs with it): then it must still not get another kind of token through. How the codec
alone takes each forged part is told in ``test_tokens.py``, and of assertions in ``test_assertions.py``.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from agentsim.experiments.soak.hostile.access_forgeries import ACCESS_ATTACKS
from agentsim.experiments.soak.hostile.forge import Forge
from agentsim.experiments.soak.hostile.forgeries import ATTACKS, other_spellings
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
from agentsim.server.assertions import peek
from agentsim.server.clock import SECOND
from agentsim.server.parties import ClientAssertion
from agentsim.server.schema import UsedAssertion

TASK = "Code Review"


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
