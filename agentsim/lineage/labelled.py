"""What the labels of a Run say of its grants: for reports alone, never for what judges."""

from agentsim.run import Run


def attacked_grants(run: Run) -> dict[int, str]:
    """The grants that labels call attacked: what the attack is called, by grant_id.

    In a simulation these are the grants on which attackers acted, in a replay those that are labelled 1. Where several
    attacks act on one grant it is the first in the alphabet.
    """
    found = run.sql("""
        SELECT grant_id, min(coalesce(attack::VARCHAR, detail::VARCHAR, 'attack')) AS attack
        FROM labels WHERE label = 1 AND grant_id IS NOT NULL GROUP BY grant_id ORDER BY grant_id
    """)
    return dict(zip(found["grant_id"].tolist(), found["attack"].astype(str).tolist(), strict=True))
