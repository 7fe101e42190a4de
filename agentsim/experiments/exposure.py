"""Exposure: what resource servers honour after a revocation, by the way in which they verify, and what that way costs.

One scenario is played once for each way, with the same seed: everybody intends the same, owners stop the same tasks
at the same moments, and only what is let through differs. So that there is enough to count, owners stop every
second root task, whatever the scenario says. Tasks that end by themselves leave marks, too; these are not counted here.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from tqdm.auto import tqdm

from agentsim.experiments.companions import open_or_simulate
from agentsim.run import Run, RunError
from agentsim.simulation import Scenario
from agentsim.simulation.processes import Processes
from agentsim.simulation.scenario import parse_scenario
from agentsim.simulation.shards import Advance, Crashed, deal

#: Share of the root tasks that are stopped by their owner.
STOPPED = 0.5
_REPLICATES = 2_000


class Way(NamedTuple):
    """One way to verify, and the setting that says how old its knowledge may be."""

    verification: str
    setting: str = ""

    @property
    def name(self) -> str:
        """For people and for folders."""
        return " ".join(filter(None, self))

    @property
    def keys(self) -> dict[str, str]:
        """As ``resource_servers`` of a scenario."""
        key = "cache" if self.verification == "introspection" else "period"
        return {"verification": self.verification, **({key: self.setting} if self.setting else {})}


#: What is compared, from the one that asks for each call to the one that never asks.
WAYS = (
    Way("online"),
    Way("introspection", "1s"),
    Way("introspection", "10s"),
    Way("introspection", "60s"),
    Way("feed", "5s"),
    Way("status-list", "60s"),
    Way("offline"),
)


def compare_exposure(
    scenario: Scenario, folder: Path, *, agents: int, progress: bool = False
) -> pd.DataFrame:
    """Play a scenario under each of the ways, or open what was played before, and compare.

    Parameters
    ----------
    folder : where the Runs are kept.
    agents : agents in each at most; never more than the scenario has.
    progress : show bars.

    Returns
    -------
    One row per way: ``verification`` and ``setting``; ``calls`` that came to resource servers, ``asked`` (requests
    because of them), ``looks`` (polls and fetches, whose number follows from time and resource servers alone) and
    ``requests_per_call`` of both; ``revocations``, ``honoured`` calls after one, ``per_1000`` revocations with ``low`` and
    ``high`` (95 %, by resampling revocations), the share ``exposed`` of revocations with any, and ``p50_s``, ``p99_s``, ``max_s``:
    seconds from the mark to the last honoured call of those (NaN where there is none); ``agents``.

    Raises
    ------
    SettingsError
        If the scenario cannot have so few agents.
    """
    size = min(agents, scenario.population.agents)
    work = _Work(scenario.with_agents(size), Path(folder))
    with (
        tqdm(total=len(WAYS), unit="way", disable=not progress, desc="exposure") as bar,
        # Each way in one process: they take about as long as each other.
        Processes(os.cpu_count() or 1, bar.update) as crew,
    ):
        places: dict[int, Path] = {}
        for number, place in deal(work, range(len(WAYS)), crew, bar.update):
            if isinstance(place, Crashed):
                raise RunError(place.reason)
            places[number] = place
    rows = [
        {
            "verification": way.verification,
            "setting": way.setting,
            "agents": size,
            **_figures(Run(places[number])),
        }
        for number, way in enumerate(WAYS)
    ]
    return pd.DataFrame(rows)


def compare_exposure_of(run: Run, *, agents: int, progress: bool = False) -> pd.DataFrame:
    """The same for the scenario of a simulated Run; what is played is kept beside it."""
    scenario = parse_scenario(run.manifest.source, run.path)
    folder = run.path.with_name(f"{run.path.name}-companions")
    return compare_exposure(scenario, folder, agents=agents, progress=progress)


@dataclass(frozen=True, slots=True)
class _Work:
    """Plays the scenario under the ways, each by its number; it can be sent to another process."""

    scenario: Scenario
    folder: Path

    def __call__(self, number: int, advance: Advance) -> Path:
        """Play one, or find it; returns where the Run is."""
        way = WAYS[number]
        place = self.folder / f"exposure-{self.scenario.population.agents}-{way.name.replace(' ', '-')}"
        open_or_simulate(_changed(self.scenario, way), place, progress=False, jobs=1)
        advance(1)
        return place


def _changed(scenario: Scenario, way: Way) -> Scenario:
    data = scenario.resolved()
    roles = {name: {**role, "cancelled": STOPPED} for name, role in data["roles"].items()}
    return parse_scenario({**data, "roles": roles, "resource_servers": way.keys}, scenario.name)


def _figures(run: Run) -> dict[str, float]:
    marks = run.sql("""
        SELECT coalesce(sum(e.honoured), 0)::DOUBLE AS honoured, max(e.last_us)::DOUBLE / 1e6 AS last
        FROM revocations AS r LEFT JOIN exposures AS e USING (tenant, revocation_id)
        WHERE r.reason <> 'completed' GROUP BY r.tenant, r.revocation_id ORDER BY r.tenant, r.revocation_id
    """)
    honoured, last = marks["honoured"].to_numpy(), marks["last"].dropna().to_numpy()
    low, high = _interval(honoured)
    counted = [entry.counts for entry in run.manifest.tenants.values()]
    calls, asked, looks = (sum(counts[name] for counts in counted) for name in ("calls", "asked", "looks"))
    p50, p99, most = np.quantile(last, [0.5, 0.99, 1.0]) if len(last) else [np.nan] * 3
    return {
        "calls": calls,
        "asked": asked,
        "looks": looks,
        "requests_per_call": (asked + looks) / max(1, calls),
        "revocations": len(marks),
        "honoured": int(honoured.sum()),
        "per_1000": 1_000 * float(honoured.mean()) if len(marks) else np.nan,
        "low": 1_000 * low,
        "high": 1_000 * high,
        "exposed": len(last) / len(marks) if len(marks) else np.nan,
        "p50_s": float(p50),
        "p99_s": float(p99),
        "max_s": float(most),
    }


def _interval(honoured: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    """95 % interval of the mean, by resampling revocations."""
    if len(honoured) < 2:
        return np.nan, np.nan
    found = bootstrap(
        (honoured,),
        np.mean,
        n_resamples=_REPLICATES,
        batch=100,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)
