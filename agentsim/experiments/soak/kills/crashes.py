"""Kills: a served server is ended by ``kill -9`` amid mixed operations, and must have kept all that it had answered."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event
from typing import TypeVar

import numpy as np
from tqdm.auto import tqdm

from agentsim.experiments.soak.complaints import complain
from agentsim.experiments.soak.kills.filling import fills
from agentsim.experiments.soak.kills.kept import look
from agentsim.experiments.soak.kills.mixed import POLICY, Caller
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally

#: Callers that ask at the same time.
_CALLERS = 6
#: Seconds between the first question and the kill.
#: Seconds within which every caller must have noticed.
_PATIENCE = 90
#: From so many kills on the fill is a long one: grants of its tree, and how often it is cut short.
_LONG, _MANY, _OFTEN = 10, 100_000, 5
_FEW = 4_000
_Told = TypeVar("_Told")
_EARLIEST, _LATEST = 0.3, 1.5


def crashes(*, kills: int, folder: Path, database: str | None, seed: int, progress: bool) -> list[Tally]:
    """Kill a server again and again amid mixed operations, and look after each time at what it has kept.

    Parameters
    ----------
    kills : how often.
    folder : an empty directory, for the keys, and the database where none is named.
    database : URL of an empty PostgreSQL database; None: an SQLite file in the folder.
    seed : of what is asked, and of the moments of the kills.
    progress : whether to draw progress bars on standard error.
    """
    tally = Tally(part="kills", name="kill -9 amid mixed operations")
    moments, *draws = np.random.default_rng(seed).spawn(1 + _CALLERS)
    with Served(folder, database, policy=POLICY) as served:
        callers = [Caller(served, number, draw) for number, draw in enumerate(draws)]
        for _ in tqdm(range(kills), unit="kill", disable=not progress, desc="kills", leave=False):
            tally.tried += 1
            complain(tally, drive(callers, moments.uniform(_EARLIEST, _LATEST), served.kill))
            served.start()
            look(served, callers, tally)
        complain(tally, served.stop())
    again = folder / "fill"
    again.mkdir()
    grants, cut = (_MANY, _OFTEN) if kills >= _LONG else (_FEW, 1)
    return [tally, fills(grants=grants, kills=cut, folder=again, database=database, progress=progress)]


def drive(callers: Sequence[Caller], seconds: float, end: Callable[[], _Told]) -> _Told:
    """Let callers ask for a while, then let ``end`` take away whom they ask; returns what that returns."""
    stop = Event()
    with ThreadPoolExecutor(len(callers)) as threads:
        asking = [threads.submit(caller.ask_on, stop) for caller in callers]
        try:
            time.sleep(seconds)
            said = end()
            wait(asking, _PATIENCE)
        finally:
            stop.set()
        for caller in asking:
            caller.result()
    return said
