from collections.abc import Callable
from typing import Any

import pytest

from agentsim.simulation.scenario import Scenario, parse_scenario


@pytest.fixture(scope="session")
def scenario() -> Callable[..., Scenario]:
    """Makes a small scenario; keyword arguments replace its parts."""

    def make(**parts: Any) -> Scenario:
        data = {
            "schema": 1,
            "name": "story",
            "seed": 42,
            "population": {"agents": 500},
            "workload": {"executor": "constant-arrival-rate", "duration": "30m"},
        }
        return parse_scenario({**data, **parts})

    return make
