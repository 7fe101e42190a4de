import numpy as np
import pandas as pd
import pytest

from agentsim.run import Run
from agentsim.simulation import Scenario, replay, simulate


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Run:
    """A small simulated Run with every kind of attack."""
    kinds = ("scope_escalation", "token_theft", "refresh_replay", "task_hijack")
    scenario = Scenario.model_validate(
        {
            "schema": 1,
            "name": "small",
            "seed": 7,
            "population": {"agents": 200},
            "workload": {"executor": "constant-arrival-rate", "duration": "15m"},
            "window": "10s",
            "attacks": [{"kind": kind, "prevalence": 0.05, "stealth": 0.3} for kind in kinds],
        }
    )
    return simulate(scenario, tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def replayed(tmp_path_factory) -> Run:
    """Recorded traces of two suites, made up, with delegation in every fourth run; some names mean harm."""
    random = np.random.default_rng(3)
    rows = []
    for suite in ("bank", "shop"):
        for number in range(120):
            attempted = number % 3 > 0
            fooled = attempted and random.random() < 0.3
            calls = ["read", f"work_{number % 4}", *(["pay"] if fooled else [])]
            for step, tool in enumerate(calls):
                delegated = number % 4 == 0 and step == 1
                rows.append(
                    {
                        "dataset": "made",
                        "run_id": f"{suite}-{number}",
                        "agent": f"<script>model-{number % 5}</script>|$\\frac",
                        "suite": suite,
                        "task_id": "helper" if delegated else f"task {number % 4}",
                        "parent_task_id": f"task {number % 4}" if delegated else None,
                        "step": step,
                        "t": np.nan,
                        "tool": tool,
                        "args_digest": "0" * 12,
                        "n_args": 1,
                        "arg_chars": 5,
                        "result_chars": 9,
                        "error": False,
                        "label": int(fooled),
                        "label_detail": "injection",
                        "utility": True,
                        "attack_attempted": attempted,
                    }
                )
    folder = tmp_path_factory.mktemp("traces")
    pd.DataFrame(rows).to_parquet(folder / "made.parquet")
    return replay(folder / "made.parquet", folder / "run")
