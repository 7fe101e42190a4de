"""The load generator, against small real servers: what it sends, what it counts, what it does when they fail."""

import base64
import json
import re
import socket
import threading
import time
from urllib.parse import parse_qs

import pytest

from agentsim.experiments.bench import load
from agentsim.experiments.bench.load import drive
from agentsim.experiments.bench.requests import AgentCredentials, batch_requests, single_requests
from tests.experiments.answering import Handler, serving

AGENTS = [AgentCredentials(f"agent_{number}", f"secret{number}~{'x' * 36}") for number in range(7)]


def grant(handler: Handler, number: int) -> None:
    handler.send(json.dumps({"access_token": f"token {number}"}).encode())


def drive_at(server, requests=None, connections=3, seconds=0.3):
    requests = requests or single_requests(AGENTS, "/token")
    return drive(server.server_address[1], requests, connections=connections, seconds=seconds)


def test_every_answered_grant_is_counted_and_those_in_its_time_are_measured():
    with serving(grant) as server:
        sample = drive_at(server)
        assert sample.faults == {}
        assert sample.answered == len(server.seen)
        # The warm-up and the last answers are outside.
        assert 0 < sample.grants < sample.answered
        assert len(sample.latencies) == sample.grants
        assert sample.latencies.min() > 0
        assert sample.rate == sample.grants / 0.3


def test_a_latency_holds_the_whole_time_that_an_answer_took():
    def slow(handler, number):
        time.sleep(0.02)
        grant(handler, number)

    with serving(slow) as server:
        sample = drive_at(server)
    assert sample.latencies.min() >= 0.02e9
    assert sample.grants <= 3 * 0.3 / 0.02


def test_each_request_has_the_next_agent_and_a_task_of_its_own():
    with serving(grant) as server:
        requests = single_requests(AGENTS, "/oauth/token")
        drive_at(server, requests, connections=1)
        drive_at(server, requests, connections=1)
    asked = []
    for path, headers, body in server.seen:
        form = parse_qs(body.decode(), strict_parsing=True)
        assert (path, form["grant_type"]) == ("/oauth/token", ["client_credentials"])
        assert form["scope"] == ["file_read:github"]
        asked.append((base64.b64decode(headers["Authorization"].removeprefix("Basic ")), form["task_id"][0]))
    assert [agent for agent, _ in asked[:8]] == [":".join(agent).encode() for agent in [*AGENTS, AGENTS[0]]]
    assert len({task for _, task in asked}) == len(asked)


def test_a_batch_asks_for_many_agents_and_counts_as_many_grants():
    def answer(handler, number):
        responses = [{"access_token": f"{number} {place}"} for place in range(3)]
        handler.send(json.dumps({"responses": responses}).encode())

    with serving(answer) as server:
        sample = drive_at(server, batch_requests(AGENTS, "/token/batch", 3))
    assert sample.faults == {}
    assert sample.answered == 3 * len(server.seen)
    assert sample.grants == 3 * len(sample.latencies)
    bodies = [json.loads(body) for _, _, body in server.seen]
    assert {body["owner"] for body in bodies} == {"bench"}
    assert {len(body["requests"]) for body in bodies} == {3}
    # Seven agents are two batches of three; the seventh is left out.
    assert {item["client_id"] for body in bodies for item in body["requests"]} == {a[0] for a in AGENTS[:6]}
    tasks = [item["task_id"] for body in bodies for item in body["requests"]]
    assert len(set(tasks)) == len(tasks)
    tokens = list(sample.tokens())
    assert len(tokens) >= 3
    assert len(set(tokens)) == len(tokens)


def test_what_is_refused_inside_a_batch_is_a_fault():
    def answer(handler, _number):
        handler.send(
            b'{"responses": [{"access_token": "x"}, {"error": "slow_down"}, {"error": "slow_down"}]}'
        )

    with serving(answer) as server:
        sample = drive_at(server, batch_requests(AGENTS, "/token/batch", 3))
    assert sample.faults == {"refused in an answer of status 200": 2 * len(server.seen)}
    assert sample.answered == len(server.seen)
    assert "slow_down" in sample.evidence


def test_other_statuses_are_faults_and_the_first_is_told():
    def answer(handler, number):
        if number % 2:
            handler.send(b'{"error": "invalid_client", "n": %d}' % number, 401)
        else:
            grant(handler, number)

    with serving(answer) as server:
        sample = drive_at(server, connections=1)
    refused = (len(server.seen) + 1) // 2
    assert sample.faults == {"status 401": refused}
    assert sample.answered == len(server.seen) - refused
    assert sample.evidence == '{"error": "invalid_client", "n": 1}'


def test_an_answer_in_pieces_is_one_answer():
    def answer(handler, number):
        body = json.dumps({"access_token": f"token {number}"}).encode()
        whole = (
            b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100 + b"\r\nCONTENT-LENGTH:%d\r\n\r\n" % len(body) + body
        )
        for piece in (whole[:40], whole[40:170], whole[170:]):
            handler.wfile.write(piece)
            time.sleep(0.002)

    with serving(answer) as server:
        sample = drive_at(server)
    assert sample.faults == {}
    assert sample.answered == len(server.seen) > 3


def test_a_server_that_closes_after_each_answer_is_asked_over_new_connections():
    with serving(
        lambda handler, number: handler.send(b'{"access_token": "x"}', Connection="close")
    ) as server:
        sample = drive_at(server)
    assert sample.faults == {}
    assert sample.answered == len(server.seen) > 3


def test_a_connection_that_closes_before_its_answer_is_a_fault():
    def answer(handler, number):
        if number > 3:
            grant(handler, number)
        else:
            handler.close_connection = True

    with serving(answer) as server:
        sample = drive_at(server)
    assert sample.faults == {"closed before the answer": 3}
    assert sample.answered == len(server.seen) - 3 > 0


@pytest.mark.parametrize(
    "words",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nmore than one",
        b"x" * 70_000,
    ],
    ids=["no length", "more than its length", "no head"],
)
def test_what_cannot_be_read_is_a_fault(words):
    with serving(lambda handler, number: handler.wfile.write(words)) as server:
        sample = drive_at(server, seconds=0.1)
    assert set(sample.faults) == {"unreadable"}
    assert sample.answered == 0


def test_nobody_there_is_told_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        # It does not listen, and nobody else can.
        sample = drive(taken.getsockname()[1], single_requests(AGENTS, "/token"), connections=3, seconds=3600)
    assert sample.faults == {"no connection": 3}
    assert re.search("refused", sample.evidence)


def test_what_is_never_answered_is_given_up(monkeypatch):
    monkeypatch.setattr(load, "_PATIENCE", 0.1)
    going = threading.Event()
    with serving(lambda handler, number: going.wait(60)) as server:
        sample = drive_at(server)
        going.set()
    assert sample.faults == {"not answered in time": 3}
    assert (sample.answered, sample.grants) == (0, 0)
