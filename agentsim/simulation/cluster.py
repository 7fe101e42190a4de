"""Workers of a Dask cluster: the same tenants on many machines.

Only a tenant's number goes out and its manifest entries come back; its tables are written by the worker, into the Run's
directory, which every machine must see under the same path. The token server's database stays on the worker's own disk:
SQLite's write-ahead log needs one.
"""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TypeVar

from agentsim.run import Failure, RunError
from agentsim.simulation.shards import Work
from agentsim.simulation.tenantwork import Played, TenantWork

_Outcome = TypeVar("_Outcome")
#: Seconds within which a scheduler must answer.
_PATIENCE = 10


class Cluster:
    """A crew on a Dask cluster (the extra ``agentsim[cluster]``).

    All tenants are handed over at once, so that workers which join later find some, too.

    Parameters
    ----------
    scheduler : its address, for example ``tcp://10.0.0.1:8786``.
    lanes : how many tenants there are.

    Raises
    ------
    RunError
        If Dask is not installed, or the scheduler does not answer.
    """

    def __init__(self, scheduler: str, lanes: int) -> None:
        try:
            from distributed import Client, KilledWorker
        except ImportError:
            raise RunError("--scheduler needs Dask: install agentsim[cluster]") from None
        self.lanes = lanes
        self._killed = KilledWorker
        try:
            self._client = Client(scheduler, timeout=_PATIENCE)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise RunError(f"{scheduler}: no Dask scheduler answers here: {error}") from None
        self._executor = self._client.get_executor(pure=False)  # type: ignore[no-untyped-call]

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        # What is under way on the workers cannot be called back; what it writes is what it would be again.
        self._executor.shutdown(wait=kind is None)
        self._client.close()  # type: ignore[no-untyped-call]

    def submit(self, lane: int, work: Work[_Outcome], tenant: int) -> Future[_Outcome]:
        """Hand a tenant over; the scheduler decides to whom."""
        future: Future[_Outcome] = self._executor.submit(_work_on_worker, work, tenant)
        return future

    def died(self, error: BaseException) -> bool:
        """Whether the tenant's workers were killed, more often than the scheduler puts up with."""
        return isinstance(error, self._killed)

    def renew(self, lane: int) -> None:
        """Nothing: a cluster looks after its workers itself."""


def _work_on_worker(work: TenantWork, tenant: int) -> Played | Failure:
    with TemporaryDirectory(prefix="agentsim-") as scratch:
        return replace(work, scratch=Path(scratch))(tenant, _tell_nobody)


def _tell_nobody(_done: int) -> None:
    """Progress within a tenant is not told across machines."""
