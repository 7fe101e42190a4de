"""What each lineage tree of a Run looks like, as one table."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.lineage.forest import Forest
from agentsim.lineage.narrowing import given_up
from agentsim.run import Run

_SECOND = 1_000_000

_TREES = """
    WITH ends AS (
        SELECT root_grant_id, min(issued_at) AS began,
               max(least(expires_at, coalesce(revoked_at, expires_at))) AS ended,
               count(*) AS tokens,
               count(*) FILTER (WHERE token_id = grant_id AND is_revoked) AS revoked_grants,
               count(*) FILTER (WHERE token_id = grant_id AND is_revoked
                                AND revocation_reason <> 'completed') AS stopped_grants
        FROM tokens GROUP BY root_grant_id
    ), asked AS (
        SELECT root_grant_id, count(*) AS decisions, count(*) FILTER (WHERE status = 'refused') AS refused
        FROM audit WHERE event_type <> 'token_ended' AND root_grant_id IS NOT NULL GROUP BY root_grant_id
    )
    SELECT ends.*, coalesce(decisions, 0) AS decisions, coalesce(refused, 0) AS refused
    FROM ends LEFT JOIN asked USING (root_grant_id)
    ORDER BY root_grant_id
"""


def tree_metrics(run: Run, forest: Forest | None = None) -> pd.DataFrame:
    """One row per lineage tree, by ``root_grant_id``.

    Parameters
    ----------
    run : any Run.
    forest : its forest, where the caller has it already.

    Returns
    -------
    DataFrame with the columns

    - ``root_grant_id``, ``tenant``
    - ``size`` (grants), ``depth`` (edges to the deepest grant), ``largest_fan_out`` (children of one grant)
    - ``scope_narrowing``, ``tool_narrowing``: mean over the tree's edges of the share of the parent token's
      members that the child does not hold whole, 0 (all kept) to 1; NaN for a tree without edges
    - ``lifetime_s``: seconds from the first issue to the last moment at which any of its tokens could be valid
    - ``tokens``, ``revoked_grants``, and ``stopped_grants`` among them: revoked because something was wrong, not
      because their task was ``completed``
    - ``decisions`` about the tree (fill rows are none), ``refused``, ``refused_share`` (NaN without decisions)
    """
    forest = Forest.from_run(run) if forest is None else forest
    roots = forest.roots()
    frame = pd.DataFrame(
        {
            "root_grant_id": forest.grant_id[roots],
            "tenant": forest.tenant[roots],
            "size": forest.size[roots],
            "depth": forest.per_tree(forest.depth, np.maximum),
            "largest_fan_out": forest.per_tree(forest.children, np.maximum),
        }
    )
    for name, shares in given_up(run, forest).items():
        frame[f"{name}_narrowing"] = _mean_per_tree(forest, shares)
    frame = frame.merge(run.sql(_TREES), on="root_grant_id", how="left")
    frame["lifetime_s"] = (frame.pop("ended") - frame.pop("began")) / _SECOND
    frame["refused_share"] = frame["refused"] / frame["decisions"].where(frame["decisions"] > 0)
    return frame


def _mean_per_tree(forest: Forest, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    known = ~np.isnan(values)
    total = np.bincount(forest.root[known], values[known], minlength=len(forest))
    count = np.bincount(forest.root[known], minlength=len(forest))
    roots = forest.roots()
    with np.errstate(invalid="ignore"):
        return total[roots] / count[roots]
