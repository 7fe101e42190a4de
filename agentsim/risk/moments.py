"""When something was heard of an entity last: the moment of a score that counts all that it did."""

from __future__ import annotations

import pandas as pd

from agentsim.run import Run


def with_times(run: Run, scored: pd.DataFrame) -> pd.DataFrame:
    """A table of scores with ``raised_at`` (microseconds): the last event of each entity, in the order that it had."""
    last = run.sql(_LAST)
    return scored.merge(last, on=["tenant", "kind", "entity"], how="left").astype({"raised_at": "Int64"})


# What is done about an alarm comes after the last event of the entity itself.
_LAST = """
    WITH events AS (
        SELECT tenant, grant_id, coalesce(root_grant_id, grant_id) AS tree, client_id, timestamp FROM audit
        WHERE event_type IN ('token_issued', 'child_token_issued', 'token_refreshed', 'token_verified',
                             'token_introspected', 'task_execution', 'agent_registered', 'agent_updated')
    )
    SELECT tenant, kind, entity, max(timestamp) AS raised_at FROM (
        SELECT tenant, 'grant' AS kind, grant_id AS entity, timestamp FROM events
        UNION ALL SELECT tenant, 'tree', tree, timestamp FROM events
        UNION ALL SELECT tenant, 'agent', client_id, timestamp FROM events
    )
    WHERE entity IS NOT NULL GROUP BY ALL
"""
