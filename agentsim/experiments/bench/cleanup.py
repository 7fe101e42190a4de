"""A clean-up: rows that are long over go, while tokens are asked for at a steady rate.

The server works as it does when it serves, group commit and clean-up beside requests included; only HTTP is left out.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from sqlalchemy import func, select

from agentsim.experiments.bench.cascade import as_served
from agentsim.experiments.bench.expired import plant_expired
from agentsim.experiments.bench.neighbours import Neighbours, Waits, neighbours
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.server import KeyRing, Policy, Server, SigningKey, Store
from agentsim.server.clock import SECOND
from agentsim.server.http.gather import Gatherer
from agentsim.server.schema import GrantStateRow, IssuedToken, UsedAssertion
from agentsim.server.statements import table

#: What may be: requests wait for at most so many times their usual p99.
MOST_RATIO = 2.0
_AGENTS = 500
_KEEP = 30 * 24 * 3600 * SECOND
_HOUR = 3600 * SECOND
_LOOK = 0.05


@dataclass(frozen=True, kw_only=True)
class Cleanup:
    """What one clean-up did.

    Attributes
    ----------
    rows : that were over; of them ``left`` are still there, and ``lost`` rows that were not over have gone.
    seconds : from its beginning to its end.
    share : the part of that time for which it held the writer.
    usual, beside : what requests for tokens waited before it, and while it was under way.
    """

    rows: int
    left: int
    lost: int
    seconds: float
    share: float
    usual: Waits
    beside: Waits

    @property
    def ratio(self) -> float:
        """How many times their usual p99 requests waited."""
        return self.beside.p99_ms / self.usual.p99_ms

    @property
    def sound(self) -> bool:
        """Whether all that was over has gone, and nothing else."""
        return not self.left and not self.lost


def bench_cleanup(
    *, rows: int = 1_000_000, database: str | None = None, usual_seconds: float = 20.0, progress: bool = False
) -> Cleanup:
    """Plant rows that are long over, ask for tokens at a steady rate, and clean up beside that.

    Parameters
    ----------
    rows : tokens in trees of ten grants, their states, and used assertions, two to two to one.
    database : URL of one that nobody serves and that is empty; None: a temporary SQLite file.
    usual_seconds : how long requests are measured beforehand.

    Raises
    ------
    BenchError
        If the database cannot be used, or it was over before anything was asked beside it.
    """
    with TemporaryDirectory(prefix="agentsim-bench-") as folder:
        url = database or f"sqlite:///{Path(folder) / 'cleanup.db'}"
        prepare(url)
        agents = register_agents(url, _AGENTS, progress)
        policy = Policy(max_fanout=1_000_000, access_ttl_us=_HOUR)
        keyring = KeyRing(SigningKey.generate())
        with closing(Store(url)) as store:
            planted = plant_expired(store, policy, keyring, agents, rows=rows, progress=progress)
            before = _count(store)
        # Opened anew: what planting has left in the log, SQLite has put in its place by then.
        with closing(Server(Store(url), policy=policy, keyring=keyring)) as server, as_served():
            return asyncio.run(_run(server, neighbours(server, agents), planted, before, usual_seconds))


async def _run(
    server: Server, beside: Neighbours, planted: int, before: int, usual_seconds: float
) -> Cleanup:
    gatherer = Gatherer(server)
    try:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(usual_seconds, over.set)
        usual = await beside.ask(gatherer, over)
        others = await asyncio.to_thread(_count, server.store) - before
        over = asyncio.Event()
        load = asyncio.create_task(beside.ask(gatherer, over))
        began, spent = perf_counter(), server.spent["clean"]
        gatherer.clean(_KEEP)
        while gatherer.cleaning:
            await asyncio.sleep(_LOOK)
        seconds = perf_counter() - began
        over.set()
        waited = await load
    finally:
        await gatherer.stop()
    left = await asyncio.to_thread(_over, server.store)
    now = await asyncio.to_thread(_count, server.store)
    # What is asked for adds rows; none of those that were there and not over may be missing.
    expected = before - planted + others
    return Cleanup(
        rows=planted,
        left=left,
        lost=max(0, expected - (now - left)),
        seconds=seconds,
        share=(server.spent["clean"] - spent) / 1e9 / seconds,
        usual=usual,
        beside=waited,
    )


_TOKENS, _STATES, _ASSERTIONS = table(IssuedToken), table(GrantStateRow), table(UsedAssertion)


def _count(store: Store) -> int:
    with store.reading() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(source)).scalar_one()
            for source in (_TOKENS, _STATES, _ASSERTIONS)
        )


def _over(store: Store) -> int:
    """Rows that are over: tokens, each with its state, and assertions."""
    with store.reading() as connection:
        newest = select(func.max(_TOKENS.c.issued_at)).scalar_subquery()
        tokens = select(func.count()).select_from(_TOKENS).where(_TOKENS.c.grant_expires_at < newest - _KEEP)
        used = select(func.count()).select_from(_ASSERTIONS).where(_ASSERTIONS.c.expires_at < newest)
        return 2 * int(connection.execute(tokens).scalar_one()) + int(connection.execute(used).scalar_one())
