"""Tables of scores: what thresholds are chosen on."""

from __future__ import annotations

import pandas as pd

from agentsim.risk import Evidence
from agentsim.risk.behaviour import Floats
from agentsim.run import Run


def scores_of(evidence: Evidence, score: Floats) -> pd.DataFrame:
    """Scores of the entities of some evidence as a table of scores."""
    return pd.DataFrame(
        {
            "kind": evidence.kind,
            "tenant": evidence.tenant,
            "entity": evidence.features.index.to_numpy(),
            "tree": evidence.tree,
            "role": evidence.role,
            "score": score,
        }
    )


def with_times(run: Run, scored: pd.DataFrame) -> pd.DataFrame:
    """A table of scores with ``raised_at``: the last event of each entity, for a score that counts all that it did."""
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
