"""A victim to attack, an attacker of each kind, and the server's answers to it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from agentsim.server import Admin, Client
from agentsim.simulation.attacks import ATTACKERS, Attacker, Victim, find_attacker

#: The organisation's own hosts are all of this network.
HOSTS = tuple(f"10.0.0.{number}" for number in range(1, 9))


def make_victim(**parts: Any) -> Victim:
    """An analyst with two tools, one of which its task does not call."""
    known = {
        "client": Client("agent_1", "secret"),
        "access_token": "token",
        "refresh_token": "refresh",
        "task_id": "task-0000001",
        "task_description": "Weekly figures of product 4",
        "tools": {"file_read": ("github",), "db_query": ("sales",)},
        "level": "standard",
        "work": {"file_read": ("github",)},
        "unusual": {"db_query": ("sales",)},
        "beyond": {"chart_make": ("wiki",), "file_read": ("s3",)},
        "registered": {"file_read": ("github", "s3"), "db_query": ("sales",), "chart_make": ("wiki",)},
        "registered_level": "elevated",
        "agent_name": "data_analyst-0000001",
        "role": "data_analyst",
        "summary": "looks at figures",
        "budget": None,
        "steps": 5.0,
        "gap_spread": 0.9,
        "habits": {"": {"file_read": 1.0}, "file_read": {"db_query": 3.0, "file_read": 1.0}},
        "errands": ("task-0000001", "task-0000003"),
        "caller": "host-10.0.0.1",
        "source_ip": "10.0.0.1",
        "hosts": HOSTS,
        "admin": Admin("acme"),
    }
    return Victim(**{**known, **parts})


@pytest.fixture
def victim() -> Victim:
    """An agent with a parent that may do more, and a child."""
    parent = make_victim(
        client=Client("agent_0", "secret"),
        access_token="parent's",
        task_id="task-0000000",
        tools={"file_read": ("github",), "db_query": ("sales",), "plan_write": ("planner",)},
        caller="host-10.0.0.9",
        source_ip="10.0.0.9",
    )
    child = make_victim(client=Client("agent_2", "secret"), access_token="child's", task_id="task-0000002")
    return make_victim(parent=parent, children=[child])


@pytest.fixture
def make() -> Callable[..., Attacker]:
    """An attacker of a kind that has begun."""

    def made(kind: str, stealth: float, seed: int = 0, victim: Victim | None = None) -> Attacker:
        attacker = find_attacker(kind)(stealth, np.random.default_rng(seed))
        attacker.begin(victim or make_victim())
        return attacker

    return made


@pytest.fixture(params=sorted(ATTACKERS))
def kind(request: pytest.FixtureRequest) -> str:
    """Each built-in kind in turn."""
    return str(request.param)
