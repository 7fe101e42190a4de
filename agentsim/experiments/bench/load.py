"""The load generator: a closed loop over raw sockets, cheap enough to keep a server on the other core busy.

Each connection sends its next request as soon as its last one is answered (k6 calls that ``constant-vus``), so
latency is what a client with that many others beside it waits. Of an answer only status line, length and the
number of tokens are looked at; a few are kept whole.
"""

from __future__ import annotations

import asyncio
import gc
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter_ns
from typing import cast

import numpy as np
import uvloop

from agentsim.experiments.bench.figures import Sample
from agentsim.experiments.bench.framing import Framing, Unreadable
from agentsim.experiments.bench.requests import Requests

#: The share of a measurement's time that is driven beforehand and not counted.
WARM_UP = 0.2
#: Seconds that the last requests may take.
_PATIENCE = 60
_TOKEN = b'"access_token":'
#: One answer of so many is kept.
_KEPT_OF = 499


def drive(port: int, requests: Requests, *, connections: int, seconds: float) -> Sample:
    """Send requests to a server on this machine and count what it answers.

    Parameters
    ----------
    port : where it listens.
    requests : what is sent; the number goes on from call to call.
    connections : how many requests are on their way at any time.
    seconds : how long answers are counted, after a warm-up of a fifth of that.

    Returns
    -------
    What was counted; what went wrong is in its ``faults``.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, no_collection():
        return runner.run(_drive(port, requests, connections, seconds))


async def _drive(port: int, requests: Requests, connections: int, seconds: float) -> Sample:
    load = _Load(port, requests)
    begin = perf_counter_ns() + round(WARM_UP * seconds * 1e9)
    load.begin, load.end = begin, begin + round(seconds * 1e9)
    await asyncio.gather(*(load.connect() for _ in range(connections)))
    with suppress(TimeoutError):
        await asyncio.wait_for(load.done.wait(), seconds * (1 + WARM_UP) + _PATIENCE)
    load.abandon()
    return Sample(
        seconds=seconds,
        grants=load.grants,
        answered=load.answered,
        latencies=np.array(load.latencies, dtype=np.int64),
        faults=dict(load.faults),
        evidence=load.evidence,
        kept=load.kept,
    )


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector away: its pauses would be told as the server's."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Load:
    """What all connections of a measurement share."""

    def __init__(self, port: int, requests: Requests) -> None:
        self.requests = requests
        self.begin = self.end = 0
        self.grants = self.answered = 0
        self.latencies = array("q")
        self.faults: Counter[str] = Counter()
        self.evidence = ""
        self.kept: list[bytes] = []
        self.done = asyncio.Event()
        self.open: set[_Connection] = set()
        self._port = port
        self._answers = 0
        self._connecting: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Open a connection; it drives itself from then on."""
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), "127.0.0.1", self._port
            )
        except OSError as exc:
            self.fault("no connection", str(exc).encode())
            self._finish()

    def take(self, answer: bytes, sent_at: int) -> bool:
        """Count an answer; whether there is time for another request."""
        now = perf_counter_ns()
        granted = answer.count(_TOKEN)
        if answer[9:12] != b"200":
            self.fault(f"status {answer[9:12].decode('latin-1')}", answer)
        elif granted != self.requests.grants:
            self.fault("refused in an answer of status 200", answer, self.requests.grants - granted)
        self.answered += granted
        if self.begin <= now < self.end:
            self.grants += granted
            self.latencies.append(now - sent_at)
        self._answers += 1
        if self._answers % _KEPT_OF == 1:
            self.kept.append(answer.partition(b"\r\n\r\n")[2])
        return now < self.end

    def fault(self, what: str, evidence: bytes = b"", count: int = 1) -> None:
        """Count something that went wrong, and keep the first one's words."""
        if not self.faults:
            self.evidence = evidence.rpartition(b"\r\n\r\n")[2][:300].decode("utf-8", "replace")
        self.faults[what] += count

    def closed(self, connection: _Connection) -> None:
        """Take note that a connection has gone, and open another while there is time."""
        self.open.discard(connection)
        if perf_counter_ns() < self.end:
            task = asyncio.get_running_loop().create_task(self.connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        else:
            self._finish()

    def abandon(self) -> None:
        """Give up what is still not answered."""
        for connection in list(self.open):
            connection.give_up()

    def _finish(self) -> None:
        if not self.open and len(self._connecting - {asyncio.current_task()}) == 0:
            self.done.set()


class _Connection(asyncio.Protocol):
    """One connection: sends a request, reads its answer, sends the next."""

    _transport: asyncio.Transport

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._framing = Framing()
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._load.open.add(self)
        self._send()

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._framing.feed(data)
        except Unreadable as unreadable:
            self._load.fault("unreadable", unreadable.received)
            self._waiting = False
            self._transport.abort()
            return
        if answer is None:
            return
        self._waiting = False
        if self._load.take(answer, self._sent_at) and not self._framing.closing:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._load.fault("closed before the answer", str(exc or "").encode())
        self._load.closed(self)

    def give_up(self) -> None:
        """Close although the answer is not here."""
        self._load.fault("not answered in time")
        self._waiting = False
        self._transport.abort()

    def _send(self) -> None:
        request = self._load.requests.next()
        self._waiting = True
        self._sent_at = perf_counter_ns()
        self._transport.write(request)
