"""Outages: the database fails under a server that is being asked, and comes back.

Meanwhile every answer is a 503 that says when to come again; nothing is kept by halves, and afterwards all goes on.
"""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import numpy as np

from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.soak.complaints import complain
from agentsim.experiments.soak.faults import unprivileged
from agentsim.experiments.soak.faults.relay import Relay
from agentsim.experiments.soak.kills.crashes import drive
from agentsim.experiments.soak.kills.kept import look
from agentsim.experiments.soak.kills.mixed import POLICY, Caller
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally, note

#: What a server may say of it.
EXPECTED = (
    "the batch was not stored",
    "the database did not answer",
    "a fill was put off",
    "a clean-up was put off",
    "no head was signed",
)
_CALLERS, _BEFORE = 4, 0.8
#: Seconds within which a server must be well again.
_PATIENCE = 60
#: Bytes that a file may have while the disk is full: no transaction fits in there.
_FULL = 8_192


def full_disk(folder: Path) -> Tally:
    """Nothing can be written any more: the kernel refuses the server's process every write beyond a few pages.

    That is done by the limit of a file's size (``RLIMIT_FSIZE``), which needs no root and is lifted again.
    """
    served = Served(folder, policy=POLICY)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]

    def limit(size: int) -> None:
        resource.prlimit(served.pid, resource.RLIMIT_FSIZE, (size, hard))

    return endure("disk full", served, begin=lambda: limit(_FULL), end=lambda: limit(hard))


def locked(folder: Path) -> Tally:
    """Another process holds the SQLite file's lock for longer than the server waits for it."""
    served = Served(folder, policy=POLICY)
    other = sqlite3.connect(folder / "agentsim.sqlite", isolation_level=None, timeout=_PATIENCE)
    try:
        return endure(
            "database locked by another process",
            served,
            begin=lambda: other.execute("BEGIN IMMEDIATE"),
            end=lambda: other.execute("ROLLBACK"),
            callers=1,
        )
    finally:
        other.close()


def away(folder: Path, database: str) -> Tally:
    """PostgreSQL is gone: every connection breaks, and none can be made, until it is back."""
    relay = Relay(database)
    served = Served(folder, relay.url, policy=POLICY)
    try:
        return endure("database gone and back", served, begin=relay.cut, end=relay.mend)
    finally:
        relay.cut()


def read_only(folder: Path) -> Tally:
    """The database's file may not be written: the server says so in one line and does not serve; then it may."""
    tally = Tally(part="faults", name="database read-only", tried=1)
    served = Served(folder, policy=POLICY, program=("-P", unprivileged.__file__))
    callers = _callers(served)
    with served:
        drive(callers, _BEFORE, served.kill)
        file = folder / "agentsim.sqlite"
        file.chmod(0o444)
        try:
            served.start()
        except BenchError as told:
            if "readonly database" not in str(told) or "Traceback" in str(told):
                tally.unasked += 1
                note(tally, f"it is not told in words: {told}")
        else:
            tally.unasked += 1
            note(tally, "it serves a database that it cannot write")
            served.stop()
        file.chmod(0o600)
        served.start()
        look(served, callers, tally)
        _work(callers, tally)
        look(served, callers, tally)
        complain(tally, served.stop())
    return tally


def endure(
    name: str,
    served: Served,
    *,
    begin: Callable[[], object],
    end: Callable[[], object],
    callers: int = _CALLERS,
) -> Tally:
    """Let an outage begin amid a load and end, and hold what the server has kept against what it had answered.

    Parameters
    ----------
    begin, end : take the database away, and give it back.
    callers : who ask; one alone asks nothing more once it has been refused, since that takes its time.
    """
    tally = Tally(part="faults", name=name, tried=1)
    asking = _callers(served, callers)
    with served:
        try:
            # They stop at the first 503.
            drive(asking, _BEFORE, begin)
            for caller in asking if callers > 1 else ():
                caller.ask_each()
        finally:
            end()
        if not all(caller.refused for caller in asking):
            tally.unasked += 1
            note(tally, "nothing failed meanwhile")
        _wait_until_well(served, tally)
        look(served, asking, tally)
        _work(asking, tally)
        look(served, asking, tally)
        complain(tally, served.stop(), EXPECTED)
    return tally


def _callers(served: Served, many: int = _CALLERS) -> list[Caller]:
    draws = np.random.default_rng(0).spawn(many)
    return [Caller(served, number, draw) for number, draw in enumerate(draws)]


def _wait_until_well(served: Served, tally: Tally) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not _is_well(served):
        if time.monotonic() > deadline:
            tally.unasked += 1
            note(tally, f"it is not well {_PATIENCE} seconds after the end of the outage")
            return
        time.sleep(0.1)


def _is_well(served: Served) -> bool:
    """Whether the database answers, and whoever writes to it has noticed."""
    token = {"token": "none of ours"}
    try:
        health = served.http.get("/healthz")
        answer = served.http.post("/introspect", headers=served.as_admin, data=token)
    except httpx.TransportError:
        return False
    return health.status_code == answer.status_code == 200


def _work(callers: Sequence[Caller], tally: Tally) -> None:
    """All goes on: everything is answered again."""
    before = sum(caller.refused for caller in callers)
    for caller in callers:
        caller.ask_each()
    refused = sum(caller.refused for caller in callers) - before
    if refused:
        tally.unasked += refused
        note(tally, f"{refused} requests were refused after the end of the outage")
