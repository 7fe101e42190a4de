"""Every decision has exactly one audit row: what the tables hold and what the trail says happened agree."""

from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation, tell_frame

#: Agents that have been confirmed: the active ones, and of those that were disabled since the ones that say so.
_CONFIRMED = """
    is_active OR (tenant, client_id) IN (
        SELECT (tenant, client_id) FROM audit WHERE event_type = 'agent_disabled' AND status = 'granted'
        INTERSECT
        SELECT (tenant, client_id) FROM audit WHERE event_type = 'agent_confirmed' AND status = 'granted'
    )
"""
#: Rows that should each have one audit row, and audit rows that should each be about one of them:
#: what the rows are, their table and key, which of them, and the event.
_PAIRS = (
    ("agent", "agents", "client_id", "true", "agent_registered"),
    ("agent", "agents", "client_id", _CONFIRMED, "agent_confirmed"),
    ("token", "tokens", "token_id", "token_id = grant_id AND parent_grant_id IS NULL", "token_issued"),
    (
        "token",
        "tokens",
        "token_id",
        "token_id = grant_id AND parent_grant_id IS NOT NULL",
        "child_token_issued",
    ),
    ("token", "tokens", "token_id", "token_id <> grant_id", "token_refreshed"),
    ("token", "tokens", "token_id", "is_revoked", "token_ended"),
)
_ONE_TO_ONE = """
    WITH held AS (
        SELECT tenant, {key} AS key, count(*) AS n FROM {table} WHERE {which} GROUP BY ALL
    ), logged AS (
        SELECT tenant, {key} AS key, count(*) AS n FROM audit
        WHERE event_type = '{event}' AND status = 'granted' GROUP BY ALL
    )
    SELECT coalesce(h.tenant, l.tenant) AS tenant,
           '{what} ' || coalesce(coalesce(h.key, l.key)::VARCHAR, 'without id') AS subject,
           coalesce(h.n, 0) || ' rows in {table}, ' || coalesce(l.n, 0) || ' audit rows {event}' AS message
    FROM held AS h FULL JOIN logged AS l ON h.tenant = l.tenant AND h.key = l.key
    WHERE h.n IS DISTINCT FROM 1 OR l.n IS DISTINCT FROM 1
    ORDER BY subject
"""
#: An issue's audit row says of the grant what the token says.
_SAME_VALUES = """
    SELECT a.tenant, 'audit row ' || a.log_id AS subject,
           'it says other things of its token than the token itself' AS message
    FROM audit AS a JOIN tokens AS t ON a.token_id = t.token_id
    WHERE a.status = 'granted' AND a.event_type IN ('token_issued', 'child_token_issued', 'token_refreshed')
      AND (a.tenant, a.client_id, a.grant_id, a.parent_grant_id, a.root_grant_id, a.task_id, a.parent_task_id,
           a.timestamp)
          IS DISTINCT FROM
          (t.tenant, t.client_id, t.grant_id, t.parent_grant_id, t.root_grant_id, t.task_id, t.parent_task_id,
           t.issued_at)
    ORDER BY a.log_id
"""
#: Every mark is named by the decision that made it: a revocation, the end of an agent, or the refusal of a replayed
#: refresh token.
_MARKS = """
    WITH named AS (
        SELECT DISTINCT tenant, unnest(list_append(
                   coalesce(from_json(details -> 'marks', '["BIGINT"]'), []),
                   (details ->> 'revocation_id')::BIGINT)) AS revocation_id
        FROM (SELECT tenant, details::JSON AS details FROM audit
              WHERE (event_type IN ('token_revoked', 'agent_disabled') AND status = 'granted')
                 OR (event_type = 'token_refreshed' AND reason = 'refresh_reused'))
    )
    SELECT coalesce(r.tenant, n.tenant) AS tenant,
           'mark ' || coalesce(r.revocation_id, n.revocation_id) AS subject,
           CASE WHEN n.revocation_id IS NULL THEN 'no audit row names it'
                ELSE 'an audit row names it, but it is not in the Run' END AS message
    FROM revocations AS r
    FULL JOIN (SELECT * FROM named WHERE revocation_id IS NOT NULL) AS n
      ON r.tenant = n.tenant AND r.revocation_id = n.revocation_id
    WHERE r.revocation_id IS NULL OR n.revocation_id IS NULL
    ORDER BY subject
"""


def check_decisions(evidence: Evidence) -> list[Violation]:
    """Each agent, token, mark and ended token has exactly one audit row, and the other way round."""
    queries = [
        _ONE_TO_ONE.format(what=what, table=table, key=key, which=which, event=event)
        for what, table, key, which, event in _PAIRS
    ]
    found = []
    for query in (*queries, _SAME_VALUES, _MARKS):
        found += tell_frame("decisions", evidence.run.sql(query))
    return found
