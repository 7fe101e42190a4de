"""The same attacks from loud to quiet: what is found at each stealth, the threshold left where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from agentsim.experiments.drill.arena import Arena, Side
from agentsim.experiments.drill.judging import Trial, judge
from agentsim.experiments.drill.plan import Plan
from agentsim.experiments.drill.scorers import DEFAULT, default_ranks
from agentsim.risk import Combined
from agentsim.risk.peers import Peers
from agentsim.risk.states import EntityKind

#: From loud to quiet.
STEALTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def sweep_stealth(
    plan: Plan,
    stealths: Sequence[float],
    arena: Arena,
    detectors: Mapping[EntityKind, Combined],
    peers: Peers,
    calibration: Side,
) -> pd.DataFrame:
    """Recall of the default model per kind of attack and stealth.

    Sealed Runs of all degrees have the same seeds, so that honest agents intend the same in each.

    Returns
    -------
    ``stealth``, ``attack``, ``attacks``, ``found``, ``recall``, ``low``, ``high`` (Wilson), ``pr_auc``, ``base_rate``.
    """
    quiet = default_ranks(detectors, calibration)[DEFAULT]
    tables = {}
    for stealth in stealths:
        sides = [Side.of(run, peers) for run in arena.sealed(plan.at(stealth))]
        cases = [side.case(default_ranks(detectors, side)[DEFAULT]) for side in sides]
        tables[stealth] = judge(Trial(quiet, cases), plan.rate).kinds
    return pd.concat(tables, names=["stealth", "attack"]).reset_index()
