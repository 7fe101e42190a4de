"""What a Run did: tables of the ``scale`` report."""

from __future__ import annotations

from functools import cached_property

import pandas as pd

from agentsim.lineage import Forest, Summary, aftermath, summarise
from agentsim.reporting.scale.wall import Wall
from agentsim.run import Run

#: Refusals that say: a mark or the end of a task was in force.
AFTER_MARK = ("revoked", "parent_revoked", "refresh_revoked", "task_terminated")


class Scale:
    """The tables of the report, each worked out when it is first asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def summary(self) -> Summary:
        """The Run in figures."""
        return summarise(self.run)

    @cached_property
    def wall(self) -> Wall:
        """Where the wall time went."""
        return Wall(self.run)

    @property
    def simulated_us(self) -> int:
        """Microseconds of simulated time."""
        return self.run.manifest.end - self.run.manifest.start

    @cached_property
    def forest(self) -> Forest:
        """The lineage of all grants."""
        return Forest.from_run(self.run)

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
        return int(aftermath(self.run, self.forest)["honoured"].sum())

    @cached_property
    def turned_away(self) -> int:
        """Operations that were refused because a mark was in force."""
        refusals = self.refusals
        return int(refusals.loc[refusals["reason"].isin(AFTER_MARK), "count"].sum())
