"""What follows what in a grant: tools, callers, addresses."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Behaviour, Ints


def transitions(behaviour: Behaviour) -> tuple[Ints, Ints]:
    """Positions of grants, and codes of the pairs (tool before, tool), in order of time.

    The first use of a grant follows the code 0, so it is a pair, too.
    """
    grant, tool = behaviour.uses["grant"].to_numpy(np.int64), codes(behaviour.uses["tool"])
    order = np.argsort(grant, kind="stable")
    grant, tool = grant[order], tool[order]
    before = np.zeros(len(tool), np.int64)
    same = grant[1:] == grant[:-1]
    before[1:][same] = tool[:-1][same] + 1
    return grant, before * (tool.max(initial=0) + 1) + tool


def changes(behaviour: Behaviour, column: str) -> Ints:
    """The grant of each event whose ``caller`` or ``source_ip`` differs from the grant's event before."""
    grant, value = behaviour.events["grant"].to_numpy(np.int64), codes(behaviour.events[column])
    order = np.argsort(grant, kind="stable")
    order = order[(value[order] >= 0) & (grant[order] >= 0)]
    grant, value = grant[order], value[order]
    changed: Ints = grant[1:][(grant[1:] == grant[:-1]) & (value[1:] != value[:-1])]
    return changed


def codes(column: pd.Series) -> Ints:
    """Codes of a categorical column."""
    return column.cat.codes.to_numpy(np.int64)
