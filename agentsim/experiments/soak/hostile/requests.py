"""Hostile requests to every endpoint: bodies that cannot be read, values that programs stumble over, credentials of nobody."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

from agentsim.experiments.bench.requests import FORM, JSON, OWNER, RESOURCES, SCOPE, TOOLS
from agentsim.experiments.soak.hostile.nasty import NASTY
from agentsim.server.http.bodies import LONGEST_FORM, LONGEST_JSON, MOST_PARAMETERS
from agentsim.server.http.endpoints import ENDPOINTS, Access, Endpoint

UNREADABLE_FORMS = (
    b"\xff\xfe",
    b"grant_type=\xc3\xa9",
    b"grant_type=%FF",
    b"%FF=x",
    b"grant_type=client_credentials&scope=%C3",
    b"&".join(b"p%d=x" % number for number in range(MOST_PARAMETERS + 1)),
)
UNREADABLE_JSON = (
    b"",
    b"nonsense",
    b"{",
    b"\xff",
    b'{"token": "\xff"}',
    b'{"token": "\\ud800"}',
    b'{"token": NaN}',
    b"[]",
    b"7",
    b'"text"',
    b"null",
    b"[" * 100_000,
    b'{"token": ' * 2_000 + b"1" + b"}" * 2_000,
    b"\xef\xbb\xbf{}",
)
_KINDS = ("text/plain", "multipart/form-data; boundary=x", "application/xml", "")
#: What is no HTTP, or two requests to one reader and one to another; whoever sends it has no credentials.
NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x00" * 1_000 + b"\r\n\r\n",
    b"POST /token HTTP/9.9\r\nHost: x\r\n\r\n",
    b"POST /token\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 1e3\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 40 + b"\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nx\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x, identity\r\n\r\n0\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\ncut",
    b"POST /token HTTP/1.1\r\nno colon\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nA : b\r\n\tfolded: c\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 5_000 + b"\r\n",
    b"POST /token HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 200_000 + b"\r\n\r\n",
    b"POST /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /tok\x00en HTTP/1.1\r\nHost: x\r\n\r\n",
    b"G\xc3\x89T /token HTTP/1.1\r\nHost: x\r\n\r\n",
)


#: What is beside a nasty value, so that it is looked at: by endpoint, the members without which nothing else is.
_SOUND: dict[str, dict[str, Any]] = {
    "token": {"grant_type": "client_credentials", "scope": SCOPE},
    "verify": {"token": "x"},
    "introspect": {"token": "x"},
    "revoke": {"token": "x"},
    "token_batch": {"owner": OWNER, "requests": [{}]},
    "register": {"client_name": "x", "allowed_tools": list(TOOLS), "resource_access": list(RESOURCES)},
    "confirm": {"registration_token": "x"},
}


class Hostile(NamedTuple):
    """A request that nobody should send."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes = b""


#: Headers by which somebody authenticates who may ask at endpoints of this kind.
Callers = dict[Access, dict[str, str]]


def unreadable(callers: Callers) -> Iterator[Hostile]:
    """Bodies of every endpoint that has one: none of them says anything, so nothing may come of them."""
    for endpoint in (each for each in ENDPOINTS if each.body is not None):
        path, by = _path(endpoint, "agent_1"), callers[endpoint.access]
        kind, bodies, longest = (
            (FORM, UNREADABLE_FORMS, LONGEST_FORM)
            if endpoint.is_form
            else (JSON, UNREADABLE_JSON, LONGEST_JSON)
        )
        for body in (*bodies, b"x" * (longest + 1)):
            yield Hostile(endpoint.method, path, {**by, "Content-Type": kind}, body)
        for other in (*_KINDS, JSON if endpoint.is_form else FORM):
            yield Hostile(endpoint.method, path, {**by, "Content-Type": other}, b"token=x&a=b")


def spoilt_values(callers: Callers, somebody: str) -> Iterator[Hostile]:
    """Every member, parameter of a query and name in a path, with each nasty value; some of them are only odd.

    Parameters
    ----------
    callers : who asks.
    somebody : an agent that there is, and that may be changed.
    """
    sound = _SOUND | {"update_agent": {"client_id": somebody}}
    for endpoint in ENDPOINTS:
        by = callers[endpoint.access]
        for value in NASTY:
            written = _written(value)
            if "{" in endpoint.path:
                yield Hostile(endpoint.method, _path(endpoint, written), {**by, "Content-Type": JSON}, b"{}")
            path = _path(endpoint, somebody)
            for name in endpoint.query:
                yield Hostile(endpoint.method, f"{path}?{name}={_escaped(written)}", by)
            if endpoint.body is None:
                continue
            for name in endpoint.body.model_fields:
                members = sound.get(endpoint.name, {}) | {name: value}
                kind, content = (FORM, _form(members)) if endpoint.is_form else (JSON, json.dumps(members))
                yield Hostile(endpoint.method, path, {**by, "Content-Type": kind}, content.encode())


def impostors() -> Iterator[Hostile]:
    """Credentials of nobody, wherever some are asked for."""
    guarded = [each for each in ENDPOINTS if each.access not in (Access.PUBLIC, Access.CARRIED)]
    for endpoint in guarded:
        kind = FORM if endpoint.is_form else JSON
        content = b"token=x&grant_type=client_credentials" if endpoint.is_form else b'{"token": "x"}'
        for value in NASTY:
            text = _written(value).encode("utf-8", "surrogatepass")
            for scheme, words in (
                ("Bearer", _escaped(_written(value))),
                ("Basic", base64.b64encode(text + b":" + text).decode()),
                ("Basic", _escaped(_written(value))),
            ):
                headers = {"Authorization": f"{scheme} {words}".strip(), "Content-Type": kind}
                yield Hostile(endpoint.method, _path(endpoint, "agent_1"), headers, content)


def _path(endpoint: Endpoint, name: str) -> str:
    before, brace, rest = endpoint.path.partition("{")
    return f"{before}{_escaped(name)}{rest.partition('}')[2]}" if brace else endpoint.path


def _form(members: Mapping[str, Any]) -> str:
    return "&".join(f"{name}={_escaped(_written(value))}" for name, value in members.items())


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _escaped(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")
