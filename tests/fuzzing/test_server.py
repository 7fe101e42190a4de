"""What the server is sent: scopes, tokens, bodies. An answer or one of its own errors, whatever comes."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from agentsim.server import KeyRing, OAuthError, SigningKey
from agentsim.server.clientkeys import check_jwks
from agentsim.server.errors import InvalidScope
from agentsim.server.http import bodies
from agentsim.server.http.bodies import query_of, read_form, read_json
from agentsim.server.http.models import VerificationRequest
from agentsim.server.http.rich import read_details
from agentsim.server.keyring import KeyFileError, Keys
from agentsim.server.scopes import (
    canonical_resources,
    canonical_scope,
    canonical_tools,
    excess,
    members,
    overlap,
    product,
)
from agentsim.server.statuslists import decode_list
from agentsim.server.tokens import TokenCodec

any_text = st.text() | st.text(alphabet="abz:/.;?#%* -_~!\\\"'\x00\u0660\u202e\ud800", max_size=40)
Spoil = Callable[[Any], st.SearchStrategy[Any]]


def tried(call: Callable[[], Any]) -> tuple[Any, Any]:
    """What was answered and what was refused; anything else fails the test."""
    try:
        return call(), None
    except OAuthError as exc:
        return None, exc


@settings(deadline=None)
@given(text=any_text)
@example(text="a:" + "/".join("b" * 200))
@example(text="file_read:github/../x")
@example(text="file_read:github/..;x")
@example(text="a:b  a:c")
@example(text="\ud800")
@example(text="x" * 100_000)
def test_any_text_is_a_scope_or_malformed(text: str) -> None:
    canonical, refused = tried(lambda: canonical_scope(text))
    if refused is not None:
        assert refused.reason == "malformed_scope"
        return
    # What is canonical stays so, contains itself, and is bounded.
    assert canonical_scope(canonical) == canonical
    assert excess(canonical, canonical) == ()
    assert overlap(canonical, canonical) == canonical
    assert set(members(canonical)) <= set(text.split(" "))
    assert canonical.isascii()
    assert ".." not in {part for member in members(canonical) for part in member.split("/")}


@settings(deadline=None)
@given(tools=st.lists(any_text, max_size=5), resources=st.lists(any_text, max_size=5))
def test_any_names_are_tools_and_resources_or_malformed(tools: list[str], resources: list[str]) -> None:
    try:
        made = product(canonical_tools(tools), canonical_resources(resources))
    except InvalidScope:
        return
    # Each tool with each resource is a scope, so nothing in a name has another meaning there.
    assert canonical_scope(made) == made
    assert len(members(made)) == len(set(tools)) * len(set(resources))


@pytest.fixture(scope="module")
def codec() -> TokenCodec:
    return TokenCodec("https://a.example", ("https://b.example",), KeyRing(SigningKey.from_seed(b"fuzzing")))


base64url = st.text(alphabet="ABCabc019-_=+/.", max_size=30)


@settings(deadline=None)
@given(
    token=any_text | base64url | st.lists(base64url, min_size=3, max_size=3).map(".".join), ours=st.booleans()
)
@example(token="e30.e30.", ours=False)
@example(token="\u00e9", ours=True)
@example(token="." * 100_000, ours=True)
def test_any_text_is_no_token(codec: TokenCodec, token: str, ours: bool) -> None:
    # With the right header it comes as far as the payload and the signature.
    head = codec._current()._header.decode()
    with pytest.raises(OAuthError) as refused:
        codec.decode(f"{head}.{token}" if ours else token)
    assert refused.value.reason in ("token_malformed", "bad_signature")


@settings(deadline=None)
@given(text=any_text | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
@example(text='{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}')
@example(text='{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}')
@example(text='{"keys":[{"kty":"OKP","crv":"Ed25519","x":""}]}')
@example(text='{"keys":[{"kty":["OKP"],"crv":{}}]}')
@example(text="[" * 10_000)
def test_any_text_is_a_key_set_or_refused(text: str) -> None:
    for read, refused in ((check_jwks, ValueError), (Keys.from_json, KeyFileError)):
        with pytest.raises(refused):
            read(text)


@settings(deadline=None)
@given(data=st.data())
def test_a_spoilt_key_set_is_refused_or_keys(spoilt_once: Spoil, data: st.DataObject) -> None:
    key = SigningKey.from_seed(b"fuzzing")
    for read, refused, jwk in (
        (check_jwks, ValueError, key.public_jwk()),
        (Keys.from_json, KeyFileError, {**key.private_jwk(), "iat": 0}),
    ):
        spoilt = json.dumps(data.draw(spoilt_once({"keys": [jwk]})))
        try:
            assert read(spoilt)
        except refused as exc:
            told = str(exc)
        else:
            continue
        # What is wrong with a key is told without the key.
        assert str(jwk.get("d", "-" * 9)) not in told


@settings(deadline=None)
@given(text=any_text | base64url)
@example(text="eNoDAAAAAAE")
def test_any_text_is_a_status_list_or_refused(text: str) -> None:
    try:
        assert len(decode_list(text)) <= 1 << 20
    except ValueError:
        return


def request(body: bytes, kind: str, query: bytes = b"") -> Request:
    """As it comes from the socket: in pieces."""
    pieces = [body[start : start + 7] for start in range(0, min(len(body), 70), 7)] + [body[70:]]
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages[-1]["more_body"] = False

    async def receive() -> Any:
        return messages.pop(0)

    headers = [(b"content-type", kind.encode("latin-1"))]
    return Request({"type": "http", "headers": headers, "query_string": query, "method": "POST"}, receive)


FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@settings(deadline=None)
@given(body=st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(body=b"a=1&a=2")
@example(body=b"%ff=%ff&a=%")
@example(body=b"=x&&&=")
@example(body=b"resource=a&resource=b")
@example(body=b"&".join(b"a%d=1" % number for number in range(300)))
@example(body=b"a=" + b"+" * 200_000)
def test_any_body_is_a_form_or_refused(body: bytes) -> None:
    form, refused = tried(lambda: asyncio.run(read_form(request(body, FORM))))
    if refused is not None:
        assert refused.status == 400
        return
    for name, value in form.items():
        assert isinstance(value, list) is (name in bodies.REPEATABLE)
        assert value


@settings(deadline=None)
@given(
    body=st.binary()
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
@example(body=b"[" * 100_000)
@example(body=b'{"token":' + b"9" * 5_000 + b"}")
@example(body=b'{"token":"\\ud800"}')
@example(body=b"NaN")
@example(body=b"\xef\xbb\xbf{}")
def test_any_body_is_json_of_the_model_or_refused(body: bytes) -> None:
    made, refused = tried(lambda: asyncio.run(read_json(request(body, JSON), VerificationRequest)))
    if refused is None:
        assert isinstance(made, VerificationRequest)
        return
    assert (refused.status, refused.reason) == (400, "malformed_body")
    assert len(refused.description) <= 2_100


@settings(deadline=None)
@given(data=st.data())
def test_a_spoilt_question_is_one_or_refused(spoilt_once: Spoil, data: st.DataObject) -> None:
    sound = {"token": "t", "required_scope": "a:b", "required_tools": ["x"], "client_id": "agent_1"}
    body = json.dumps(data.draw(spoilt_once(sound))).encode("utf-8", "surrogatepass")
    _, refused = tried(lambda: asyncio.run(read_json(request(body, JSON), VerificationRequest)))
    assert refused is None or refused.status == 400


@settings(deadline=None)
@given(query=st.binary(max_size=60))
@example(query=b"a=%00")
@example(query=b"a=1&a=2")
@example(query=b"a=%ff")
def test_any_query_is_read_or_refused(query: bytes) -> None:
    read, refused = tried(lambda: query_of(request(b"", FORM, query)))
    assert refused.status == 400 if refused else all(isinstance(value, str) for value in read.values())


@settings(deadline=None)
@given(data=st.data())
def test_spoilt_authorization_details_are_read_or_refused(spoilt_once: Spoil, data: st.DataObject) -> None:
    sound = [
        {
            "type": "agent_task",
            "identifier": "t",
            "actions": ["a"],
            "locations": ["b"],
            "privileges": ["minimal"],
        }
    ]
    spoilt = data.draw(spoilt_once(sound))
    _, refused = tried(lambda: read_details(json.dumps(spoilt)))
    assert refused is None or refused.status == 400


def test_bodies_are_read_up_to_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LONGEST_FORM", 100)
    monkeypatch.setattr(bodies, "LONGEST_JSON", 100)
    assert asyncio.run(read_form(request(b"a=" + b"x" * 98, FORM))) == {"a": "x" * 98}
    for read in (
        lambda: read_form(request(b"a=" + b"x" * 99, FORM)),
        lambda: read_json(request(b'{"token":"' + b"x" * 99 + b'"}', JSON), VerificationRequest),
    ):
        with pytest.raises(OAuthError) as refused:
            asyncio.run(read())
        assert refused.value.reason == "body_too_long"
