"""Where alerts begin: a score for each kind of entity, and, where roles differ, for each of its roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Flags, Floats, Ints
from agentsim.risk.thresholds.case import KINDS


@dataclass(frozen=True)
class Cut:
    """From which score on an entity is an alert.

    Attributes
    ----------
    kinds : per kind of entity; infinite where none of the kind is ever an alert.
    roles : per role and kind, where it differs from that of the kind.
    """

    kinds: Mapping[str, float]
    roles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def at(self, kind: str, role: str) -> float:
        """Where alerts begin for a kind of entity of a role; a kind that is not named raises none."""
        return self.roles.get(role, {}).get(kind, self.kinds.get(kind, np.inf))

    def values(self, scored: pd.DataFrame) -> Floats:
        """Where alerts begin for each entity of a table of scores."""
        groups, number = grouped(scored)
        return np.array([self.at(kind, role) for kind, role in groups], dtype=np.float64)[number]

    def alerts(self, scored: pd.DataFrame) -> Flags:
        """Which entities of a table of scores are alerts."""
        return np.asarray(scored["score"].to_numpy(np.float64) >= self.values(scored))

    @property
    def lowest(self) -> float:
        """No alert has a lower score; infinite where there are none."""
        every = [*self.kinds.values(), *(value for kinds in self.roles.values() for value in kinds.values())]
        return min(every, default=np.inf)


def one_for_all(value: float) -> Cut:
    """The same score for all kinds of entities: scores of all kinds are on one scale."""
    return Cut(dict.fromkeys(KINDS, value))


def grouped(scored: pd.DataFrame) -> tuple[list[tuple[str, str]], Ints]:
    """The kinds and roles of a table of scores, and for each row the number of its own."""
    keys = scored[["kind", "role"]]
    # In the order of first appearance, which is how unsorted groups are numbered.
    distinct = keys.drop_duplicates().itertuples(index=False, name=None)
    number = keys.groupby(["kind", "role"], observed=True, sort=False).ngroup()
    return [(str(kind), str(role)) for kind, role in distinct], number.to_numpy(np.int64)
