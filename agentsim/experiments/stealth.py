"""How much of the attacks of each kind is found by how hard they try not to be seen."""

from __future__ import annotations

import pandas as pd

from agentsim.risk import Case
from agentsim.risk.metrics import share
from agentsim.risk.thresholds import Cut
from agentsim.risk.thresholds.report import found_attacks
from agentsim.run import Run

_STEALTH = """
    SELECT tenant || '/' || attack_id AS instance, any_value(stealth) AS stealth FROM labels
    WHERE label = 1 AND attack_id IS NOT NULL GROUP BY ALL
"""


def recall_by_stealth(run: Run, case: Case, cut: Cut) -> pd.DataFrame:
    """Recall per kind of attack and degree of stealth.

    Returns
    -------
    One row per kind and degree, in their order: ``attack``, ``stealth``, ``attacks``, ``found``, ``recall``, ``low``, ``high``
    (Wilson). Empty where no attack has a degree.
    """
    found = found_attacks(case, cut.alerts(case.scored)).rename("found").reset_index()
    told = found.merge(run.sql(_STEALTH), on="instance").dropna(subset="stealth")
    counts = told.groupby(["attack", "stealth"], as_index=False)["found"].agg(attacks="size", found="sum")
    counted = zip(counts["found"].tolist(), counts["attacks"].tolist(), strict=True)
    shares = [share(int(hits), int(total)) for hits, total in counted]
    estimates = pd.DataFrame(shares, columns=["recall", "low", "high"])
    return pd.concat([counts, estimates], axis=1)
