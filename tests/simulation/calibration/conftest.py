"""Traces whose agents are known: simulated ones, written as if they had been recorded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from agentsim.simulation.plans import make_plans
from agentsim.simulation.population import make_population
from agentsim.simulation.scenario import Scenario, parse_scenario

KNOWN = parse_scenario(
    {
        "schema": 1,
        "name": "known",
        "seed": 7,
        "population": {"agents": 3_000, "roots": {"lead": 1}, "max_depth": 2},
        "workload": {"executor": "constant-arrival-rate", "duration": "1h"},
        "roles": {
            "lead": {
                "summary": "leads",
                "tools": {"plan": ["shop"], "ask": ["shop"], "tell": ["shop"]},
                "start": {"plan": 9, "ask": 1},
                "chain": {
                    "plan": {"ask": 7, "plan": 3},
                    "ask": {"tell": 6, "ask": 2, "plan": 2},
                    "tell": {"plan": 8, "tell": 2},
                },
                "tasks": [{"text": "Lead"}],
                "steps": 6.0,
                "dispersion": 0.8,
                "gap": "10s",
                "gap_spread": 0.6,
                "call": "100ms",
                "errors": 0.15,
                "retries": 0.4,
                "slips": 0.0,
                "fanout": 1.5,
                "child_roles": {"scout": 3, "clerk": 1},
                "sizes": {
                    "plan": {
                        "arguments": 3,
                        "argument_chars": 50.0,
                        "argument_spread": 0.4,
                        "result_chars": 0.0,
                    }
                },
                "failure_chars": 80.0,
            },
            "scout": {
                "summary": "looks",
                "tools": {"look": ["shop"], "note": ["shop"]},
                "chain": {"look": {"look": 1, "note": 3}, "note": {"look": 1}},
                "tasks": [{"text": "Look"}],
                "steps": 3.0,
                "dispersion": 0.0,
                "gap": "2s",
                "slips": 0.0,
            },
            "clerk": {
                "summary": "files",
                "tools": {"file": ["shop"], "note": ["shop"]},
                "chain": {"file": {"note": 1}, "note": {"file": 1}},
                "tasks": [{"text": "File"}],
                "steps": 2.0,
                "slips": 0.0,
            },
        },
    }
)


def rows_of(scenario: Scenario) -> pd.DataFrame:
    """The calls of a scenario's agents in the format of traces: a run per tree, named after nothing."""
    population = make_population(scenario, 0)
    plans, calls = make_plans(scenario, population)
    agent = calls.agent
    time = plans.issued[agent] + calls.offset
    tree = population.tree[agent]
    parent = population.parent[agent]
    rows = pd.DataFrame(
        {
            "run_id": [f"run-{number}" for number in tree],
            "agent": np.array(population.catalogue.roles, dtype=object)[population.role[agent]],
            "suite": "shop",
            "task_id": [f"task-{number}" for number in agent],
            "parent_task_id": [f"task-{number}" if number >= 0 else None for number in parent],
            "t": (time - plans.issued[population.roots][tree]) / 1e6,
            "tool": np.array(population.catalogue.tools, dtype=object)[calls.tool],
            "args_digest": [f"{value:012x}" for value in calls.arguments],
            "n_args": calls.n_args.astype(int),
            "arg_chars": calls.arg_chars,
            "result_chars": calls.result_chars,
            "error": calls.error,
            "label": 0,
            "label_detail": "none",
            "attack_attempted": False,
            "utility": True,
        }
    )
    rows = rows.sort_values(["run_id", "t"], kind="stable", ignore_index=True)
    return rows.assign(step=rows.groupby("run_id").cumcount())


@pytest.fixture(scope="session")
def known_rows() -> pd.DataFrame:
    return rows_of(KNOWN)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(rows: pd.DataFrame, name: str = "recorded.parquet") -> Path:
        path = tmp_path / name
        pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), path)
        return path

    return make


@pytest.fixture(scope="session")
def known_file(known_rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traces") / "known.parquet"
    pq.write_table(pa.Table.from_pandas(known_rows, preserve_index=False), path)
    return path
