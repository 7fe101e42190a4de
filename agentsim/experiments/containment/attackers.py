"""How far each attack of a Run got: what was honoured, what it reached, and how soon something was done about it.

Here labels are read, as in every place that judges.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.lineage import Forest
from agentsim.lineage.blast import blast_radius
from agentsim.run import Run

#: What an attack is known by, the same in all Runs of one scenario and seed.
KEY = ["tenant", "attack_id"]
# What whoever received a call tells of it is no request of the attacker's.
_OPERATIONS = """
    SELECT l.tenant, l.attack_id, l.attack::VARCHAR AS attack, l.grant_id, a.timestamp,
           a.status = 'granted' AS honoured
    FROM labels AS l JOIN audit AS a ON l.tenant = a.tenant AND l.log_id = a.log_id
    WHERE l.label = 1 AND a.event_type <> 'task_execution'
"""
#: What was done because of risk, about a grant, all that hangs below it, or an agent.
RESPONSES = """
    SELECT tenant, client_id, grant_id, root_grant_id, event_type::VARCHAR AS event, timestamp,
           details -> '$.risk' ->> '$.action' AS action
    FROM audit
    WHERE contains(details, '"risk":{') AND (event_type = 'token_verified' OR status = 'granted')
"""


def attacks_of(run: Run) -> pd.DataFrame:
    """One row for each attack that the server saw, by tenant and number.

    Returns
    -------
    DataFrame with the index ``tenant``, ``attack_id`` and the columns ``attack`` (kind), ``operations``, ``honoured``,
    ``grants_reached`` and ``resources_reached`` (what hangs below the grants with which it was honoured: its blast
    radius), and ``contained_after_s``: seconds from its first operation until something was done about a grant or an
    agent of its own, 0 where that was before; NaN where nothing was.
    """
    operations = operations_of(run)
    grouped = operations.groupby(KEY)
    frame = pd.DataFrame(
        {
            "attack": grouped["attack"].first(),
            "operations": grouped.size(),
            "honoured": grouped["honoured"].sum(),
            "began": grouped["timestamp"].min(),
        }
    )
    reached = reach_of(run, operations[operations["honoured"]])
    frame = frame.join(reached).fillna({"grants_reached": 0, "resources_reached": 0})
    done = _first_response(run, operations)
    frame["contained_after_s"] = (done.reindex(frame.index) - frame["began"]).clip(lower=0) / 1e6
    return frame.drop(columns="began")


def operations_of(run: Run) -> pd.DataFrame:
    """What attackers asked for, one row each: ``tenant``, ``attack_id``, ``attack``, ``grant_id``, ``timestamp``, ``honoured``."""
    return run.sql(_OPERATIONS)


def reach_of(run: Run, honoured: pd.DataFrame) -> pd.DataFrame:
    """The blast radius of each attack, of some of their operations: ``grants_reached``, ``resources_reached``.

    A grant that two attacks use counts for the one that came first.
    """
    honoured = honoured[honoured["grant_id"].notna()]
    names = pd.MultiIndex.from_frame(honoured[KEY]).unique()
    first = honoured.sort_values("timestamp").drop_duplicates("grant_id")
    forest = Forest.from_run(run)
    holder = np.full(len(forest), -1, np.int64)
    place = np.searchsorted(forest.grant_id, first["grant_id"].to_numpy(np.int64))
    holder[place] = names.get_indexer(pd.MultiIndex.from_frame(first[KEY]))
    radius = blast_radius(run, forest, holder)
    return pd.DataFrame(
        {
            "grants_reached": radius["grants"].to_numpy(),
            "resources_reached": radius["resources"].to_numpy(),
        },
        index=names[radius["holder"].to_numpy(np.int64)],
    )


def _first_response(run: Run, operations: pd.DataFrame) -> pd.Series:
    """When something was done first about an entity that an attack has touched: its grants, their trees and agents."""
    responses = run.sql(RESPONSES)
    responses = responses[responses["action"] != "log"]
    tokens = run.frame("tokens", ["token_id", "grant_id", "root_grant_id", "client_id"])
    grants = tokens[tokens["token_id"] == tokens["grant_id"]].drop(columns="token_id")
    touched = operations[[*KEY, "grant_id"]].dropna().drop_duplicates().merge(grants, on="grant_id")
    trees = responses[responses["action"].isin(("revoke_tree",)) & (responses["event"] == "token_revoked")]
    agents = responses[responses["event"] == "agent_disabled"]
    hits = [
        touched.merge(responses[["grant_id", "timestamp"]].dropna(), on="grant_id"),
        touched.merge(trees[["root_grant_id", "timestamp"]].dropna(), on="root_grant_id"),
        touched.merge(agents[["client_id", "timestamp"]], on="client_id"),
    ]
    return pd.concat(hits).groupby(KEY)["timestamp"].min()
