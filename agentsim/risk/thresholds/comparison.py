"""Two sets of thresholds on one Run: which alerts are gained, which are lost, and what that means for attacks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from agentsim.risk.thresholds.case import KEY, Case
from agentsim.risk.thresholds.cut import Cut
from agentsim.risk.thresholds.report import ThresholdReport, found_attacks, report

#: Alerts that are shown of those gained, and of those lost.
EXAMPLES = 5


@dataclass(frozen=True)
class Comparison:
    """What changes where one set of thresholds takes the place of another.

    Attributes
    ----------
    old, new : what each does.
    by_role : index ``kind``, ``role``: alerts ``old``, ``new``, ``gained``, ``lost``, and of the last two those about an
        attack (``gained_right``, ``lost_right``).
    by_attack : index attack kind: ``attacks``, and of them found by ``old``, ``new``, ``gained``, ``lost``.
    gained, lost : examples, highest scores first: ``kind``, ``tenant``, ``entity``, ``role``, ``old_score``,
        ``new_score``, ``attacked``.
    warnings : what weakens the comparison.
    """

    old: ThresholdReport
    new: ThresholdReport
    by_role: pd.DataFrame
    by_attack: pd.DataFrame
    gained: pd.DataFrame
    lost: pd.DataFrame
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        tables = {
            "by_role": self.by_role.reset_index(),
            "by_attack": self.by_attack.reset_index(),
            "gained": self.gained,
            "lost": self.lost,
        }
        return {
            "old": self.old.as_dict(),
            "new": self.new.as_dict(),
            **{name: json.loads(table.to_json(orient="records")) for name, table in tables.items()},
            "warnings": list(self.warnings),
        }


def compare(old: Cut, old_case: Case, new: Cut, new_case: Case) -> Comparison:
    """Compare two sets of thresholds on one Run.

    Parameters
    ----------
    old, new : the thresholds.
    old_case, new_case : the same Run, scored by what each of them was chosen for.
    """
    both = _both(old, old_case, new, new_case)
    gained, lost = both["new"] & ~both["old"], both["old"] & ~both["new"]
    counted = both.assign(
        gained=gained, lost=lost, gained_right=gained & both["attacked"], lost_right=lost & both["attacked"]
    )
    names = ["old", "new", "gained", "lost", "gained_right", "lost_right"]
    by_role = counted.groupby(["kind", "role"], observed=True)[names].sum().astype(np.int64)
    return Comparison(
        old=report(old, old_case),
        new=report(new, new_case),
        by_role=by_role[by_role[["old", "new"]].any(axis=1)],
        by_attack=_by_attack(
            found_attacks(old_case, old.alerts(old_case.scored)),
            found_attacks(new_case, new.alerts(new_case.scored)),
        ),
        gained=_examples(both[gained], "new_score"),
        lost=_examples(both[lost], "old_score"),
    )


def _both(old: Cut, old_case: Case, new: Cut, new_case: Case) -> pd.DataFrame:
    """Every entity that either scored: whether it is an alert by each, its scores, whether it was attacked."""
    parts = []
    for name, cut, case in (("old", old, old_case), ("new", new, new_case)):
        table = case.scored[[*KEY, "role"]].astype({"kind": object, "role": object})
        parts.append(
            table.assign(
                **{
                    name: cut.alerts(case.scored),
                    f"{name}_score": case.score,
                    f"{name}_attacked": case.attacked,
                }
            )
        )
    both = parts[0].merge(parts[1], on=[*KEY, "role"], how="outer")
    for name in ("old", "new", "old_attacked", "new_attacked"):
        both[name] = both[name].eq(True)
    return both.assign(attacked=both.pop("old_attacked") | both.pop("new_attacked"))


def _by_attack(old: pd.Series, new: pd.Series) -> pd.DataFrame:
    found = pd.DataFrame({"attacks": True, "old": old, "new": new, "gained": new & ~old, "lost": old & ~new})
    return found.groupby(level="attack", observed=True).sum()


def _examples(rows: pd.DataFrame, score: str) -> pd.DataFrame:
    columns = ["kind", "tenant", "entity", "role", "old_score", "new_score", "attacked"]
    ordered = rows.sort_values([score, *KEY], ascending=[False, True, True, True], kind="stable")
    return ordered[columns].head(EXAMPLES).reset_index(drop=True)
