"""A cascade: one mark ends a tree of a million grants, while other trees go on issuing.

The server works as it does when it serves, group commit and fill beside requests included; only HTTP is left out.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns, process_time_ns

from agentsim.experiments.bench.aftermath import Aftermath, look_at
from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.load import no_collection
from agentsim.experiments.bench.neighbours import Neighbours, Waits, neighbours
from agentsim.experiments.bench.planting import CHAIN, SHAPES, Planted, plant
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.experiments.bench.requests import OWNER
from agentsim.server import (
    Admin,
    KeyRing,
    Policy,
    Revocation,
    Revoke,
    Server,
    SigningKey,
    Store,
    Verification,
    Verify,
)
from agentsim.server.http.gather import Gatherer
from agentsim.server.http.serving import SWITCH

#: What may be: milliseconds until nothing below verifies, seconds until all rows are filled in, times the usual p99.
MOST_REFUSED_MS, MOST_FILL_S, MOST_RATIO = 50.0, 15.0, 5.0
_AGENTS = 1_000
_HOUR = 3_600_000_000
_ADMIN = Admin(OWNER)
#: Seconds between two looks at how far the fill has come.
_LOOK = 0.05


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """What one revocation did.

    Attributes
    ----------
    returned_ms, refused_ms : from the call to its answer, and to the answer that refuses all probes.
    probes, still_valid : grants all over the tree whose token was shown afterwards, and those still found valid at first.
    fill_s, cpu_s : from the call until the last row was filled in: time, and this process's CPU, load included.
    fill_share, others_share : parts of that time that the writer spent on filling, and on what others asked.
    usual, beside : what requests of other trees waited before the call, and from it until the last row.
    """

    returned_ms: float
    refused_ms: float
    probes: int
    still_valid: int
    fill_s: float
    cpu_s: float
    fill_share: float
    others_share: float
    usual: Waits
    beside: Waits
    aftermath: Aftermath

    @property
    def ratio(self) -> float:
        """How many times their usual p99 other trees waited."""
        return self.beside.p99_ms / self.usual.p99_ms

    @property
    def sound(self) -> bool:
        """Whether nothing below was valid after the call and no row is missing."""
        return not self.still_valid and self.aftermath.complete

    @property
    def quick(self) -> bool:
        """Whether it is as quick as it should be for a million grants."""
        return self.refused_ms <= MOST_REFUSED_MS and self.fill_s <= MOST_FILL_S and self.ratio <= MOST_RATIO


def bench_cascade(
    *,
    grants: int = 1_000_000,
    shapes: Sequence[str] = tuple(SHAPES),
    database: str | None = None,
    usual_seconds: float = 10.0,
    progress: bool = False,
) -> dict[str, Cascade]:
    """Plant a tree of each shape, end it by its root, and see what becomes of it and of its neighbours.

    Parameters
    ----------
    grants : of each tree.
    shapes : names of :data:`SHAPES`.
    database : URL of one that nobody serves, where the trees stay; None: a temporary SQLite file for each shape.
    usual_seconds : how long the neighbours are measured beforehand.
    progress : whether to draw progress bars on standard error.

    Returns
    -------
    What was measured, by shape.

    Raises
    ------
    BenchError
        If the database cannot be used, or a token is not valid before the call.
    """
    found = {}
    for shape in shapes:
        with TemporaryDirectory(prefix="agentsim-bench-") as folder:
            url = database or f"sqlite:///{Path(folder) / 'cascade.db'}"
            found[shape] = _cascade(url, shape, grants, usual_seconds, progress)
    return found


def _cascade(url: str, shape: str, grants: int, usual_seconds: float, progress: bool) -> Cascade:
    prepare(url)
    agents = register_agents(url, min(_AGENTS, grants), progress)
    policy = Policy(max_depth=CHAIN, max_fanout=grants, access_ttl_us=_HOUR)
    keyring = KeyRing(SigningKey.generate())
    with closing(Store(url)) as store:
        tree = plant(store, policy, keyring, agents, shape=shape, grants=grants, progress=progress)
    # Opened anew: what planting has left in the log, SQLite has put in its place by then.
    with closing(Server(Store(url), policy=policy, keyring=keyring)) as server, as_served():
        beside = neighbours(server, agents)
        return asyncio.run(_Trial(server, tree, beside).run(usual_seconds))


class _Trial:
    """One server, one tree to be ended, and those beside it."""

    def __init__(self, server: Server, tree: Planted, beside: Neighbours) -> None:
        self._server = server
        self._tree = tree
        self._beside = beside

    async def run(self, usual_seconds: float) -> Cascade:
        gatherer = Gatherer(self._server)
        try:
            usual = await self._usual(gatherer, usual_seconds)
            if await self._count_valid(gatherer) < len(self._tree.probes):
                raise BenchError("a token is not valid before anything was revoked")
            return await self._cascade(gatherer, usual)
        finally:
            await gatherer.stop()

    async def _usual(self, gatherer: Gatherer, seconds: float) -> Waits:
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(seconds, over.set)
        return await self._beside.ask(gatherer, over)

    async def _cascade(self, gatherer: Gatherer, usual: Waits) -> Cascade:
        head, spent = self._server.store.head(0), Counter(self._server.spent)
        over = asyncio.Event()
        load = asyncio.create_task(self._beside.ask(gatherer, over))
        began, cpu = perf_counter_ns(), process_time_ns()
        mark = await gatherer.ask_one(Revoke(by=_ADMIN, token=self._tree.root, reason="theft"), Revocation)
        returned = perf_counter_ns() - began
        assert mark.revocation_id is not None
        still_valid = valid = await self._count_valid(gatherer)
        while valid:
            valid = await self._count_valid(gatherer)
        refused = perf_counter_ns() - began
        while not self._is_filled(mark.revocation_id):
            await asyncio.sleep(_LOOK)
        filled, cpu = perf_counter_ns() - began, process_time_ns() - cpu
        over.set()
        beside, spent = await load, self._server.spent - spent
        return Cascade(
            returned_ms=returned / 1e6,
            refused_ms=refused / 1e6,
            probes=len(self._tree.probes),
            still_valid=still_valid,
            fill_s=filled / 1e9,
            cpu_s=cpu / 1e9,
            fill_share=spent["fill"] / filled,
            others_share=(spent.total() - spent["fill"]) / filled,
            usual=usual,
            beside=beside,
            aftermath=await asyncio.to_thread(
                look_at, self._server.store, mark.revocation_id, self._tree.root_grant_id, head
            ),
        )

    async def _count_valid(self, gatherer: Gatherer) -> int:
        """How many of the tokens shown are found valid."""
        answers = await gatherer.ask(
            [Verify(token=token, include_history=False) for token in self._tree.probes]
        )
        return sum(isinstance(answer, Verification) and answer.is_valid for answer in answers)

    def _is_filled(self, revocation_id: int) -> bool:
        found = self._server.closure(revocation_id, most=0)
        return found is not None and found.closure == "closed"


@contextmanager
def as_served() -> Iterator[None]:
    """As in a process that serves: threads take turns quickly, and the collector does not look."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    try:
        with no_collection():
            yield
    finally:
        sys.setswitchinterval(usual)
