"""The open load: requests begin when they are meant to, and what a busy server keeps waiting is told."""

import json
import socket
import threading
import time
from collections.abc import Callable
from time import perf_counter_ns

import pytest

from agentsim.experiments.bench.requests import AgentCredentials, single_requests
from agentsim.experiments.bench.steady import DROPPED, UNANSWERED, Schedule, Steady, send
from tests.experiments.answering import serving

AGENTS = [AgentCredentials(f"agent_{number}", f"secret{number}~{'x' * 36}") for number in range(7)]


def answering(status: Callable[[int], int]):
    """A server whose answer to each request has the status that a function makes of its number; yields it."""
    body = json.dumps({"access_token": "t"}).encode()
    return serving(lambda handler, number: handler.send(body, status(number)))


def send_to(port, *, rate=100.0, seconds=0.5, warm_up=0.1, connections=4, patient=True):
    begin = perf_counter_ns() + round(2 * warm_up * 1e9)
    schedule = Schedule(begin=begin, warm_up=warm_up, seconds=seconds, rate=rate)
    return send(port, single_requests(AGENTS, "/token"), schedule, connections=connections, patient=patient)


@pytest.mark.parametrize("patient", [True, False])
def test_as_many_begin_as_the_rate_says_and_those_of_the_warm_up_do_not_count(patient):
    with answering(lambda number: 200) as server:
        seen = send_to(server.server_address[1], patient=patient, connections=32)
    assert seen.intended == 50
    assert seen.outcomes["200"] + seen.outcomes[DROPPED] == 50
    assert len(seen.latencies) == seen.outcomes["200"] > 0
    assert 50 < len(server.seen) + seen.outcomes[DROPPED] <= 60


def test_who_waits_for_a_busy_server_waits_from_the_moment_it_was_meant_to_begin():
    def slow_once(number):
        if number == 20:
            time.sleep(0.3)
        return 200

    with answering(slow_once) as server:
        seen = send_to(server.server_address[1], connections=1)
    assert seen.outcomes == {"200": 50}
    # One was slow, and those behind it were late: all that were meant to begin in that time.
    late = sorted(latency for latency in seen.latencies if latency > 0.05e9)
    assert len(late) > 15
    assert late[-1] >= 0.3e9


def test_who_does_not_wait_is_dropped_and_counted():
    def slow(number):
        time.sleep(0.05)
        return 200

    # Where the machine did something else all the while, none was sent in time: then it is told once more.
    for _ in range(30):
        with answering(slow) as server:
            seen = send_to(server.server_address[1], connections=1, patient=False)
        if seen.outcomes["200"]:
            break
    assert seen.intended == 50
    assert 0 < seen.outcomes["200"] <= 11
    assert seen.outcomes["200"] + seen.outcomes[DROPPED] == 50


def test_refusals_are_counted_by_status_and_have_no_latency():
    with answering(lambda number: 429 if number % 2 else 200) as server:
        seen = send_to(server.server_address[1])
    assert seen.outcomes.keys() == {"200", "429"}
    assert len(seen.latencies) == seen.outcomes["200"]


def test_a_server_that_goes_away_leaves_requests_without_an_answer():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept_and_close():
            for _ in range(500):
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                connection.recv(65_536)
                connection.close()

        thread = threading.Thread(target=accept_and_close, daemon=True)
        thread.start()
        seen = send_to(listening.getsockname()[1], rate=20, connections=2)
    assert seen.intended == 10
    assert seen.outcomes[UNANSWERED] > 0
    assert seen.latencies == []


def test_what_several_saw_can_be_put_together():
    one, other = Steady(), Steady()
    one.outcomes["200"], other.outcomes["200"], other.outcomes["429"] = 2, 1, 4
    one.latencies.append(5)
    both = one + other
    assert (both.outcomes, both.latencies, both.intended) == ({"200": 3, "429": 4}, [5], 7)
