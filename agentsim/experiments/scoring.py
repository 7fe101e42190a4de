"""What scores the entities of a Run: detectors that have learned from another one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd

from agentsim.risk import Behaviour, Combined, Evidence, Novelty, gather, read_behaviour
from agentsim.risk.behaviour import Floats
from agentsim.run import Run


class Scorer(Protocol):
    """Gives scores; a saved model is one.

    Attributes
    ----------
    detector : its name.
    sha256 : of the saved model.
    """

    @property
    def detector(self) -> str: ...

    @property
    def sha256(self) -> str | None: ...

    def score(self, run: Run) -> pd.DataFrame:
        """A table of scores, columns :data:`agentsim.risk.thresholds.COLUMNS`."""
        ...


class Learned:
    """The combined detector, learned from a Run without attacks and not saved."""

    sha256 = None

    def __init__(self, reference: Run) -> None:
        self._combined = Combined(0, [Novelty(), Novelty(order=True)]).fit(gather(reference))
        self.detector = self._combined.name

    def score(self, run: Run) -> pd.DataFrame:
        """A table of scores of the grants."""
        behaviour = read_behaviour(run)
        evidence = gather(behaviour)
        return grant_scores(behaviour, evidence, self._combined.score(evidence))


def grant_scores(behaviour: Behaviour, evidence: Evidence, score: Floats) -> pd.DataFrame:
    """Scores of the grants of a Run as a table of scores."""
    return pd.DataFrame(
        {
            "kind": "grant",
            "tenant": behaviour.grants["tenant"].to_numpy(np.int64),
            "entity": evidence.features.index.to_numpy(np.int64),
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
