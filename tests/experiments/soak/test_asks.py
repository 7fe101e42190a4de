"""What an answer says of the token that was presented, before anybody is served."""

import json

import pytest

from agentsim.experiments.bench.requests import AgentCredentials
from agentsim.experiments.soak.asks import Answer, Door, Outcome, outcome, present

AGENT = AgentCredentials("agent_1", "secret")


@pytest.mark.parametrize(
    ("door", "status", "members", "said"),
    [
        (Door.VERIFY, 200, {"is_valid": True}, Outcome.ACCEPTED),
        (Door.VERIFY, 200, {"is_valid": False, "error": "invalid_token"}, Outcome.REFUSED),
        (Door.VERIFY, 200, {"is_valid": "true"}, Outcome.ERROR),
        (Door.INTROSPECT, 200, {"active": True}, Outcome.ACCEPTED),
        (Door.INTROSPECT, 200, {"active": False}, Outcome.REFUSED),
        (Door.INTROSPECT, 200, {}, Outcome.ERROR),
        (Door.EXCHANGE, 200, {"access_token": "x"}, Outcome.ACCEPTED),
        (Door.EXCHANGE, 400, {"error": "invalid_grant"}, Outcome.REFUSED),
        (Door.EXCHANGE, 200, {"error": "invalid_grant"}, Outcome.ERROR),
        (Door.EXCHANGE, 400, {}, Outcome.ERROR),
        (Door.VERIFY, 429, {"error": "slow_down"}, Outcome.ERROR),
        (Door.VERIFY, 500, {"error": "server_error", "is_valid": False}, Outcome.ERROR),
        (Door.EXCHANGE, 503, {"error": "temporarily_unavailable"}, Outcome.ERROR),
    ],
)
def test_an_answer_accepts_refuses_or_is_an_error(door, status, members, said):
    assert outcome(door, Answer(status, members)) is said


def test_an_answer_is_read_from_the_connection_whatever_its_body_is():
    head = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\n"
    assert Answer.of(head + b'{"a": "b"}').text("a") == "b"
    for body in (b"", b"[1]", b"no JSON", b'{"a": 5}'):
        assert Answer.of(head + body).text("a") == ""
        assert Answer.of(head + body).status == 400


@pytest.mark.parametrize("token", ["good", "", "\ud800", "a&b=c", "x" * 100_000, "\x00"])
def test_any_text_can_be_presented_at_every_door(token):
    for door in Door:
        head, _, body = present(door, token, AGENT, "task").partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(present(Door.VERIFY, token, AGENT, "task").partition(b"\r\n\r\n")[2])["token"] == token
