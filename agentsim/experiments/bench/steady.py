"""An open load: requests begin when they are meant to, however long earlier ones take.

k6 calls that ``constant-arrival-rate``. A latency is measured from the moment at which its request was meant to begin, so
what a busy server keeps waiting is not left out.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import cast

import uvloop

from agentsim.experiments.bench.framing import Framing, Unreadable
from agentsim.experiments.bench.load import no_collection
from agentsim.experiments.bench.requests import Requests

#: Seconds that the last requests may take.
_PATIENCE = 10
#: Requests that are meant to begin within so many seconds begin together: a generator that wakes for each of them takes
#: the processor away from what it measures.
_STEP = 0.002
#: What is counted of a request that was meant to begin and got no answer.
DROPPED, UNANSWERED = "dropped", "not answered"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """When requests are meant to begin.

    Attributes
    ----------
    begin : of what is counted, in nanoseconds of ``perf_counter_ns``, which is one clock for all processes of a machine.
    warm_up, seconds : how long requests are sent before that, and after it.
    rate : requests per second.
    """

    begin: int
    warm_up: float
    seconds: float
    rate: float


@dataclass(frozen=True, kw_only=True)
class Steady:
    """What came of the requests that were meant to begin in the time that counts.

    Attributes
    ----------
    outcomes : how many, by the answer's status; or why there is none.
    latencies : nanoseconds from the meant beginning to the whole answer, of those answered with 200.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies: list[int] = field(default_factory=list)

    @property
    def intended(self) -> int:
        """How many requests were meant to begin."""
        return self.outcomes.total()

    def __add__(self, other: Steady) -> Steady:
        return Steady(outcomes=self.outcomes + other.outcomes, latencies=[*self.latencies, *other.latencies])


def send(port: int, requests: Requests, schedule: Schedule, *, connections: int, patient: bool) -> Steady:
    """Send requests to a server on this machine as a schedule says.

    Parameters
    ----------
    connections : how many requests may be under way.
    patient : whether a request for which no connection is free waits for one. Otherwise it is dropped, and counted.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, no_collection():
        return runner.run(_send(port, requests, schedule, connections, patient))


async def _send(port: int, requests: Requests, schedule: Schedule, connections: int, patient: bool) -> Steady:
    load = _Load(port, requests, schedule.begin)
    await asyncio.gather(*(load.connect() for _ in range(connections)))
    interval = 1e9 / schedule.rate
    first = schedule.begin - round(schedule.warm_up * 1e9)
    count = round((schedule.warm_up + schedule.seconds) * schedule.rate)
    begun, step = 0, 0.0 if patient else _STEP
    while begun < count:
        due = min(count, int((perf_counter_ns() - first) / interval) + 1)
        while begun < due:
            load.start(first + round(begun * interval), patient=patient)
            begun += 1
        await asyncio.sleep(max(step, (first + begun * interval - perf_counter_ns()) / 1e9))
    with suppress(TimeoutError):
        await asyncio.wait_for(load.idle(), _PATIENCE)
    await load.close()
    return load.seen


class _Load:
    """What all connections share: who is free, what waits, what has been seen."""

    def __init__(self, port: int, requests: Requests, begin: int) -> None:
        self.seen = Steady()
        self._port = port
        self._requests = requests
        self._begin = begin
        self._free: deque[_Connection] = deque()
        self._busy: set[_Connection] = set()
        self._waiting: deque[int] = deque()
        self._opening: set[asyncio.Task[None]] = set()
        self._over = False

    async def connect(self) -> None:
        """Open a connection, now or never."""
        with suppress(OSError):
            await asyncio.get_running_loop().create_connection(
                lambda: _Connection(self), "127.0.0.1", self._port
            )

    def start(self, meant: int, *, patient: bool) -> None:
        """Begin a request where a connection is free for it."""
        if self._free:
            self._hand_over(self._free.pop(), meant)
        elif patient:
            self._waiting.append(meant)
        else:
            self._note(meant, DROPPED)

    def free(self, connection: _Connection) -> None:
        """A connection may be used, for the first time or again."""
        if self._over:
            connection.abort()
            return
        self._busy.discard(connection)
        if self._waiting:
            self._hand_over(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def answered(self, meant: int, answer: bytes) -> None:
        """Take note of an answer."""
        status = answer[9:12].decode("latin-1")
        self._note(meant, status)
        if status == "200" and meant >= self._begin:
            self.seen.latencies.append(perf_counter_ns() - meant)

    def lost(self, connection: _Connection, meant: int | None) -> None:
        """A connection has gone, with or without a request under way; another is opened."""
        if self._over:
            return
        if meant is not None:
            self._note(meant, UNANSWERED)
        self._busy.discard(connection)
        with suppress(ValueError):
            self._free.remove(connection)
        task = asyncio.get_running_loop().create_task(self.connect())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._busy or self._waiting:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Count what still has no answer, and close all connections."""
        self._over = True
        unanswered = [connection.meant for connection in self._busy if connection.meant is not None]
        for meant in [*unanswered, *self._waiting]:
            self._note(meant, UNANSWERED)
        for connection in [*self._busy, *self._free]:
            connection.abort()
        await asyncio.gather(*self._opening)
        # Their ends are told in the loop's next round.
        await asyncio.sleep(0)

    def _hand_over(self, connection: _Connection, meant: int) -> None:
        self._busy.add(connection)
        connection.send(self._requests.next(), meant)

    def _note(self, meant: int, outcome: str) -> None:
        if meant >= self._begin:
            self.seen.outcomes[outcome] += 1


class _Connection(asyncio.Protocol):
    """One connection: carries one request at a time."""

    _transport: asyncio.Transport

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._framing = Framing()
        #: When the request that is under way was meant to begin.
        self.meant: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._load.free(self)

    def send(self, request: bytes, meant: int) -> None:
        """Send one."""
        self.meant = meant
        self._transport.write(request)

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            answer = self._framing.feed(data)
        except Unreadable:
            self._transport.abort()
            return
        if answer is None or self.meant is None:
            return
        meant, self.meant = self.meant, None
        self._load.answered(meant, answer)
        if self._framing.closing:
            self._transport.close()
        else:
            self._load.free(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._load.lost(self, self.meant)
