"""What a Run cost: wall time, memory and disk, from its ``windows`` table.

The rows of a window are the operations, each with the wall time of its decisions, and the stages that a batch
shares (:data:`STAGES`); together they are all the time there was.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import nnls

from agentsim.lineage import latencies
from agentsim.run import Run

Floats = npt.NDArray[np.float64]

#: Rows of ``windows`` that are no operations, and what they are in words.
STAGES = {
    "load": "reading from the database",
    "write": "writing to the database",
    "fill": "filling in rows below marks",
    "drive": "simulating the agents",
}
#: What is read of ``windows`` beside the name of the row.
_COLUMNS = ["tenant", "window", "start", "count", "refused", "wall_us", "rss_bytes", "database_bytes"]
#: The stage outside the server.
_OUTSIDE = "drive"
#: Operations by name, in words.
OPERATIONS = {
    "Register": "register an agent",
    "Confirm": "confirm an agent",
    "Issue": "issue a root grant",
    "IssueChild": "issue a child grant",
    "Refresh": "refresh",
    "Verify": "verify",
    "Introspect": "introspect",
    "Revoke": "revoke",
    "RecordExecution": "record an execution",
}
#: Rounds after which the levels no longer change.
_ROUNDS = 25
#: Windows that a comparison of early and late needs at least.
_FEW_WINDOWS = 20


class Wall:
    """Where the wall time of a Run went. All times in microseconds.

    Attributes
    ----------
    agents, operations : what the time was spent on; people count as agents here.
    server_us : in the server.
    all_us : in the server and in simulating the agents.
    """

    def __init__(self, run: Run) -> None:
        frame = run.frame("windows", ["operation", *_COLUMNS]).astype({"operation": str})
        frame = frame.astype(dict.fromkeys(_COLUMNS, "int64"))
        frame["start"] -= run.manifest.start
        self._rows = frame.sort_values(["tenant", "window"], kind="stable", ignore_index=True)
        self.agents = int(run.sql("SELECT count(*) AS n FROM agents")["n"].iloc[0])
        self.operations = int(self._of_operations["count"].sum())
        self.server_us = int(self._of_server["wall_us"].sum())
        self.all_us = int(frame["wall_us"].sum())
        self._latencies = latencies(run)

    @property
    def us_per_agent(self) -> float:
        """Time in the server per agent."""
        return self.server_us / self.agents if self.agents else float("nan")

    @property
    def us_per_operation(self) -> float:
        """Time in the server per operation."""
        return self.server_us / self.operations if self.operations else float("nan")

    @cached_property
    def parts(self) -> pd.DataFrame:
        """Per operation and stage, the dearest first: ``count``, ``refused``, ``wall_us``, ``us_each``, ``share``, ``p50``, ``p99``.

        The last two are how long an answer took. ``us_each`` is time per operation; that of a stage is divided by all operations. ``share`` is the part of
        the server's time; the simulation of the agents is not among the rows.
        """
        sums = self._of_server.groupby("operation", as_index=False)[["count", "refused", "wall_us"]].sum()
        is_stage = sums["operation"].isin(list(STAGES))
        sums["us_each"] = sums["wall_us"] / sums["count"].where(~is_stage, self.operations)
        sums["share"] = sums["wall_us"] / max(1, self.server_us)
        sums["is_stage"] = is_stage
        for name in ("p50", "p99"):
            told = {operation: getattr(latency, name) for operation, latency in self._latencies.items()}
            sums[name] = sums["operation"].map(told).astype("float64")
        return sums.sort_values("wall_us", ascending=False, ignore_index=True)

    @cached_property
    def over_time(self) -> pd.DataFrame:
        """Per window of simulated time: ``start`` (since the Run began), ``count``, ``us``, ``expected``, ``relative``.

        ``us`` is time in the server; ``relative`` is that time over ``expected``, what the window's operations and batches cost
        on average in this Run, so that neither the mix nor the size of the windows shows in it.
        """
        cost = self._per_tenant.groupby("start")[["count", "us", "expected"]].sum().reset_index()
        cost["relative"] = cost["us"] / cost["expected"]
        return cost

    @cached_property
    def late_over_early(self) -> float:
        """Cost of the same work in the last quarter of the operations over that in the first; NaN for a short Run."""
        if len(self._per_tenant) < _FEW_WINDOWS:
            return float("nan")
        level = self._per_tenant.groupby("quarter")["level"].first()
        return float(level.iloc[-1] / level.iloc[0])

    @cached_property
    def growth(self) -> pd.DataFrame:
        """Per window in the order in which they were worked through, tenant after tenant.

        ``done`` (operations), ``rss_bytes`` (of the process) and ``database_bytes`` (of all tenants so far).
        """
        at = self._rows.groupby(["tenant", "window"])
        sizes = at[["rss_bytes", "database_bytes"]].max()
        sizes["done"] = self._of_operations.groupby(["tenant", "window"])["count"].sum()
        sizes["done"] = sizes["done"].fillna(0).cumsum().astype("int64")
        finished = sizes.groupby("tenant")["database_bytes"].last().cumsum().shift(fill_value=0)
        sizes["database_bytes"] += sizes.index.get_level_values("tenant").map(finished.to_dict())
        return sizes.reset_index(drop=True)

    @cached_property
    def _per_tenant(self) -> pd.DataFrame:
        """Per tenant and window, in order of time: what was done, what it cost, and what it costs on average.

        ``start``, ``count``, ``us``, ``expected``, ``quarter`` (of the operations, 0 to 3) and its ``level`` of cost.
        """
        keys = ["start", "tenant", "window"]
        counts = self._of_operations.pivot_table("count", keys, "operation", aggfunc="sum", fill_value=0)
        rows = self._of_server
        batches = rows[rows["operation"] == "load"].groupby(keys)["count"].sum()
        causes = counts.assign(batches=batches).fillna(0).to_numpy(float)
        us = rows.groupby(keys)["wall_us"].sum().reindex(counts.index).to_numpy(float)
        total = counts.sum(axis=1)
        done = total.cumsum().to_numpy(float) / max(1, total.sum())
        quarter = np.minimum(4 * done, 3).astype(np.int64)
        expected, level = _fit(causes, us, total.to_numpy(float), quarter)
        fitted = pd.DataFrame({"count": total, "us": us, "expected": expected, "quarter": quarter})
        return fitted.assign(level=level[quarter]).reset_index()

    @property
    def _of_operations(self) -> pd.DataFrame:
        return self._rows[~self._rows["operation"].isin(list(STAGES))]

    @property
    def _of_server(self) -> pd.DataFrame:
        return self._rows[self._rows["operation"] != _OUTSIDE]


def _fit(causes: Floats, us: Floats, weight: Floats, quarter: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Split wall time into what each cause costs and a level per quarter: ``us = (causes @ cost) * level[quarter]``.

    Least squares, alternating between costs and levels. Fitted at once, an operation that comes mostly late would
    have its late price taken for its own.

    Parameters
    ----------
    causes : (windows, causes) counts.
    us : (windows,) time of each.
    weight : (windows,) operations; times scatter as their square root.
    quarter : (windows,) 0 to 3.

    Returns
    -------
    Expected time of each window at a level of 1, and the four levels; together they keep the total.
    """
    level, scale = np.ones(4), 1 / np.sqrt(np.maximum(weight, 1))
    expected = np.zeros_like(us)
    for _ in range(_ROUNDS):
        cost, _residual = nnls(causes * (level[quarter] * scale)[:, None], us * scale)
        expected = causes @ cost
        spent, planned = (np.bincount(quarter, weights=values, minlength=4) for values in (us, expected))
        level = np.divide(spent, planned, out=np.ones(4), where=planned > 0)
    keep = us.sum() / expected.sum() if expected.any() else 1.0
    return expected * keep, level / keep
