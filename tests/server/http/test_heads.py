"""Heads that do not end: the connection does, before they fill the memory, and nobody else notices."""

import json
import socket
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from agentsim.server.http.bodies import MOST_PARAMETERS
from agentsim.server.http.heads import LONGEST_HEAD

PART = 4_096
#: More than this is never sent: whoever takes it all has no bound.
ENOUGH = 16 * 1024 * 1024
CHUNKED = b"POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "a line": (b"GET /", b"a" * PART),
    "a query": (b"GET /jwks?", b"a=b&" * (PART // 4)),
    "a header": (b"GET /jwks HTTP/1.1\r\nHost: x\r\nX-Long: ", b"a" * PART),
    "the name of a header": (b"GET /jwks HTTP/1.1\r\nHost: x\r\n", b"a" * PART),
    "headers": (b"GET /jwks HTTP/1.1\r\nHost: x\r\n", b"a: b\r\n" * (PART // 6)),
    "the size of a chunk": (CHUNKED + b"1;x=", b"a" * PART),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"a: b\r\n" * (PART // 6)),
}


def connect(served: Any) -> socket.socket:
    return socket.create_connection((served.http.base_url.host, served.http.base_url.port), timeout=30)


def send(served: Any, parts: Iterator[bytes]) -> tuple[int, bytes]:
    """How many bytes were taken, and what was answered, of parts that are sent until nobody takes any more."""
    taken, answered = 0, b""
    with connect(served) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                taken += len(part)
                if taken > ENOUGH:
                    return taken, b"took it all"
        except OSError:
            pass
        try:
            while heard := connection.recv(PART):
                answered += heard
        except OSError:
            # Closed while we were still sending: the answer may be lost on the way.
            pass
    return taken, answered


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_does_not_end_is_not_read_to_its_end(served: Any, kind: str) -> None:
    begin, part = ENDLESS[kind]
    taken, answered = send(served, chain([begin], repeat(part)))
    assert taken < ENOUGH
    assert answered[:12] in (b"", b"HTTP/1.1 431", b"HTTP/1.1 400")
    assert served.get("/jwks").status_code == 200


def test_whoever_waits_for_the_answer_is_told_why(served: Any) -> None:
    with connect(served) as connection:
        connection.sendall(b"GET /jwks HTTP/1.1\r\nX: " + b"a" * (LONGEST_HEAD + 1))
        assert connection.recv(PART).startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert connection.recv(PART) == b""


def test_long_heads_and_bodies_that_end_are_answered(served: Any) -> None:
    long = {"x-long": "a" * (LONGEST_HEAD // 2)}
    for _ in range(3):
        assert served.get("/jwks", headers=long).status_code == 200
    # Nothing of a body counts as a head, however it is cut.
    body = json.dumps({"token": "a" * (4 * LONGEST_HEAD)}).encode()
    cut = (body[place : place + 999] for place in range(0, len(body), 999))
    for content in (body, cut):
        kind = {**served.as_admin, "Content-Type": "application/json"}
        answer = served.post("/verify", content=content, headers=kind)
        assert "malformed" in answer.text


def test_a_query_has_so_many_parameters_and_no_more(served: Any) -> None:
    for path in ("/admin/agents", "/authorize"):
        query = "&".join(f"p{number}=x" for number in range(MOST_PARAMETERS + 1))
        answer = served.get(f"{path}?{query}", headers=served.as_admin)
        assert answer.status_code == 400
        assert f"at most {MOST_PARAMETERS} parameters" in answer.text
