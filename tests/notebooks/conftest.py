import pytest

from agentsim.run import Run
from agentsim.simulation import Scenario, simulate


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
