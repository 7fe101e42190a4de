"""Refresh tokens: rotated at each use, consumed once, never wider, and a replay ends the grant."""

from collections.abc import Callable
from typing import Any

import pytest

from agentsim.server import Client, OAuthError, Refresh, TokenGrant
from agentsim.server.answers import AgentRecord
from agentsim.server.clock import SECOND
from agentsim.server.operations.agents import ReadAgent, UpdateAgent
from agentsim.server.schema import IssuedToken

pytestmark = pytest.mark.on_both


def test_a_refresh_gives_new_tokens_of_the_same_grant(world: Any) -> None:
    agent = world.agent()
    first = world.root(agent)
    world.clock.advance(200 * SECOND)
    second = world.refresh(agent, first)
    assert second.grant_id == first.grant_id
    assert second.access_token != first.access_token
    assert second.refresh_token != first.refresh_token
    assert second.expires_at == first.expires_at + 200 * SECOND
    assert (second.scope, second.task_id, second.depth) == (first.scope, first.task_id, 0)
    assert world.why_not(second) is None
    old, new = world.rows(IssuedToken)
    assert new["previous_token_id"] == old["token_id"] == old["grant_id"] == new["grant_id"]
    assert old["refresh_consumed_at"] == world.clock.now()


def test_the_old_access_token_lives_out_its_time(world: Any) -> None:
    agent = world.agent()
    first = world.root(agent)
    world.refresh(agent, first)
    assert world.why_not(first) is None
    world.clock.set(first.expires_at)
    assert world.why_not(first) == "expired"


def test_a_replay_ends_the_grant_and_what_hangs_below(world: Any) -> None:
    agent = world.agent()
    first = world.root(agent)
    child = world.child(agent, first)
    world.clock.advance(1)
    second = world.refresh(agent, first)
    world.clock.advance(1)
    refused = world.refusal(Refresh(by=agent, refresh_token=first.refresh_token))
    assert (refused.error, refused.reason) == ("invalid_grant", "refresh_reused")
    for token in (first, second, child):
        assert world.why_not(token) == "revoked"
    for token in (second, child):
        assert world.refusal(Refresh(by=agent, refresh_token=token.refresh_token)).reason == "refresh_revoked"


@pytest.mark.parametrize("apart", [0, 1, -1, -SECOND], ids=lambda us: f"{us} us later")
@pytest.mark.parametrize("one_batch", [True, False], ids=["one batch", "two batches"])
def test_without_a_grace_window_every_second_use_is_a_replay(world: Any, apart: int, one_batch: bool) -> None:
    agent = world.agent()
    grant = world.root(agent)
    use = Refresh(by=agent, refresh_token=grant.refresh_token)
    now = world.clock.now() + 10 * SECOND
    if one_batch:
        first, second = world.server.execute([use, use], at=[now, now + apart])
    else:
        (first,) = world.server.execute([use], at=[now])
        (second,) = world.server.execute([use], at=[now + apart])
    assert isinstance(first, TokenGrant)
    assert isinstance(second, OAuthError)
    assert second.reason == "refresh_reused"
    assert world.why_not(first) == "revoked"


@pytest.mark.parametrize(
    ("apart", "forgiven"),
    [
        (0, True),
        (9 * SECOND, True),
        (10 * SECOND - 1, True),
        (10 * SECOND, False),
        (-SECOND, True),
        (-11 * SECOND, False),
    ],
)
def test_inside_the_grace_window_a_second_use_is_forgiven(
    make_world: Callable[..., Any], apart: int, forgiven: bool
) -> None:
    world = make_world(refresh_grace_us=10 * SECOND)
    agent = world.agent()
    grant = world.root(agent)
    use = Refresh(by=agent, refresh_token=grant.refresh_token)
    now = world.clock.now() + 100 * SECOND
    first, second = world.server.execute([use, use], at=[now, now + apart])
    assert isinstance(second, TokenGrant if forgiven else OAuthError)
    assert world.why_not(first) == (None if forgiven else "revoked")


def test_the_grace_window_is_counted_from_the_first_use(make_world: Callable[..., Any]) -> None:
    world = make_world(refresh_grace_us=10 * SECOND)
    agent = world.agent()
    grant = world.root(agent)
    world.refresh(agent, grant)
    for _ in range(3):
        world.clock.advance(3 * SECOND)
        world.refresh(agent, grant)
    world.clock.advance(3 * SECOND)
    assert world.refusal(Refresh(by=agent, refresh_token=grant.refresh_token)).reason == "refresh_reused"


def test_a_refresh_token_is_bound_to_its_client(world: Any) -> None:
    agent, other = world.agent(), world.agent()
    grant = world.root(agent)
    assert world.refusal(Refresh(by=other, refresh_token=grant.refresh_token)).reason == "wrong_client"
    stranger = Client(agent.client_id, "a guess")
    assert world.refusal(Refresh(by=stranger, refresh_token=grant.refresh_token)).reason == "invalid_client"
    # Neither of them has used it up.
    assert world.refresh(agent, grant).grant_id == grant.grant_id


@pytest.mark.parametrize(
    "token", ["", "rt_", "rt_1_", "rt_1_x", "rt_99999999999999999999_x", "nonsense", "rt_٣_x"]
)
def test_an_unknown_refresh_token_is_refused(world: Any, token: str) -> None:
    assert world.refusal(Refresh(by=world.agent(), refresh_token=token)).reason == "refresh_invalid"


def test_a_refresh_token_with_another_secret_is_refused(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent)
    forged = grant.refresh_token[:-1] + ("A" if grant.refresh_token[-1] != "A" else "B")
    assert world.refusal(Refresh(by=agent, refresh_token=forged)).reason == "refresh_invalid"
    assert world.refusal(Refresh(by=agent, refresh_token=grant.access_token)).reason == "refresh_invalid"


def test_refreshes_carry_a_grant_no_further_than_its_own_end(make_world: Callable[..., Any]) -> None:
    world = make_world(access_ttl_us=300 * SECOND, grant_ttl_us=500 * SECOND)
    agent = world.agent()
    end = world.clock.now() + 500 * SECOND
    grant = world.root(agent)
    world.clock.advance(290 * SECOND)
    grant = world.refresh(agent, grant)
    assert grant.expires_at == end
    world.clock.set(end)
    assert world.refusal(Refresh(by=agent, refresh_token=grant.refresh_token)).reason == "refresh_expired"


def test_a_childs_refreshes_end_with_its_parents_grant(make_world: Callable[..., Any]) -> None:
    world = make_world(access_ttl_us=300 * SECOND, grant_ttl_us=500 * SECOND)
    agent = world.agent()
    root = world.root(agent)
    world.clock.advance(250 * SECOND)
    child = world.child(agent, root)
    world.clock.advance(100 * SECOND)
    # The parent's token has expired, its grant has not: the child may go on, but not past the grant.
    again = world.refresh(agent, child)
    assert again.expires_at == root.expires_at + 200 * SECOND
    world.clock.set(again.expires_at)
    assert world.refusal(Refresh(by=agent, refresh_token=again.refresh_token)).reason == "refresh_expired"


def test_without_refresh_tokens_none_is_given(make_world: Callable[..., Any]) -> None:
    world = make_world(refresh_tokens=False)
    agent = world.agent()
    assert world.root(agent).refresh_token is None


def narrow(world: Any, agent: Any, **less: Any) -> None:
    world.ask(UpdateAgent(by=world.admin, client_id=agent.client_id, **less), AgentRecord)


def test_a_refresh_gives_no_more_than_is_registered_by_now(make_world: Callable[..., Any]) -> None:
    world = make_world(tool_levels={"db_query": "standard"})
    agent = world.agent(max_scope_level="standard")
    scope = "db_query:jira file_read:github file_read:jira"
    grant = world.root(agent, scope=scope)
    narrow(world, agent, allowed_tools=["file_read"], resource_access=["github/docs", "jira"])
    left = world.refresh(agent, grant)
    assert left.scope == "file_read:github/docs file_read:jira"
    assert (left.allowed_tools, left.allowed_resources) == (["file_read"], ["github/docs", "jira"])
    assert world.why_not(left, scope="db_query:jira") == "insufficient_scope"
    narrow(world, agent, max_scope_level="minimal")
    lower = world.refresh(agent, left)
    assert lower.level == "minimal"
    # What it had is its own again where the administrator gives it back: the grant has not changed.
    narrow(world, agent, allowed_tools=["db_query", "file_read"], resource_access=["github", "jira"])
    narrow(world, agent, max_scope_level="standard")
    newest = world.refresh(agent, lower)
    assert (newest.scope, newest.level) == (scope, "standard")


@pytest.mark.parametrize(
    ("less", "asked", "reason"),
    [
        ({"allowed_tools": ["db_query"]}, None, "scope_exceeds_registration"),
        ({"resource_access": []}, None, "scope_exceeds_registration"),
        ({"allowed_tools": ["file_read"]}, "file_read:jira file_write:jira", "scope_exceeds_registration"),
        ({"allowed_tools": ["file_read"]}, "db_query:jira", "scope_widened"),
        ({"max_scope_level": "minimal"}, None, "level_too_low"),
        ({"grant_types": ["client_credentials"]}, None, "grant_type_not_registered"),
    ],
)
def test_a_refresh_that_would_give_more_than_is_registered_uses_nothing_up(
    make_world: Callable[..., Any], less: dict[str, Any], asked: str | None, reason: str
) -> None:
    world = make_world(tool_levels={"file_write": "restricted"})
    agent = world.agent()
    grant = world.root(agent, scope="file_read:jira file_write:jira")
    before = world.ask(ReadAgent(by=world.admin, client_id=agent.client_id), AgentRecord).profile
    narrow(world, agent, **less)
    refused = world.refusal(Refresh(by=agent, refresh_token=grant.refresh_token, scope=asked))
    assert refused.reason == reason
    (row,) = world.rows(IssuedToken)
    assert row["refresh_consumed_at"] is None
    narrow(world, agent, **{name: getattr(before, name) for name in less})
    assert world.refresh(agent, grant).scope == "file_read:jira file_write:jira"


def test_a_childs_refresh_is_bounded_by_its_own_registration_not_its_parents(world: Any) -> None:
    lead, helper = world.agent(), world.agent()
    child = world.child(helper, world.root(lead))
    narrow(world, lead, allowed_tools=["db_query"])
    assert world.refresh(helper, child).scope == "file_read:github"
