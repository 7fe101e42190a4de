"""The core's batch path beside its floor: a bare signature for each grant, and a bare insert of the same rows.

No HTTP. Batch by batch, first the server decides, signs, stores and audits; then as many tokens are signed by PyJWT
alone, and the rows that the server has just written go as they are into a second, equal database, by the driver alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

import numpy as np
from sqlalchemy import Table, select
from sqlalchemy.dialects import sqlite
from tqdm.auto import tqdm

from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.figures import Figures, Sample, summarise
from agentsim.experiments.bench.floor import BareSigner
from agentsim.experiments.bench.population import register_agents
from agentsim.experiments.bench.requests import SCOPE, AgentCredentials
from agentsim.server import Client, Issue, OAuthError, Server, Store
from agentsim.server.schema import AuditRow, Base, IssuedToken

FLOOR = "bare signature and insert"
OURS = "server, batch path"
#: What a grant writes.
_TABLES = tuple(Base.metadata.tables[model.__tablename__] for model in (IssuedToken, AuditRow))
_INSERT = {
    table: str(table.insert().compile(dialect=sqlite.dialect(paramstyle="qmark"))) for table in _TABLES
}
#: Batches that are not counted: caches fill, and statements are prepared.
_WARM_UP = 2
_Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
class ServerResult:
    """Figures by what was measured, the floor first; a latency is that of a whole batch."""

    agents: int
    batches: int
    batch_size: int
    figures: dict[str, Figures]


def bench_server(
    *, agents: int = 10_000, batches: int = 50, batch_size: int = 1_000, progress: bool = False
) -> ServerResult:
    """Measure batches of grants in this process, on SQLite files with synchronous FULL as when serving.

    Parameters
    ----------
    agents : how many are registered; they ask in turn.
    batches, batch_size : how many batches are measured, and how many grants each of them has.
    progress : whether to draw progress bars on standard error.

    Raises
    ------
    BenchError
        If a grant is refused.
    """
    with TemporaryDirectory(prefix="agentsim-bench-") as folder:
        url = f"sqlite:///{Path(folder) / 'server.db'}"
        credentials = register_agents(url, agents, progress)
        rounds: list[tuple[Sample, Sample]] = []
        with (
            closing(Server(Store(url))) as server,
            closing(_Floor(Path(folder) / "floor.db", server)) as floor,
        ):
            turns = range(_WARM_UP + batches)
            for number in tqdm(turns, unit="batch", disable=not progress, desc="measure", leave=False):
                asked = _batch(credentials, number, batch_size)
                ours = _timed(partial(_grant, server, asked), batch_size)
                rounds.append((ours, _timed(partial(floor.repeat, floor.new_rows()), batch_size)))
    counted = rounds[_WARM_UP:]
    bare = [floor for _, floor in counted]
    figures = {FLOOR: summarise(bare, bare), OURS: summarise([ours for ours, _ in counted], bare)}
    return ServerResult(agents=agents, batches=batches, batch_size=batch_size, figures=figures)


class _Floor:
    """Does again what a server has done, without anything in between.

    Parameters
    ----------
    path : its own database, with the same tables, indexes and settings.
    server : whose rows it repeats.
    """

    def __init__(self, path: Path, server: Server) -> None:
        Store(path).close()
        self._database = sqlite3.connect(path, isolation_level=None)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "cache_size=-262144",
            "wal_autocheckpoint=10000",
        ):
            self._database.execute(f"PRAGMA {pragma}")
        self._signer = BareSigner()
        self._store = server.store
        self._last = dict.fromkeys(_TABLES, 0)
        self.new_rows()

    def new_rows(self) -> dict[Table, _Rows]:
        """What the server has written since the last call."""
        found: dict[Table, _Rows] = {}
        with self._store.transaction() as connection:
            for table, last in self._last.items():
                (key,) = table.primary_key
                query = select(table).where(key > last).order_by(key)
                found[table] = [tuple(row) for row in connection.execute(query)]
        self._last |= {table: rows[-1][0] for table, rows in found.items() if rows}
        return found

    def repeat(self, rows: dict[Table, _Rows]) -> None:
        """Sign as many tokens as there are token rows, and insert all rows in one transaction."""
        for _ in rows[_TABLES[0]]:
            self._signer.sign()
        self._database.execute("BEGIN IMMEDIATE")
        for table, some in rows.items():
            self._database.executemany(_INSERT[table], some)
        self._database.execute("COMMIT")

    def close(self) -> None:
        self._database.close()


def _batch(agents: Sequence[AgentCredentials], number: int, size: int) -> list[Issue]:
    """The next agents in turn, each with a task of its own."""
    places = range(number * size, (number + 1) * size)
    return [
        Issue(by=Client(*agents[place % len(agents)]), task_id=f"task-{place:09}-00", scope=SCOPE)
        for place in places
    ]


def _grant(server: Server, asked: Sequence[Issue]) -> None:
    for answer in server.execute(asked):
        if isinstance(answer, OAuthError):
            raise BenchError(f"not every request was granted; the first: {answer}")


def _timed(work: Callable[[], None], grants: int) -> Sample:
    began = perf_counter_ns()
    work()
    spent = perf_counter_ns() - began
    return Sample(
        seconds=spent / 1e9,
        grants=grants,
        latencies=np.array([spent]),
        answered=grants,
        faults={},
        evidence="",
        kept=[],
    )
