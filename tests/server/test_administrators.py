"""The administrator's token: told once, kept as a digest, the same for all who open the database."""

from typing import Any

import pytest

from agentsim.server.administrators import make_token, stored_token_hash
from agentsim.server.credentials import digest
from agentsim.server.schema import Administrator
from agentsim.server.store import ConflictError


@pytest.mark.on_both
def test_a_token_is_made_once_and_kept_as_a_digest(world: Any) -> None:
    store = world.server.store
    assert stored_token_hash(store) is None
    token = make_token(store, world.clock)
    assert stored_token_hash(store) == digest(token)
    (row,) = world.rows(Administrator)
    assert (row["name"], row["created_at"]) == ("admin", world.clock.now())
    world.reopen()
    assert stored_token_hash(world.server.store) == digest(token)


@pytest.mark.on_both
def test_of_two_who_make_one_only_the_first_succeeds(world: Any) -> None:
    token = make_token(world.server.store, world.clock)
    with pytest.raises(ConflictError):
        make_token(world.server.store, world.clock)
    assert stored_token_hash(world.server.store) == digest(token)
