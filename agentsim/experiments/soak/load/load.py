"""A soak under load: a served server, tokens that come and go, and nobody let in who should not be."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing, suppress
from pathlib import Path
from time import perf_counter

import pandas as pd
import psutil
import uvloop
from sqlalchemy import func, select
from tqdm.auto import tqdm

from agentsim.experiments.bench.expired import plant_expired
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.experiments.bench.requests import AgentCredentials
from agentsim.experiments.bench.stored import look_up, newest_rows
from agentsim.experiments.soak.complaints import complain
from agentsim.experiments.soak.load.seconds import memory_of
from agentsim.experiments.soak.load.stock import MARGIN, Stock
from agentsim.experiments.soak.load.traffic import Traffic
from agentsim.experiments.soak.load.trees import LIFETIME, TURN, Trees
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally, note
from agentsim.server import KeyRing, Policy, Store
from agentsim.server.clock import SECOND, SystemClock
from agentsim.server.keyfile import KeyFile
from agentsim.server.schema import IssuedToken
from agentsim.server.store import table

#: Trees are kept so long after their end: the shortest that is served.
_KEEP, _KEEP_S = "1h", 3600
_AGENTS = 100
#: Rows become due for the clean-up at so many a second, all along.
_DUE = 20
_POLICY = f"{{access_ttl: {LIFETIME}s, grant_ttl: 1m, status_lists: true}}\n"
#: One answered token of so many is looked for by its hash; all are counted.
_SAMPLE = 499
_TOKENS = table(IssuedToken)


def load(
    *, seconds: float, folder: Path, database: str | None, seed: int, tallies: list[Tally], progress: bool
) -> pd.DataFrame:
    """Serve, send mixed traffic, and judge every answer.

    Parameters
    ----------
    seconds : how long the traffic is counted, after a few in which tokens come to be at hand.
    folder : an empty directory, for the keys, and the database where none is named.
    database : URL of an empty PostgreSQL database; None: an SQLite file in the folder.
    seed : of what is asked.
    tallies : to which what is counted is added, from the beginning.
    progress : whether to draw a progress bar on standard error.

    Returns
    -------
    A row for each second (:meth:`agentsim.experiments.soak.load.seconds.Seconds.frame`).

    Raises
    ------
    BenchError
        If the server does not come up.
    """
    served = Served(folder, database, "--keep", _KEEP, policy=_POLICY)
    prepare(served.database)
    agents = register_agents(served.database, _AGENTS, progress=False)
    ring = KeyFile.ensure(served.keys, SystemClock())
    over = _plant(served.database, ring, agents, seconds)
    before, planted = newest_rows(served.database), _count(served.database)
    draw = random.Random(seed)  # noqa: S311 - which request comes next is no secret
    stock = Stock(ring.keys.signing, draw)
    traffic, trees = (
        Traffic(served.port, agents, stock, draw),
        Trees(served.port, agents, stock),
    )
    tallies += [*traffic.tallies.values(), trees.tally]
    with served, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_drive(traffic, trees, psutil.Process(served.pid), seconds, progress))
        said = Tally(part="load", name="what the server itself complained of")
        complain(said, served.stop())
    answered = [*traffic.answered, *trees.answered]
    stored = look_up(served.database, before, len(answered), answered[::_SAMPLE])
    gone = planted + stored.tokens - _count(served.database)
    tallies += [
        said,
        _kept(stored.tokens, len(answered), stored.sampled - stored.found),
        _cleaned(over, gone),
    ]
    return traffic.seconds.frame()


async def _drive(
    traffic: Traffic, trees: Trees, process: psutil.Process, seconds: float, progress: bool
) -> None:
    tending = asyncio.create_task(trees.tend())
    # Until there are revoked and expired tokens, too.
    await asyncio.sleep(max(TURN, LIFETIME + MARGIN) + 1)
    watching = asyncio.create_task(_watch(traffic, process, seconds, progress))
    try:
        await traffic.send(seconds)
    finally:
        for task in (tending, watching):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _watch(traffic: Traffic, process: psutil.Process, seconds: float, progress: bool) -> None:
    begin = perf_counter()
    with tqdm(total=round(seconds), unit="s", desc="load", disable=not progress, leave=False) as bar:
        while True:
            second = int(perf_counter() - begin)
            traffic.seconds.remember(second, memory_of(process))
            bar.update(second - bar.n)
            await asyncio.sleep(begin + second + 1 - perf_counter())


def _plant(database: str, ring: KeyRing, agents: list[AgentCredentials], seconds: float) -> int:
    """Trees that become long enough over while the traffic goes on, a part each minute; returns their tokens."""
    with closing(Store(database)) as store:
        for minute in range(int(seconds // 60) + 1):
            ago = (_KEEP_S - 60 * minute) * SECOND
            plant_expired(store, Policy(), ring, agents, rows=60 * _DUE, ago_us=ago)
        with store.reading() as connection:
            now = SystemClock().now()
            over = select(func.count()).select_from(_TOKENS).where(_TOKENS.c.grant_expires_at <= now)
            return int(connection.execute(over).scalar_one())


def _count(database: str) -> int:
    with closing(Store(database)) as store, store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(_TOKENS)).scalar_one())


def _kept(rows: int, answered: int, missing: int) -> Tally:
    """Whether all that was answered is in the database."""
    tally = Tally(part="load", name="answered tokens looked up afterwards", tried=answered)
    tally.lost = max(0, answered - rows) + missing
    if tally.lost:
        note(
            tally,
            f"{answered:,} tokens were answered, {rows:,} are stored; of a sample {missing} are missing",
        )
    return tally


def _cleaned(over: int, gone: int) -> Tally:
    """What the clean-up has removed, and whether it removed more than was over."""
    tally = Tally(part="load", name="tokens long over, cleaned up beside it", tried=gone)
    tally.lost = max(0, gone - over)
    return tally
