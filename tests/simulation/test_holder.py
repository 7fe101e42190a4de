"""What an agent holds, and what others could have had of it."""

from agentsim.server import Client, TokenGrant
from agentsim.simulation.holder import Holder


def grant(token):
    return TokenGrant(
        log_id=1,
        access_token=token,
        refresh_token=None,
        expires_in=1,
        expires_at=1_000,
        scope="",
        task_id="task",
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


def test_nobody_gets_a_token_before_it_was_issued():
    holder = Holder(Client("agent_1", "secret"), "registration")
    holder.hold(grant("first"), 100)
    holder.hold(grant("second"), 200)
    assert [holder.token_at(moment) for moment in (150, 200, 250)] == ["first", "second", "second"]


def test_before_its_first_token_there_is_none():
    holder = Holder(Client("agent_1", "secret"), "registration")
    holder.hold(grant("first"), 100)
    assert holder.token_at(99) is None
