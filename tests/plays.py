"""What several rooms' stories play."""

from pathlib import Path

from agentsim.run import Run
from agentsim.simulation import Scenario, simulate


def play_attacked(folder: Path) -> Run:
    """A small Run with every kind of attack."""
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
    return simulate(scenario, folder / "small")
