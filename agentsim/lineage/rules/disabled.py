"""A disabled agent is given nothing until it is enabled; what it had before is for the marks to end."""

from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation, tell_frame

#: For each agent and moment: whether it was disabled or enabled last.
_TURNS = """
    WITH turns AS (
        SELECT tenant, client_id, log_id, event_type::VARCHAR AS event FROM audit
        WHERE status = 'granted' AND event_type IN ('agent_disabled', 'agent_enabled')
    )
"""
#: What a disabled agent was given all the same.
_GIVEN = """
    {turns}, given AS (
        SELECT tenant, client_id, log_id, event_type::VARCHAR AS event FROM audit
        WHERE status = 'granted'
          AND event_type IN ('token_issued', 'child_token_issued', 'token_refreshed', 'agent_confirmed')
          AND (tenant, client_id) IN (SELECT (tenant, client_id) FROM turns)
    )
    SELECT g.tenant, 'audit row ' || g.log_id || ' (' || g.event || ')' AS subject,
           'granted while the agent was disabled' AS message
    FROM given AS g ASOF JOIN turns AS t
      ON g.tenant = t.tenant AND g.client_id = t.client_id AND g.log_id > t.log_id
    WHERE t.event = 'agent_disabled'
    ORDER BY g.log_id
"""
#: Agents that are active although they were disabled last.
_ACTIVE = """
    {turns}
    SELECT a.tenant, 'agent ' || a.client_id AS subject, 'active, but it was disabled last' AS message
    FROM agents AS a JOIN (
        SELECT tenant, client_id, arg_max(event, log_id) AS event FROM turns GROUP BY ALL
    ) AS t ON a.tenant = t.tenant AND a.client_id = t.client_id
    WHERE a.is_active AND t.event = 'agent_disabled'
    ORDER BY a.client_id
"""


def check_disabled(evidence: Evidence) -> list[Violation]:
    """No agent is active that was disabled last, and none was given anything in between."""
    found = []
    for query in (_GIVEN, _ACTIVE):
        found += tell_frame("disabled", evidence.run.sql(query.format(turns=_TURNS)))
    return found
