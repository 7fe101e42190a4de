"""The benchmark over HTTP: real servers in processes of their own, and the command."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jwt
import orjson
import psutil
import pytest

from agentsim.experiments.bench.children import running
from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.floor import TOKEN_PATH, BareSigner
from agentsim.experiments.bench.http import SERVE_FLOOR, Contender, distinct_tokens, measure
from agentsim.experiments.bench.population import register_agents
from agentsim.experiments.bench.requests import AgentCredentials, single_requests
from agentsim.server import Client, Issue, Server, Store

REQUESTS = single_requests([AgentCredentials("agent_1", "secret")], TOKEN_PATH)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_floor_signs_what_the_server_signs(tmp_path):
    url = f"sqlite:///{tmp_path / 'bench.db'}"
    (agent,) = register_agents(url, 1, progress=False)
    server = Server(Store(url))
    (granted,) = server.execute(
        [Issue(by=Client(*agent), task_id="task-000000000-00", scope="file_read:github")]
    )
    server.close()
    ours, bare = granted.access_token, BareSigner().sign()

    def claims(token):
        return jwt.decode(token, options={"verify_signature": False, "verify_aud": False})

    assert claims(bare).keys() == claims(ours).keys()
    assert jwt.get_unverified_header(bare).keys() == jwt.get_unverified_header(ours).keys()
    assert len(bare) == pytest.approx(len(ours), rel=0.02)
    assert len(orjson.dumps(claims(bare))) == pytest.approx(len(orjson.dumps(claims(ours))), rel=0.02)


def test_the_floor_answers_a_different_token_each_time_and_is_stopped_at_the_end():
    with running("the floor", *SERVE_FLOOR) as floor:
        samples = measure(
            {"a": Contender(floor, REQUESTS), "b": Contender(floor, REQUESTS)},
            connections=4,
            seconds=0.3,
            rounds=2,
            progress=False,
        )
        assert is_open(floor.port)
    assert not is_open(floor.port)
    assert {name: len(some) for name, some in samples.items()} == {"a": 2, "b": 2}
    assert all(sample.grants for some in samples.values() for sample in some)
    assert len(distinct_tokens([*samples["a"], *samples["b"]])) >= 4


def test_a_token_that_is_answered_twice_is_found_out():
    with running("the floor", *SERVE_FLOOR) as floor:
        samples = measure(
            {"a": Contender(floor, REQUESTS)}, connections=1, seconds=0.1, rounds=1, progress=False
        )
    with pytest.raises(BenchError, match="twice"):
        distinct_tokens([*samples["a"], *samples["a"]])


def test_a_server_that_refuses_is_no_contender():
    elsewhere = single_requests([AgentCredentials("agent_1", "secret")], "/nowhere")
    with (
        running("the floor", *SERVE_FLOOR) as floor,
        pytest.raises(
            BenchError, match=r"a: not every request was granted \(status 404: [\d,]+\).*Not Found"
        ),
    ):
        measure({"a": Contender(floor, elsewhere)}, connections=1, seconds=0.1, rounds=1, progress=False)


def test_a_server_that_does_not_come_up_is_told_with_its_last_words():
    told = pytest.raises(BenchError, match=r"ended with status 2; its last words:\n.*no-such-command")
    with told, running("the server", "-m", "agentsim.cli", "no-such-command"):
        pass


def test_a_server_is_stopped_when_something_goes_wrong():
    with pytest.raises(KeyboardInterrupt), running("the floor", *SERVE_FLOOR) as floor:
        raise KeyboardInterrupt
    assert not is_open(floor.port)


def bench_http(folder: Path, *words: str) -> subprocess.Popen:
    """The command in a process of its own; temporary files lie in the folder."""
    return subprocess.Popen(
        [sys.executable, "-m", "agentsim.cli", "bench", "http", *words],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_the_command_tells_figures_and_that_everything_is_stored(tmp_path):
    with bench_http(
        tmp_path, *"--agents 300 --connections 4 --seconds 0.5 --rounds 1 --json".split()
    ) as process:
        out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, b"")
    told = json.loads(out)
    assert list(told["figures"]) == ["bare signature", "one grant a request", "100 grants a request"]
    assert told["figures"]["bare signature"]["ratio"]["median"] == 1
    assert told["complete"]
    assert told["stored"]["tokens"] == told["stored"]["audit_rows"] == told["stored"]["answered"] > 0
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_no_server_behind(tmp_path):
    with bench_http(tmp_path, *"--agents 100 --seconds 3600".split()) as process:
        children = wait_for_children(process, 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"agentsim: interrupted\n")
    assert not any(child.is_running() for child in children)
    assert list(tmp_path.iterdir()) == []


def wait_for_children(process: subprocess.Popen, count: int) -> list:
    parent = psutil.Process(process.pid)
    for _ in range(600):
        if len(children := parent.children(recursive=True)) >= count:
            return children
        time.sleep(0.1)
    raise AssertionError("the servers did not come up")
