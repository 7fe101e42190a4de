"""A Run to choose or to judge thresholds on: the scores of its entities, its attacks, and how long it lasted.

An entity is a grant, a tree (its root grant) or an agent (its client). An alert is an entity whose score reaches
its threshold. An attack is found when an entity that it touched is an alert; a false alarm is an alert on an entity
outside of all trees that an attack touched (of an agent: none of its trees is touched). What an attack does to its
neighbours in the tree is no hit and no false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from agentsim.errors import UserError
from agentsim.risk.behaviour import Flags, Floats, Ints
from agentsim.risk.evaluation import Attacks, read_attacks
from agentsim.run import Run

#: What can be an alert.
KINDS = ("grant", "tree", "agent")
#: What a table of scores has at least; ``raised_at`` (microseconds) may be there, too.
COLUMNS = ("kind", "tenant", "entity", "tree", "role", "score")
KEY = ["tenant", "kind", "entity"]

_DAY = 86_400e6


class ThresholdError(UserError):
    """No threshold can be chosen so, or a file of thresholds does not fit; the message says what to do."""


class Origin(NamedTuple):
    """Which Run something comes from."""

    scenario: str
    seed: int | None
    digest: str


@dataclass(frozen=True)
class Case:
    """Scores and truth of one Run.

    Attributes
    ----------
    scored : one row per entity, columns ``COLUMNS``: ``kind``, ``tenant``, ``entity`` (id), ``tree`` (a code; entities
        of one code are not independent), ``role``, ``score``; and, where known, ``raised_at``, microseconds of the
        event after which the entity had its score.
    attacks : what attackers did, and touched.
    days : days of the organisation's work that the Run stands for; NaN where its times mean nothing.
    origin : which Run it is; None for made-up scores.
    """

    scored: pd.DataFrame
    attacks: Attacks
    days: float
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if missing := [name for name in COLUMNS if name not in self.scored.columns]:
            raise ValueError(f"a table of scores needs the columns {', '.join(missing)}")
        if not np.isfinite(self.score).all():
            raise ValueError("a score is a finite number")

    @property
    def score(self) -> Floats:
        """Per entity, the higher the more suspicious."""
        return self.scored["score"].to_numpy(np.float64)

    @cached_property
    def touched(self) -> pd.DataFrame:
        """What each attack touched, with ``place``: the entity's row among the scores, -1 where it has none."""
        return self.attacks.touched.assign(place=self._places(self.attacks.touched))

    @cached_property
    def attacked(self) -> Flags:
        """Which entities an attack touched."""
        return self._flags(self.touched["place"].to_numpy(np.int64))

    @cached_property
    def benign(self) -> Flags:
        """Which entities certainly no attack touched, and none of their trees."""
        doubtful = pd.concat([self.attacks.near, self.attacks.disputed])
        return ~self.attacked & ~self._flags(self._places(doubtful))

    @cached_property
    def honest_tasks(self) -> int:
        """How many grants are in trees that no attack touched."""
        return int((self.benign & (self.scored["kind"] == "grant").to_numpy(bool)).sum())

    @cached_property
    def worst(self) -> pd.Series:
        """The highest score that each attack touched, index ``attack``, ``instance``; -inf where none is scored."""
        place = self.touched["place"].to_numpy(np.int64)
        score = np.full(len(place), -np.inf)
        score[place >= 0] = self.score[place[place >= 0]]
        return self.per_attack(score, "max", -np.inf)

    @cached_property
    def whose(self) -> Ints:
        """Per row of ``touched``, the place of its attack in ``worst``."""
        names = pd.MultiIndex.from_frame(self.touched[["attack", "instance"]])
        return self.worst.index.get_indexer(names).astype(np.int64)

    @cached_property
    def began(self) -> Floats:
        """Microseconds of each attack's first operation, in the order of ``worst``; NaN where that has no time."""
        first = self.attacks.operations.groupby("instance", observed=True)["at"].min()
        names = self.worst.index.get_level_values("instance")
        return first.reindex(names).to_numpy(np.float64, na_value=np.nan)

    def per_attack(self, values: Floats | Flags, how: str, otherwise: float | bool) -> pd.Series:
        """One value per attack, from one for each row of ``touched``."""
        keys = ["attack", "instance"]
        each: pd.Series[Any] = (
            self.touched.assign(value=values).groupby(keys, observed=True)["value"].agg(how)
        )
        # An attack may have touched nothing that has a name: a refused registration, for example.
        every = pd.concat([self.attacks.operations[keys], self.touched[keys]]).drop_duplicates()
        return each.reindex(pd.MultiIndex.from_frame(every.sort_values(keys)), fill_value=otherwise)

    def _places(self, entities: pd.DataFrame) -> Ints:
        known = self.scored[KEY].assign(place=np.arange(len(self.scored)))
        known = known[known["entity"].isin(entities["entity"])].astype({"kind": object})
        found = entities[KEY].merge(known, on=KEY, how="left")
        return found["place"].fillna(-1).to_numpy(np.int64)

    def _flags(self, places: Ints) -> Flags:
        flags = np.zeros(len(self.scored), bool)
        flags[places[places >= 0]] = True
        return flags


def make_case(run: Run, scored: pd.DataFrame) -> Case:
    """The case of a Run whose entities were scored."""
    manifest = run.manifest
    timing = bool(manifest.source.get("timing", True)) and manifest.kind != "replay"
    days = (manifest.end - manifest.start) / _DAY if timing else np.nan
    return Case(scored, read_attacks(run), days, Origin(manifest.name, manifest.seed, manifest.digest()))
