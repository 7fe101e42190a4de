"""Who delegated to whom."""

import pandas as pd

from agentsim.run import Run

_EDGES = """
    SELECT {giver} AS giver, {taker} AS taker, count(*) AS grants
    FROM tokens AS c JOIN tokens AS p ON c.parent_grant_id = p.token_id AND c.tenant = p.tenant
    WHERE c.token_id = c.grant_id
    GROUP BY ALL ORDER BY grants DESC, giver, taker
"""


def delegations_by_role(run: Run) -> pd.DataFrame:
    """How many grants each role passed on to each: ``giver``, ``taker``, ``grants``, the most first."""
    giver, taker = (f"coalesce({side}.role::VARCHAR, 'unknown role')" for side in "pc")
    return run.sql(_EDGES.format(giver=giver, taker=taker))


def delegations_by_agent(run: Run) -> pd.DataFrame:
    """How many grants each agent passed on to each, the most first.

    Returns
    -------
    DataFrame with the columns ``giver``, ``taker`` (client ids), ``grants``, and of each side name, owner and role:
    ``giver_name``, ``taker_owner`` and so on.
    """
    edges = run.sql(_EDGES.format(giver="p.client_id", taker="c.client_id"))
    agents = run.sql("""
        SELECT client_id, coalesce(agent_name, 'unknown agent') AS name, coalesce(role::VARCHAR, 'unknown role') AS role,
               owner::VARCHAR AS owner
        FROM agents
    """).set_index("client_id")
    for side in ("giver", "taker"):
        edges[f"{side}_name"] = edges[side].map(agents["name"]).fillna("unknown agent")
        edges[f"{side}_owner"] = edges[side].map(agents["owner"]).fillna("unknown owner")
        edges[f"{side}_role"] = edges[side].map(agents["role"]).fillna("unknown role")
    return edges
