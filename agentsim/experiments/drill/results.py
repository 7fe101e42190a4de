"""What a drill tells: plain data, kept as Parquet tables and a summary."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from agentsim.experiments.drill.judging import Found
from agentsim.experiments.drill.scorers import DEFAULT
from agentsim.risk import Estimate
from agentsim.run.files import replacing
from agentsim.simulation.attacks import ATTACKERS

#: Kinds of which fewer are found are told with the reason.
AIM = 0.8


@dataclass(frozen=True)
class Drill:
    """What became of a drill.

    Attributes
    ----------
    stealth, rate : as in the plan.
    seeds : of every Run, by name.
    giveaways : features that give an attack away although it does not name them: ``attack``, ``kind``, ``feature``,
        ``attacked``, ``roc_auc``. The simulator's own check has passed where there are none.
    found : by the name of the detector, the default model first.
    sweep : ``stealth``, ``attack``, ``attacks``, ``found``, ``recall``, ``low``, ``high`` of the default model; empty where it
        was not asked for.
    corruptions : ``corruption``, ``detector``, ``mean_recall``, ``low``, ``high``, ``false_alarms_per_1000``; likewise.
    """

    stealth: float
    rate: float
    seeds: dict[str, int]
    giveaways: pd.DataFrame
    found: dict[str, Found]
    sweep: pd.DataFrame = field(default_factory=pd.DataFrame)
    corruptions: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def verdict(self) -> str:
        """One line, the simulator's own check first."""
        best = self.found[DEFAULT]
        value, low, high = best.mean_recall
        check = (
            "The simulator's own check has passed."
            if not len(self.giveaways)
            else f"The simulator's own check has NOT passed ({self._given_away()}): the figures may flatter."
        )
        return (
            f"{check} At stealth {self.stealth:g} the default model finds {value:.0%} ({low:.0%} to {high:.0%}) of the attacks, "
            f"mean over {len(best.kinds)} kinds, at {1000 * best.false_alarms.value:.2f} false alarms per 1,000 honest tasks "
            f"where {1000 * self.rate:g} were allowed."
        )

    @property
    def detectors(self) -> pd.DataFrame:
        """One row per detector: threshold, mean recall and PR-AUC over kinds, base rate, and what its threshold really did."""
        rows = []
        for name, found in self.found.items():
            alarms = found.alarms["false_alarms"] / found.alarms["honest_tasks"]
            rows.append(
                {
                    "detector": name,
                    "threshold": found.threshold,
                    **_told("mean_recall", found.mean_recall),
                    "pr_auc": float(found.kinds["pr_auc"].mean()),
                    "base_rate": float(found.kinds["base_rate"].mean()),
                    **_told(
                        "false_alarms_per_1000", Estimate(*(1000 * value for value in found.false_alarms))
                    ),
                    "worst_run_false_alarms_per_1000": 1000 * float(alarms.max()),
                }
            )
        return pd.DataFrame(rows)

    @property
    def kinds(self) -> pd.DataFrame:
        """One row per detector and kind of attack."""
        tables = {name: found.kinds for name, found in self.found.items()}
        return pd.concat(tables, names=["detector", "attack"]).reset_index()

    @property
    def runs(self) -> pd.DataFrame:
        """One row per detector and sealed Run: false alarms, honest tasks, mean recall."""
        tables = {name: found.alarms for name, found in self.found.items()}
        return pd.concat(tables, names=["detector", "run"]).reset_index()

    @property
    def below(self) -> pd.DataFrame:
        """Kinds of which the default model finds fewer than ``AIM``, lowest first: ``attack``, ``recall``, ``why``."""
        best = self.found[DEFAULT]
        low = best.kinds[best.kinds["recall"] < AIM].sort_values("recall")
        rows = [
            {"attack": kind, "recall": recall, "why": why(str(kind), best)}
            for kind, recall in low["recall"].items()
        ]
        return pd.DataFrame(rows, columns=["attack", "recall", "why"])

    def as_dict(self) -> dict[str, Any]:
        """As plain values; what cannot be told is None."""
        return {
            "verdict": self.verdict,
            "check_passed": not len(self.giveaways),
            "stealth": self.stealth,
            "rate": self.rate,
            "seeds": self.seeds,
            **{name: json.loads(table.to_json(orient="records")) for name, table in self._tables().items()},
        }

    def keep(self, folder: Path) -> None:
        """Write each table as Parquet, and all of it as ``summary.json``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in self._tables().items():
            with replacing(folder / f"{name}.parquet") as temporary:
                table.to_parquet(temporary, index=False)
        with replacing(folder / "summary.json") as temporary:
            temporary.write_text(
                json.dumps(self.as_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8"
            )

    def _tables(self) -> dict[str, pd.DataFrame]:
        told = {name: getattr(self, name) for name in ("giveaways", "detectors", "kinds", "runs", "below")}
        asked = {"sweep": self.sweep, "corruptions": self.corruptions}
        return told | {name: table for name, table in asked.items() if len(table)}

    def _given_away(self) -> str:
        told = [f"{row.attack} by {row.feature}" for row in self.giveaways.itertuples()]
        return ", ".join(told[:3]) + (f" and {len(told) - 3} more" if len(told) > 3 else "")


def why(kind: str, found: Found) -> str:
    """Why attacks of a kind were missed, as far as their counts tell."""
    attacks = found.attacks[found.attacks["attack"] == kind]
    missed = attacks[~attacks["found"]]
    seen = missed[np.isfinite(missed["score"])]
    told = [
        f"{len(missed)} of {len(attacks)} missed, {missed['operations'].median():g} operations each"
        + (
            f" (found: {attacks.loc[attacks['found'], 'operations'].median():g})"
            if attacks["found"].any()
            else ""
        )
    ]
    if len(seen):
        told.append(f"their scores at most {seen['score'].median():.2f} of {found.threshold:.2f}")
    return f"all that it does not imitate: {ATTACKERS[kind].deviation}; {'; '.join(told)}"


def _told(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
