"""One play of a scenario, and what it took: time, memory, disk, and where the time went."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import yaml

from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.prices import BATCH, SHARED, priced
from agentsim.run import Run
from agentsim.settings.durations import format_duration, parse_duration
from agentsim.simulation import Scenario, simulate
from agentsim.simulation.intents import make_intents
from agentsim.simulation.scenario import parse_scenario

#: Stages that ``windows`` does not tell: before the first window, and after the last.
POPULATION, REST = "population", "export and rest"


@dataclass(frozen=True, kw_only=True)
class Played:
    """What one play took.

    Attributes
    ----------
    wall_s, cpu_s : of the whole play, from the drawing of the population to the last table; user and system together.
    idle_bytes, peak_bytes : resident memory of the process before the play, and the most that it ever had.
    database_bytes, run_bytes : of all tenants' databases at their end, and of the Run's tables.
    causes, prices_us : how often each operation and each batch was there, and what one cost (:func:`~.prices.priced`).
    stages : seconds of wall time by stage; together they are ``wall_s``.
    """

    agents: int
    wall_s: float
    cpu_s: float
    idle_bytes: int
    peak_bytes: int
    database_bytes: int
    run_bytes: int
    causes: dict[str, int]
    prices_us: dict[str, float]
    stages: dict[str, float]

    @property
    def operations(self) -> int:
        """Operations of all kinds."""
        return sum(self.causes.values()) - self.batches

    @property
    def batches(self) -> int:
        """Transactions that they were answered in."""
        return self.causes[BATCH]

    def seconds_of(self, other: Played) -> float:
        """What an agent of another play would have cost at the prices of this one: the same operations, as full batches."""
        windows = sum(
            count * self.prices_us.get(cause, other.prices_us[cause]) for cause, count in other.causes.items()
        )
        around = self.stages[POPULATION] + self.stages[REST]
        return windows / 1e6 / other.agents + around / self.agents


@dataclass(frozen=True)
class Play:
    """Plays a scenario into a Run, in this process. It can be sent to another one.

    Raises
    ------
    BenchError
        If a tenant fails.
    """

    scenario: Scenario
    path: Path
    progress: bool

    def __call__(self) -> Played:
        # What it was made of lies beside it: the Run's own command makes it again.
        source = self.path.with_suffix(".yaml")
        source.write_text(yaml.safe_dump(self.scenario.resolved(), sort_keys=False), encoding="utf-8")
        idle, cpu, began = _memory("VmRSS"), _cpu(), perf_counter()
        run = simulate(self.scenario, self.path, fresh=True, source=source, progress=self.progress)
        wall, cpu, peak = perf_counter() - began, _cpu() - cpu, _memory("VmHWM")
        if run.manifest.failed:
            tenant, failure = next(iter(run.manifest.failed.items()))
            raise BenchError(f"tenant {tenant}: {failure}")
        # Drawn once more for itself, now that it can no longer be taken for a part of the play.
        began = perf_counter()
        for tenant in run.manifest.tenants:
            make_intents(self.scenario, tenant)
        return _told(
            run,
            population_s=perf_counter() - began,
            agents=self.scenario.population.agents,
            wall_s=wall,
            cpu_s=cpu,
            idle_bytes=idle,
            peak_bytes=peak,
        )


def sized(scenario: Scenario, agents: int) -> Scenario:
    """The scenario with another number of agents, who come as densely as before.

    The times in which trees arrive (``duration``, the stages' ``for``) and at which attacks start are stretched or
    shortened in the proportion of the agents. Rates and numbers of users stay, and so do the agents' own times.

    Raises
    ------
    SettingsError
        If the scenario cannot have so few or so many.
    """
    factor = agents / scenario.population.agents
    data = scenario.resolved()
    data["population"]["agents"] = agents
    _stretch(data["workload"], "duration", factor)
    for stage in data["workload"].get("stages") or ():
        _stretch(stage, "for", factor)
    for attack in data["attacks"]:
        _stretch(attack, "start", factor)
    return parse_scenario(data, scenario.name)


def _stretch(data: dict[str, Any], key: str, factor: float) -> None:
    if data.get(key) is not None:
        length = parse_duration(data[key])
        # A time that was not nothing must not become it.
        data[key] = format_duration(max(min(1, length), round(factor * length)))


def _told(run: Run, *, population_s: float, wall_s: float, **others: Any) -> Played:
    columns = ["tenant", "window", "operation", "count", "wall_us", "database_bytes"]
    windows = run.frame("windows", columns).astype({"operation": str})
    within = {str(name): us / 1e6 for name, us in windows.groupby("operation")["wall_us"].sum().items()}
    causes, prices = priced(windows)
    last = windows.sort_values("window", kind="stable").groupby("tenant")["database_bytes"].last()
    return Played(
        wall_s=wall_s,
        database_bytes=int(last.sum()),
        run_bytes=sum(entry.bytes for entry in run.manifest.files.values()),
        causes=causes,
        prices_us=prices,
        stages={
            POPULATION: population_s,
            **{name: within[name] for name in (*causes, *SHARED) if name in within},
            REST: max(0.0, wall_s - population_s - sum(within.values())),
        },
        **others,
    )


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory(name: str) -> int:
    """Resident memory in bytes: now (``VmRSS``) or the most that there was (``VmHWM``).

    ``ru_maxrss`` is what systems without ``/proc`` have; on Linux it counts what the parent had when it began this process.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
