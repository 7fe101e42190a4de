"""What honest agents lost because something was done about them, or about whom they work for.

An agent of a simulation has one task, and the same name in each Run of one scenario and seed. A task is *honest* where no
attack had an operation on its grant when nobody acted, and *killed* where its grant was held or ended because of risk
while it could still have been used, or where it got none although it had one when nobody acted.
"""

from __future__ import annotations

import pandas as pd

from agentsim.run import Run

#: What a task is known by.
TASK = ["tenant", "agent_name"]
_TASKS = """
    WITH first AS (
        SELECT tenant, grant_id, client_id, grant_expires_at, is_revoked, revoked_at,
               revocation_reason::VARCHAR AS why
        FROM tokens WHERE token_id = grant_id
    ), held AS (
        SELECT tenant, grant_id, min(timestamp) AS held_at FROM audit
        WHERE contains(details, '"risk":{') AND grant_id IS NOT NULL
          AND (event_type = 'grant_held' AND status = 'granted'
               OR event_type = 'token_verified' AND (details -> '$.risk' ->> '$.action') <> 'log')
        GROUP BY ALL
    ), used AS (
        SELECT tenant, grant_id, count(*) AS calls FROM audit AS a
        WHERE event_type = 'token_verified' AND status = 'granted' AND grant_id IS NOT NULL
          AND NOT EXISTS (SELECT 1 FROM labels AS l WHERE l.tenant = a.tenant AND l.log_id = a.log_id)
        GROUP BY ALL
    ), attacked AS (
        SELECT DISTINCT tenant, grant_id FROM labels WHERE label = 1 AND grant_id IS NOT NULL
    )
    SELECT f.tenant, g.agent_name, bool_or(d.grant_id IS NOT NULL) AS attacked, sum(coalesce(u.calls, 0)) AS calls,
           bool_or(coalesce(h.held_at < f.grant_expires_at, false)
                   OR coalesce(f.is_revoked AND f.why = 'risk' AND f.revoked_at < f.grant_expires_at, false)) AS hit
    FROM first AS f
    JOIN agents AS g ON f.tenant = g.tenant AND f.client_id = g.client_id
    LEFT JOIN held AS h ON f.tenant = h.tenant AND f.grant_id = h.grant_id
    LEFT JOIN used AS u ON f.tenant = u.tenant AND f.grant_id = u.grant_id
    LEFT JOIN attacked AS d ON f.tenant = d.tenant AND f.grant_id = d.grant_id
    GROUP BY ALL
"""


def tasks_of(run: Run) -> pd.DataFrame:
    """Each task of a Run that got a grant: by tenant and agent, whether it was ``attacked``, whether it was ``hit``, and honest ``calls``."""
    return run.sql(_TASKS).set_index(TASK)


def losses(tasks: pd.DataFrame, unhindered: pd.DataFrame) -> dict[str, float]:
    """What honest tasks lost, against a Run of the same scenario and seed in which nobody acted.

    Parameters
    ----------
    tasks, unhindered : of the two Runs, as :func:`tasks_of` has them.

    Returns
    -------
    ``honest_tasks``, ``honest_killed`` (how many), ``honest_killed_share``, and ``honest_calls_lost``: the share of
    their calls that were honoured when nobody acted and are not now.
    """
    honest = unhindered[~unhindered["attacked"]]
    now = tasks.reindex(honest.index)
    killed = now["hit"].fillna(True).to_numpy(bool)
    calls, left = float(honest["calls"].sum()), float(now["calls"].fillna(0).sum())
    return {
        "honest_tasks": len(honest),
        "honest_killed": int(killed.sum()),
        "honest_killed_share": float(killed.mean()) if len(killed) else 0.0,
        "honest_calls_lost": max(0.0, 1 - left / calls) if calls else 0.0,
    }
