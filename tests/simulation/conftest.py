from collections.abc import Callable
from typing import Any

import pytest

from agentsim.server import TokenGrant
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


@pytest.fixture
def grant() -> Callable[..., TokenGrant]:
    """The server's answer to a request for tokens."""

    def made(token: str = "fresh", task_id: str = "task-0000001") -> TokenGrant:
        return TokenGrant(
            log_id=1,
            access_token=token,
            refresh_token=f"{token}, to refresh",
            expires_in=1,
            expires_at=1,
            scope="",
            task_id=task_id,
            parent_task_id=None,
            allowed_tools=[],
            allowed_resources=[],
            scope_inheritance="restricted",
            grant_id=1,
            root_grant_id=1,
            depth=0,
            audience=[],
            level="minimal",
        )

    return made
