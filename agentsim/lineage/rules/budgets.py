"""Nobody spends more than was given: not a grant, not a tree, at no moment."""

from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation, tell_frame

#: Budgeted grants, and every change of what one has used: its calls, children that it gave to, what came back.
#: Nothing is added where nothing is told. To read what is told costs most, so only of those that it is about.
_CHANGES = """
    WITH budgets AS (
        SELECT tenant, grant_id, root_grant_id, parent_grant_id, budget FROM tokens
        WHERE token_id = grant_id AND budget IS NOT NULL
    ),
    calls AS (
        SELECT a.tenant, a.grant_id, a.log_id, CAST(a.details->>'$.cost' AS BIGINT) AS units
        FROM audit AS a SEMI JOIN budgets AS b ON a.tenant = b.tenant AND a.grant_id = b.grant_id
        WHERE a.event_type = 'token_verified' AND a.status = 'granted'
    ),
    carved AS (
        SELECT a.tenant, a.parent_grant_id AS grant_id, a.log_id, CAST(a.details->>'$.budget' AS BIGINT) AS units
        FROM audit AS a SEMI JOIN budgets AS b ON a.tenant = b.tenant AND a.parent_grant_id = b.grant_id
        WHERE a.event_type = 'child_token_issued' AND a.status = 'granted'
    ),
    returned AS (
        SELECT tenant, CAST(details->>'$.to' AS BIGINT) AS grant_id, log_id,
               -CAST(details->>'$.units' AS BIGINT) AS units
        FROM audit WHERE event_type = 'budget_returned'
    )
"""
#: Where what a grant has used is more than it was given, or less than nothing.
_RUNNING = """
    {changes}, used AS (
        SELECT b.tenant, b.grant_id, b.budget, c.log_id,
               sum(c.units) OVER (PARTITION BY b.tenant, b.grant_id ORDER BY c.log_id) AS used
        FROM budgets AS b JOIN ({of}) AS c ON b.tenant = c.tenant AND b.grant_id = c.grant_id
    )
    SELECT tenant, 'grant ' || grant_id AS subject,
           CASE WHEN min(used) < 0 THEN 'more came back than it had given'
                ELSE 'used ' || max(used) || ' of a budget of ' || any_value(budget) END AS message
    FROM used WHERE used > budget OR used < 0
    GROUP BY tenant, grant_id
    ORDER BY tenant, grant_id
"""
#: Trees whose calls cost more than their root was given.
_TREES = """
    {changes}
    SELECT r.tenant, 'tree ' || r.grant_id AS subject,
           'its calls cost ' || sum(c.units) || ', its root was given ' || any_value(r.budget) AS message
    FROM budgets AS r
    JOIN budgets AS b ON b.tenant = r.tenant AND b.root_grant_id = r.grant_id
    JOIN calls AS c ON c.tenant = b.tenant AND c.grant_id = b.grant_id
    WHERE r.grant_id = r.root_grant_id
    GROUP BY r.tenant, r.grant_id HAVING sum(c.units) > any_value(r.budget)
    ORDER BY r.tenant, r.grant_id
"""
#: Calls of budgeted grants that nothing was counted for.
_UNCOUNTED = """
    {changes}
    SELECT a.tenant, 'audit row ' || a.log_id AS subject, 'a call of a budgeted grant without its cost' AS message
    FROM audit AS a JOIN budgets AS b ON a.tenant = b.tenant AND a.grant_id = b.grant_id
    WHERE a.event_type = 'token_verified' AND a.status = 'granted' AND a.details->>'$.cost' IS NULL
    ORDER BY a.log_id
"""


def check_budgets(evidence: Evidence) -> list[Violation]:
    """Every grant within its budget at every row, every tree within its root's, every call counted.

    In a tree that shares a pool nothing is set aside, so there children are not counted against their parents.
    """
    model = evidence.run.manifest.policy.get("budgets", {}).get("model", "carve-out")
    spending = "SELECT * FROM calls"
    if model == "carve-out":
        spending += " UNION ALL SELECT * FROM carved UNION ALL SELECT * FROM returned"
    found = []
    for query in (_RUNNING, _TREES, _UNCOUNTED):
        found += tell_frame("budgets", evidence.run.sql(query.format(changes=_CHANGES, of=spending)))
    return found
