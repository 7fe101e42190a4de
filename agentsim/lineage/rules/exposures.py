"""What was honoured after a mark: nothing where the token server was asked, and nowhere longer than a token lives."""

from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation, tell_frame

_WRONG = """
    SELECT e.tenant, 'mark ' || e.revocation_id || ' at ' || e.resource AS subject,
           CASE WHEN e.verification = 'online' THEN 'honoured after the mark although each call was verified online'
                WHEN r.revocation_id IS NULL THEN 'the mark is not in the Run'
                WHEN NOT (0 <= e.first_us AND e.first_us <= e.last_us AND 1 <= e.tokens AND e.tokens <= e.honoured)
                THEN 'its counts or times contradict each other'
                ELSE 'honoured ' || e.last_us || ' us after the mark: no token lives that long' END AS message
    FROM exposures AS e LEFT JOIN revocations AS r ON e.tenant = r.tenant AND e.revocation_id = r.revocation_id
    WHERE e.verification = 'online' OR r.revocation_id IS NULL OR e.last_us >= {longest}
       OR NOT (0 <= e.first_us AND e.first_us <= e.last_us AND 1 <= e.tokens AND e.tokens <= e.honoured)
    ORDER BY e.tenant, e.revocation_id, e.resource
"""


def check_exposures(evidence: Evidence) -> list[Violation]:
    """Each row of ``exposures`` is about a mark of the Run, not verified online, and shorter than an access token."""
    longest = evidence.run.manifest.most("access_ttl_us")
    return tell_frame("exposure", evidence.run.sql(_WRONG.format(longest=longest)))
