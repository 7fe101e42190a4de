"""What a Run did and what that cost: tables of the ``scale`` report.

Wall times come from the ``windows`` table. Its rows are the operations, each with the wall time of its
decisions, and the stages that a batch shares (:data:`STAGES`); together they are all the time there was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from agentsim.lineage import Forest, Summary, summarise
from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.marks import ended_by
from agentsim.run import Run

#: Rows of ``windows`` that are no operations, and what they are in words.
STAGES = {
    "load": "reading from the database",
    "write": "writing to the database",
    "fill": "filling in rows below marks",
    "drive": "simulating the agents",
}
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
#: Refusals that say: a mark or the end of a task was in force.
AFTER_MARK = ("revoked", "parent_revoked", "refresh_revoked", "task_terminated")


@dataclass(frozen=True)
class Cost:
    """Wall time of a Run in microseconds, over its agents and operations.

    Attributes
    ----------
    agents, operations : what the time was spent on.
    server_us : in the server.
    wall_us : in the server and in simulating the agents.
    """

    agents: int
    operations: int
    server_us: int
    wall_us: int

    @property
    def us_per_agent(self) -> float:
        """Wall time in the server per agent, in microseconds."""
        return self.server_us / self.agents if self.agents else float("nan")

    @property
    def rate(self) -> float:
        """Operations per second of wall time in the server."""
        return 1e6 * self.operations / self.server_us if self.server_us else float("nan")


@dataclass(frozen=True)
class Steadiness:
    """Whether an operation costs more late in a Run than early.

    Attributes
    ----------
    early, late : microseconds per operation in the first and the last quarter of the operations, had both had
        the mix of operations of the whole Run.
    """

    early: float
    late: float

    @property
    def ratio(self) -> float:
        """Late cost over early cost; NaN where there is nothing to compare."""
        return self.late / self.early if self.early else float("nan")


class Scale:
    """The tables of the report, each worked out when it is first asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def summary(self) -> Summary:
        """The Run in figures."""
        return summarise(self.run)

    @cached_property
    def cost(self) -> Cost:
        """The Run's wall time."""
        windows = self._windows
        return Cost(
            agents=self.summary.agents,
            operations=int(windows.loc[~_is_stage(windows), "count"].sum()),
            server_us=int(windows.loc[windows["operation"] != _OUTSIDE, "wall_us"].sum()),
            wall_us=int(windows["wall_us"].sum()),
        )

    @property
    def simulated_us(self) -> int:
        """Microseconds of simulated time."""
        return self.run.manifest.end - self.run.manifest.start

    @cached_property
    def forest(self) -> Forest:
        """The lineage of all grants."""
        return Forest.from_run(self.run)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Per operation and stage, the dearest first: ``count``, ``refused``, ``wall_us``, ``us_each``, ``share``.

        ``us_each`` is microseconds per operation (a stage's time is divided by all operations); ``share`` is the
        part of the server's time, so the simulation of the agents is not among the rows.
        """
        costs = self._windows.groupby("operation", as_index=False)[["count", "refused", "wall_us"]].sum()
        costs = costs[costs["operation"] != _OUTSIDE]
        costs["us_each"] = costs["wall_us"] / costs["count"].where(~_is_stage(costs), self.cost.operations)
        costs["share"] = costs["wall_us"] / max(1, costs["wall_us"].sum())
        return costs.sort_values("wall_us", ascending=False, ignore_index=True)

    @cached_property
    def windows(self) -> pd.DataFrame:
        """Per window in order of time: what was done, at which cost.

        ``start`` is in µs since the Run began, ``us_each`` is time in the server per operation, ``rss_bytes`` is the
        largest process's, ``database_bytes`` that of all tenants together.
        """
        rows = self._windows
        at = rows.groupby("start")
        counts = rows[~_is_stage(rows)].groupby("start")["count"].sum()
        wall = rows[rows["operation"] != _OUTSIDE].groupby("start")["wall_us"].sum()
        # A tenant without operations in a window has no row: its database stays as large as it was.
        sizes = rows.pivot_table("database_bytes", "start", "tenant", aggfunc="max").ffill().fillna(0)
        frame = pd.DataFrame(
            {
                "count": counts,
                "us_each": wall / counts,
                "rss_bytes": at["rss_bytes"].max(),
                "database_bytes": sizes.sum(axis=1),
            }
        )
        frame.index -= self.run.manifest.start
        return frame.reset_index()

    @cached_property
    def steadiness(self) -> Steadiness:
        """Cost of an operation early and late in the Run, with the same mix of operations."""
        rows = self._windows[self._windows["operation"] != _OUTSIDE]
        totals = rows.groupby("start")["count"].sum().cumsum()
        position = rows["start"].map(totals / max(1, totals.iloc[-1] if len(totals) else 1))
        is_stage = _is_stage(rows)
        operations = rows[~is_stage].groupby("start")["count"].sum()
        # What a batch shares is paid for by every operation in it.
        weight = rows["count"].where(~is_stage, rows["start"].map(operations))
        parts = {
            name: rows[mask].assign(weight=weight[mask]).groupby("operation")[["wall_us", "weight"]].sum()
            for name, mask in {"early": position <= 0.25, "late": position > 0.75}.items()
        }
        joined = parts["early"].join(parts["late"], how="inner", lsuffix="_early", rsuffix="_late")
        mix = rows.assign(weight=weight).groupby("operation")["weight"].sum().reindex(joined.index)
        each = {name: joined[f"wall_us_{name}"] / joined[f"weight_{name}"] for name in ("early", "late")}
        total = max(1.0, float(operations.sum()))
        return Steadiness(**{name: float((cost * mix).sum() / total) for name, cost in each.items()})

    @cached_property
    def refusals(self) -> pd.DataFrame:
        """Per reason, the commonest first: ``reason``, ``asked`` (kinds of decision), ``count``, ``by_attackers``."""
        return self.run.sql("""
            SELECT coalesce(reason, 'unspecified') AS reason,
                   string_agg(DISTINCT event_type, ', ' ORDER BY event_type) AS asked,
                   count(*) AS count,
                   count(l.log_id) AS by_attackers
            FROM audit LEFT JOIN (SELECT DISTINCT log_id FROM labels WHERE label = 1) AS l USING (log_id)
            WHERE status = 'refused'
            GROUP BY 1 ORDER BY count DESC, reason
        """)

    @cached_property
    def trees(self) -> pd.DataFrame:
        """Per lineage tree: ``size`` in grants and ``depth``."""
        roots = self.forest.roots()
        depth = self.forest.per_tree(self.forest.depth, np.maximum)
        return pd.DataFrame({"size": self.forest.size[roots], "depth": depth})

    @cached_property
    def levels(self) -> pd.DataFrame:
        """Per depth: ``depth`` and ``grants``."""
        grants = np.bincount(self.forest.depth)
        return pd.DataFrame({"depth": np.arange(len(grants)), "grants": grants})

    @cached_property
    def marks(self) -> pd.DataFrame:
        """Per mark in order of time: when it was set, and what it ended.

        ``at`` is in µs since the Run began; ``grants`` and ``tokens`` are those that it ended; ``lag_us`` is the
        time from the mark to its last filled-in row, NaN where nothing was filled in.
        """
        frame = self.run.sql("""
            SELECT r.revoked_at AS at, r.kind, r.reason,
                   r.affected_grants AS grants, r.affected_tokens AS tokens,
                   (f.last - r.revoked_at)::DOUBLE AS lag_us
            FROM revocations AS r LEFT JOIN (
                SELECT tenant, (details::JSON ->> 'revocation_id')::BIGINT AS revocation_id,
                       max(timestamp) AS last
                FROM audit WHERE event_type = 'token_ended' GROUP BY ALL
            ) AS f USING (tenant, revocation_id)
            ORDER BY r.revocation_id
        """)
        frame["at"] -= self.run.manifest.start
        return frame.astype({"kind": str, "reason": str})

    @cached_property
    def honoured(self) -> int:
        """Decisions that let a grant act after a mark had ended it. It has to be 0."""
        if self.summary.marks == 0:
            return 0
        evidence = Evidence(self.run)
        ended = ended_by(evidence).groupby("row")["revocation_id"].min()
        marks = pd.Series(ended.to_numpy(), index=evidence.tokens.ids[ended.index.to_numpy()])
        decisions = self.run.sql("""
            SELECT log_id, grant_id FROM audit WHERE status = 'granted' AND grant_id IS NOT NULL
              AND event_type IN ('token_verified', 'token_issued', 'child_token_issued', 'token_refreshed')
        """)
        return int((decisions["log_id"] > decisions["grant_id"].map(marks)).sum())

    @cached_property
    def turned_away(self) -> int:
        """Operations that were refused because a mark was in force."""
        refusals = self.refusals
        return int(refusals.loc[refusals["reason"].isin(AFTER_MARK), "count"].sum())

    @cached_property
    def _windows(self) -> pd.DataFrame:
        frame = self.run.frame("windows")
        plain = {name: "int64" for name in frame.columns if name not in ("operation", "tenant")}
        return frame.astype({**plain, "operation": str, "tenant": "int64"})


def _is_stage(windows: pd.DataFrame) -> pd.Series[bool]:
    return windows["operation"].isin(list(STAGES))
