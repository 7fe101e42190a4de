"""Honest agents at play: what they hold, and until when."""

from itertools import count

import numpy as np
import pytest

from agentsim.server import Client
from agentsim.simulation.agentplay import AgentPlay
from agentsim.simulation.holder import Holder
from agentsim.simulation.intents import make_intents
from agentsim.simulation.requests import Requests

FIVE_MINUTES = 300_000_000


@pytest.fixture
def play(scenario):
    intents = make_intents(scenario(population={"agents": 200}), 0)
    agents = AgentPlay(intents, Requests("org", intents), 300_000_000, count(len(intents)))
    agents.holders |= {number: Holder(Client("agent_1", "secret"), "token") for number in range(200)}
    return intents, agents


def done_by(intents, moment):
    """The agents of trees of which everybody is done by then."""
    population, ended = intents.population, intents.plans.ended
    last = {int(tree): ended[population.tree == tree].max() for tree in np.unique(population.tree)}
    return {number for number in range(len(population)) if last[int(population.tree[number])] < moment}


def test_trees_that_have_been_done_for_five_minutes_forget_what_they_hold(play):
    intents, agents = play
    for share in (0.3, 0.6, 0.6, 1.0):
        now = int(np.quantile(intents.time, share)) + FIVE_MINUTES
        agents.forget(now, besides=frozenset())
        assert set(agents.holders) == set(range(200)) - done_by(intents, now - FIVE_MINUTES)
    assert len(agents.holders) < 100


def test_what_somebody_else_uses_is_kept(play):
    intents, agents = play
    agents.forget(int(intents.time[-1]) + 2 * FIVE_MINUTES, besides=frozenset({3, 70}))
    assert set(agents.holders) == {3, 70}
