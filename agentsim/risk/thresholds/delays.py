"""How far attacks get before something that they touched is an alert."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Flags, Floats
from agentsim.risk.thresholds.case import Case


def touched_alerts(case: Case, alert: Flags) -> Flags:
    """Per row of :attr:`Case.touched`, whether the entity is an alert; ``alert`` is per entity."""
    place = case.touched["place"].to_numpy(np.int64)
    return (place >= 0) & alert[place] if len(alert) else np.zeros(len(place), bool)


def first_alerts(case: Case, touched: Flags) -> Floats:
    """When each attack touched its first alert.

    Parameters
    ----------
    touched : per row of :attr:`Case.touched`, whether it is an alert.

    Returns
    -------
    Microseconds, in the order of :attr:`Case.worst`; NaN where there was none, or no times are known.
    """
    first = np.full(len(case.worst), np.nan)
    if "raised_at" in case.scored.columns:
        raised = case.scored["raised_at"].to_numpy(np.float64, na_value=np.nan)
        place = case.touched["place"].to_numpy(np.int64)[touched]
        np.fmin.at(first, case.whose[touched], raised[place])
    return first


def seconds_until(case: Case, first: Floats) -> Floats:
    """Seconds from each attack's first operation until its first alert, in the order of :attr:`Case.worst`.

    An agent may be an alert before its attacker has done anything: that counts as none.
    """
    return np.asarray((first - case.began).clip(min=0) / 1e6)


def delays(case: Case, alert: Flags) -> pd.DataFrame:
    """How far attacks of each kind got before their first alert; medians over those that were found.

    Returns
    -------
    Index attack kind, and ``all``; columns ``honoured``, ``microseconds``, ``descendants`` as
    :class:`agentsim.risk.thresholds.ThresholdReport` has them. Empty without times.
    """
    columns = ["honoured", "microseconds", "descendants"]
    if "raised_at" not in case.scored.columns:
        return pd.DataFrame(columns=columns, dtype=float)
    first = first_alerts(case, touched_alerts(case, alert))
    told = pd.DataFrame(
        {"first": first, "microseconds": 1e6 * seconds_until(case, first)}, index=case.worst.index
    )
    told = told[told["first"].notna()].reset_index("attack").rename_axis(None)
    done = case.attacks.operations.merge(told[["first"]], left_on="instance", right_index=True)
    done["before"] = done["honoured"] & (done["at"] < done["first"])
    below = case.attacks.below.merge(told[["first"]], left_on="instance", right_index=True)
    below["before"] = below["issued_at"] < below["first"]
    for name, rows in (("honoured", done), ("descendants", below)):
        counted = rows.groupby("instance", observed=True)["before"].sum()
        told[name] = counted.reindex(told.index, fill_value=0)
    medians = told.groupby("attack", observed=True)[columns].median()
    if len(told):
        medians.loc["all"] = told[columns].median()
    return medians.astype(float)
