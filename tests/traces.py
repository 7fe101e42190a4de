"""Traces of agents that never were: tool calls as rows, and the files that hold them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from agentsim.simulation.trace_format import SCHEMA


def call(run_id: str, step: int, tool: str, **others: Any) -> dict[str, Any]:
    """One call of a tool, in a run that nobody attacks; ``others`` are what else is told of it."""
    return {
        "run_id": run_id,
        "agent": "model-a",
        "suite": "shop",
        "task_id": "task_1",
        "parent_task_id": None,
        "step": step,
        "t": None,
        "tool": tool,
        "args_digest": "44136fa355b3",
        "n_args": 1,
        "arg_chars": 10,
        "result_chars": 20,
        "error": False,
        "label": 0,
        "label_detail": "none",
        "attack_attempted": False,
        "utility": True,
        **others,
    }


def write(path: Path, calls: Iterable[dict[str, Any]]) -> Path:
    """A file of these calls."""
    pq.write_table(pa.Table.from_pylist(list(calls), schema=SCHEMA), path)
    return path


def attacked(suites: Iterable[str], runs: int) -> list[dict[str, Any]]:
    """Runs of three models that read and work, so many in each suite; of those that are attacked a third pays as well."""
    random = np.random.default_rng(3)
    calls = []
    for suite in suites:
        for number in range(runs):
            attempted = number % 3 > 0
            fooled = attempted and random.random() < 0.3
            told = {
                "agent": f"model-{number % 7 % 3}",
                "suite": suite,
                "task_id": f"task {number % 4}",
                "label": int(fooled),
                "label_detail": "injection",
                "attack_attempted": attempted,
            }
            tools = ["read", f"work_{number % 4}", *(["pay"] if fooled else [])]
            calls += [call(f"{suite}-{number}", step, tool, **told) for step, tool in enumerate(tools)]
    return calls
