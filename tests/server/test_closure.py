"""The fill: after a mark the rows below it are marked one by one, in bounded steps, whatever happens between."""

from typing import Any

from agentsim.server.schema import RevocationMark


def test_a_mark_that_ends_nothing_is_closed(world: Any) -> None:
    agent = world.agent()
    world.revoke(task_id="never begun")
    world.revoke(principal="nobody")
    world.revoke(client_id=agent.client_id)
    closed = world.fill()
    assert [(mark.affected_grants, mark.affected_tokens, mark.tasks) for mark in closed] == [(0, 0, [])] * 3
    assert {mark["closure"] for mark in world.rows(RevocationMark)} == {"closed"}
