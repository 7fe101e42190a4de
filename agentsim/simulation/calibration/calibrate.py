"""From a file of recorded traces to a scenario that simulates agents like those."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from tqdm.auto import tqdm

from agentsim.run.files import replacing, sha256
from agentsim.settings.faults import SettingsError
from agentsim.settings.yamlfile import format_yaml
from agentsim.simulation.calibration.fitting import fit_role
from agentsim.simulation.calibration.judging import Judgement, judge
from agentsim.simulation.calibration.observed import Observed, observe
from agentsim.simulation.calibration.played import play
from agentsim.simulation.calibration.wording import header, not_told, resource_name, scenario_name
from agentsim.simulation.consistency import MOST_NAMES
from agentsim.simulation.scenario import Scenario, parse_scenario
from agentsim.simulation.trace_format import TraceError
from agentsim.simulation.traces import read_traces

#: Agents of the scenario that is written; calls, and the agents that make about so many, that are drawn to judge it.
_AGENTS, _JUDGED_CALLS, _JUDGED_AGENTS = 1_000, 100_000, 10_000
#: What a policy may have at most, and roots without children still may have.
_LEAST_DEPTH, _LEAST_FANOUT = 8, 64


@dataclass(frozen=True)
class Calibration:
    """What was fitted, and how well it fits.

    ``source`` : name, SHA-256 and rows of the traces, and the runs, tasks and calls that were used of them. ``notes`` : what was left out or put together.
    ``not_told`` : what the traces cannot tell, and is as it is by default.
    """

    scenario: Scenario
    text: str
    source: dict[str, Any]
    roles: tuple[Judgement, ...]
    notes: tuple[str, ...]
    not_told: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write the scenario's file; what is there is replaced."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(self.text, encoding="utf-8")

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data."""
        return {
            "source": self.source,
            "roles": [asdict(role) for role in self.roles],
            "notes": list(self.notes),
            "not_told": list(self.not_told),
        }


def calibrate(path: Path | str, *, progress: bool = False) -> Calibration:
    """Fit roles to recorded traces, and judge them by runs that were held back.

    A quarter of the runs, chosen by the hashes of their names, is used for nothing but judging.

    Parameters
    ----------
    path : Parquet file in the long format of :mod:`agentsim.simulation.traces`.
    progress : show a bar.

    Raises
    ------
    TraceError
        If the table cannot be used, or has too little for a fit.
    """
    path = Path(path)
    observed = observe(path, read_traces(path), MOST_NAMES)
    source = _source(path, observed)
    data = _scenario(path, observed, source)
    try:
        scenario = parse_scenario(data, path)
    except SettingsError as error:
        raise TraceError(
            path, [f"no scenario can be made of it: {fault}" for fault in error.faults]
        ) from error
    missing = not_told(observed)
    return Calibration(
        scenario=scenario,
        text=header(source, observed.notes, missing) + format_yaml(data),
        source=source,
        roles=tuple(_judged(observed, scenario, progress=progress)),
        notes=observed.notes,
        not_told=missing,
    )


def _source(path: Path, observed: Observed) -> dict[str, Any]:
    tasks = observed.tasks
    return {
        "traces": path.name,
        "sha256": sha256(path),
        "rows": pq.read_metadata(path).num_rows,
        "runs": int(tasks["run"].nunique()),
        "held_runs": int(tasks.loc[tasks["held"], "run"].nunique()),
        "tasks": len(tasks),
        "calls": len(observed.calls),
    }


def _scenario(path: Path, observed: Observed, source: dict[str, Any]) -> dict[str, Any]:
    fitted = observed.part(held=False)
    kinds = sorted(fitted.tasks["kind"].unique())
    roots = fitted.tasks.loc[fitted.tasks["parent"] < 0, "kind"].value_counts()
    depth = int(observed.tasks["depth"].max())
    widest = int(fitted.tasks["children"].max())
    return {
        "schema": 1,
        "name": scenario_name(path),
        "description": f"Roles as recorded in {source['traces']}.",
        "seed": int(source["sha256"][:12], 16),
        "population": {
            "agents": _AGENTS,
            "roots": {name: int(roots[name]) for name in kinds if name in roots},
            "max_depth": depth,
            "max_fanout": widest,
        },
        "workload": {"executor": "constant-arrival-rate", "duration": "1h"},
        "policy": {"max_depth": max(depth, _LEAST_DEPTH), "max_fanout": max(widest, _LEAST_FANOUT)},
        "roles": {kind: _role(kind, fitted) for kind in kinds},
    }


def _role(kind: str, fitted: Observed) -> dict[str, Any]:
    tasks, calls = fitted.tasks, fitted.calls
    own = tasks[tasks["kind"] == kind]
    below = tasks[tasks["parent"].isin(own.index)]
    children = below["kind"].value_counts().sort_index()
    return fit_role(
        kind,
        resource_name(own["suite"].iloc[0]),
        own,
        calls[calls["kind"] == kind],
        {str(name): int(count) for name, count in children.items()},
    )


def _judged(observed: Observed, scenario: Scenario, *, progress: bool) -> list[Judgement]:
    agents = min(_JUDGED_AGENTS, _JUDGED_CALLS * len(observed.tasks) // len(observed.calls))
    played = play(scenario.with_agents(max(agents, _AGENTS)))
    fitted, held = (_tables(observed.part(held=part)) for part in (False, True))
    kinds = sorted(fitted[0]["kind"].unique())
    return [
        judge(kind, scenario.roles[kind], *(_of(kind, tables) for tables in (fitted, held, played)))
        for kind in tqdm(kinds, unit="role", disable=not progress, desc="judge")
    ]


def _tables(part: Observed) -> tuple[pd.DataFrame, pd.DataFrame]:
    return part.tasks, part.calls


def _of(kind: str, tables: tuple[pd.DataFrame, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    tasks, calls = tables
    return tasks[tasks["kind"] == kind], calls[calls["kind"] == kind]
