"""What an agent holds, and what others could have had of it."""

from agentsim.server import Client
from agentsim.simulation.holder import Holder


def test_nobody_gets_a_token_before_it_was_issued(grant):
    holder = Holder(Client("agent_1", "secret"), "registration")
    holder.hold(grant("first"), 100)
    holder.hold(grant("second"), 200)
    assert [holder.token_at(moment) for moment in (150, 200, 250)] == ["first", "second", "second"]


def test_before_its_first_token_there_is_none(grant):
    holder = Holder(Client("agent_1", "secret"), "registration")
    holder.hold(grant("first"), 100)
    assert holder.token_at(99) is None
