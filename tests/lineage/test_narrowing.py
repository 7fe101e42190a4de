"""How much a child is given, and what of it is used, on a Run whose every step is known."""

import numpy as np
import pytest

from agentsim.lineage import Forest, given_up, unused_scope
from agentsim.server import Verify


def by_task(run, values):
    """Values of tenant 0's grants by their task."""
    tokens = run.frame("tokens")
    first = tokens[(tokens["token_id"] == tokens["grant_id"]) & (tokens["tenant"] == 0)]
    forest = Forest.from_run(run)
    return {
        task: values[forest.index_of(int(grant))]
        for task, grant in zip(first["task_id"], first["grant_id"], strict=True)
    }


def test_a_child_gives_up_what_it_does_not_hold_whole(told_run):
    told = by_task(told_run, given_up(told_run, Forest.from_run(told_run))["scope"])
    # Of four members review keeps three; read holds none whole; read-more one of three; a root gives up nothing.
    assert told["review"] == pytest.approx(1 / 4)
    assert told["read"] == pytest.approx(1)
    assert told["read-more"] == pytest.approx(2 / 3)
    assert np.isnan(told["release"])


def test_a_member_of_a_scope_is_used_once_something_under_it_was_let_through(told_run):
    forest = Forest.from_run(told_run)
    scope = unused_scope(told_run, forest)
    assert len(scope) == len(forest)
    told = by_task(told_run, list(scope[["held", "used"]].itertuples(index=False, name=None)))
    # file_read:github/specific was used for just that; refused uses count for nothing.
    assert told["read"] == (1, 1)
    assert told["read-more"] == (1, 0)
    assert told["quiet"] == (4, 1)
    assert told["collect"] == (1, 0)


def test_a_scope_that_is_no_tool_with_a_resource_is_used_when_it_was_asked_for(write, story):
    agent = story.agent("lead", scope="email.read email.send")
    grant = story.root(
        agent, "mail", scope="email.read email.send", required_tools=None, required_resources=None
    )
    assert story.ask(Verify(token=grant.access_token, scope="email.read", caller="api")).is_valid
    run = write(story)
    assert unused_scope(run, Forest.from_run(run)).to_numpy().tolist() == [[2, 1]]
