"""What is told of agents by their registrations: names that were taken, and tools that they have lost."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

_Ints = npt.NDArray[np.integer[Any]]


def plain_name(name: str) -> str:
    """A name without what a glance overlooks: case, and all but letters and digits."""
    return re.sub(r"[\W_]+", "", name.casefold())


def namesakes(rows: pa.Table, kind: npt.NDArray[np.str_], client: _Ints, agents: pd.DataFrame) -> _Ints:
    """Per agent, how many had been registered under its plain name before it, in its tenant."""
    registered = np.flatnonzero((kind == "agent_registered") & (client >= 0))
    names = rows["agent_name"].take(pa.array(registered)).to_pylist()
    tenant = agents["tenant"].to_numpy()
    result = np.zeros(len(agents), np.int64)
    known: Counter[tuple[int, str]] = Counter()
    for place, name in zip(client[registered], names, strict=True):
        key = int(tenant[place]), plain_name(name or "")
        result[place] = known[key]
        known[key] += 1
    return result


def withdrawn_uses(rows: pa.Table, kind: npt.NDArray[np.str_], client: _Ints, size: int) -> _Ints:
    """Per agent, how many of the tools that it used it was no longer registered for."""
    result = np.zeros(size, np.int64)
    updates = np.flatnonzero((kind == "agent_updated") & (client >= 0))
    updated = np.unique(client[updates])
    if not len(updated):
        return result
    told = np.isin(kind, ("agent_updated", "token_verified")) & np.isin(client, updated)
    chosen = np.flatnonzero(told)
    allowed: dict[int, set[str]] = {}
    part = rows.select(["granted", "tools"]).take(pa.array(chosen)).to_pylist()
    for place, row in zip(chosen, part, strict=True):
        agent = int(client[place])
        if not row["granted"] or row["tools"] is None:
            continue
        if kind[place] == "agent_updated":
            allowed[agent] = set(row["tools"])
        elif agent in allowed:
            result[agent] += sum(tool not in allowed[agent] for tool in row["tools"])
    return result
