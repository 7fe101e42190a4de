"""Tables of scores: what thresholds are chosen on."""

from __future__ import annotations

import pandas as pd

from agentsim.risk import Evidence
from agentsim.risk.behaviour import Floats


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
