"""The figures of a comparison: one row for each threshold, each against the Run in which nobody acts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agentsim.experiments.containment.attackers import RESPONSES, attacks_of
from agentsim.experiments.containment.folder import Folder
from agentsim.experiments.containment.honest import losses, tasks_of
from agentsim.run import Run

_DAY = 86_400e6


def results(folder: Path | str) -> pd.DataFrame:
    """The figures of a finished comparison.

    Returns
    -------
    One row for each point, the one in which nobody acts first (its ``threshold`` is NaN), and the columns

    - ``threshold``, ``is_default``: at that one, one honest task in a thousand of another seed raises an alert
    - ``attacks``: those that anything was honoured of when nobody acted, and ``contained``: those about which something was done
    - ``honoured``: attackers' operations that the server answered with success; ``honoured_mean``, ``honoured_median`` of an
      attack; ``honoured_share``: of what was honoured when nobody acted
    - ``grants_reached``, ``resources_reached``: blast radius of what was honoured, mean of an attack
    - ``contained_after_s``: seconds from an attack's first operation until something was done, median of those contained
    - ``honest_tasks``, ``honest_killed``, ``honest_killed_share``, ``honest_calls_lost``: see :mod:`agentsim.experiments.containment.honest`
    - ``alerts``, ``alerts_per_day``: grants and agents that something was found about
    - ``digest``: of the Run's tables

    Raises
    ------
    ContainmentError
        If there is no comparison, or it is not finished.
    """
    return Folder(folder).read()


def measure(folder: Folder, thresholds: Sequence[float], default: float) -> pd.DataFrame:
    """Work the figures out from the Runs of all points."""
    return pd.DataFrame(list(_rows(folder, thresholds, default)))


def _rows(folder: Folder, thresholds: Sequence[float], default: float) -> Iterator[dict[str, Any]]:
    unhindered = Run(folder.run(None))
    attacks, tasks = attacks_of(unhindered), tasks_of(unhindered)
    # What was never honoured has nothing that could be contained.
    counted = attacks[attacks["honoured"] > 0]
    for threshold in (None, *thresholds):
        run = Run(folder.run(threshold))
        yield {
            "threshold": np.nan if threshold is None else threshold,
            "is_default": threshold == default,
            **_attackers(attacks_of(run).reindex(counted.index), int(counted["honoured"].sum())),
            **losses(tasks_of(run), tasks),
            **_alerts(run),
            "digest": run.manifest.digest(),
        }


def _attackers(attacks: pd.DataFrame, unhindered: int) -> dict[str, float]:
    """Figures of the attacks; those that the server never saw any more were honoured in nothing."""
    counts = attacks[["honoured", "grants_reached", "resources_reached"]].fillna(0).astype(float)
    after = attacks["contained_after_s"].astype(float)
    nothing = np.nan
    return {
        "attacks": len(attacks),
        "contained": int(after.notna().sum()),
        "honoured": int(counts["honoured"].sum()),
        "honoured_mean": float(counts["honoured"].mean()) if len(counts) else nothing,
        "honoured_median": float(counts["honoured"].median()) if len(counts) else nothing,
        "honoured_share": float(counts["honoured"].sum()) / unhindered if unhindered else nothing,
        "grants_reached": float(counts["grants_reached"].mean()) if len(counts) else nothing,
        "resources_reached": float(counts["resources_reached"].mean()) if len(counts) else nothing,
        "contained_after_s": float(after.median()) if after.notna().any() else nothing,
    }


def _alerts(run: Run) -> dict[str, float]:
    found = run.sql(RESPONSES)
    # What a matcher's finding led to is no further alert.
    followed = (found["event"] == "token_revoked") | (found["event"] == "agent_disabled")
    own = found[~followed | ~found["grant_id"].isin(found.loc[~followed, "grant_id"])]
    alerts = len(own.drop_duplicates(["tenant", "grant_id", "client_id"]))
    days = (run.manifest.end - run.manifest.start) / _DAY
    return {"alerts": alerts, "alerts_per_day": alerts / days}
