"""What the organisation's policy says of roles, scopes and agents, and what comes of it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentsim.server import Introspect, Introspection, Issue, Refresh, Register, UpdateAgent
from agentsim.server.policy import Policy
from agentsim.server.rules import allows, covers, touches, within_rules

ROLES = {"reviewer": ("file_read:*", "comment:github/reviews"), "owner": ("*",), "mailer": ("email.read",)}

segments = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=3).map("/".join)
actions = st.sampled_from(["read", "write"])
concrete = st.builds("{}:{}".format, actions, segments) | st.sampled_from(["email.read", "email.send"])
patterns = (
    st.just("*")
    | concrete
    | st.builds("{}:*".format, actions)
    | st.builds("*:{}".format, segments)
    | st.just("*:*")
)


@pytest.mark.parametrize(
    ("pattern", "scope", "covered", "touched"),
    [
        ("*", "email.read", True, True),
        ("*:*", "email.read", False, False),
        ("file_read:*", "file_read:github", True, True),
        ("file_read:*", "file_write:github", False, False),
        ("*:github", "file_read:github/deep", True, True),
        ("*:github", "file_read:github-evil", False, False),
        ("file_read:github/secret", "file_read:github", False, True),
        ("file_read:github/secret", "file_read:github/public", False, False),
        ("email", "email.read", False, False),
    ],
)
def test_patterns_cover_by_whole_segments(pattern: str, scope: str, covered: bool, touched: bool) -> None:
    assert covers(pattern, scope) is covered
    assert touches(pattern, scope) is touched


@given(patterns, concrete, st.sampled_from(["", "/x", "/x/y"]))
def test_who_covers_a_scope_covers_what_lies_below_it_and_touches_it(
    pattern: str, scope: str, below: str
) -> None:
    if covers(pattern, scope):
        assert touches(pattern, scope)
        assert ":" not in scope or covers(pattern, scope + below)


@given(
    st.sets(patterns, max_size=3), st.sets(patterns, max_size=2), st.sets(concrete, min_size=1, max_size=6)
)
def test_what_the_rules_leave_is_allowed_and_what_they_take_is_not(
    allowed: set[str], blocked: set[str], asked: set[str]
) -> None:
    policy = Policy(role_scopes={"agent": tuple(sorted(allowed))}, blocked_scopes=tuple(sorted(blocked)))
    kept = set(within_rules(policy, "agent", " ".join(sorted(asked))).split())
    assert kept <= asked
    assert all(allows(policy, "agent", scope) for scope in kept)
    assert not any(allows(policy, "agent", scope) for scope in asked - kept)


def register(world: Any, **terms: Any) -> Register:
    profile = {"agent_name": "an agent", "allowed_tools": ["file_read"], "resource_access": ["github"]}
    return Register(by=world.admin, **(profile | terms))


def test_an_agent_registers_for_what_its_role_has_and_no_more(make_world: Any) -> None:
    world = make_world(role_scopes=ROLES)
    world.register(role="reviewer", allowed_tools=["file_read", "comment"], resource_access=["github"])
    assert world.refusal(register(world, role="stranger")).reason == "role_unknown"
    write = register(world, role="reviewer", allowed_tools=["file_write"])
    assert world.refusal(write).reason == "tools_exceed_role"
    assert world.refusal(register(world, role="mailer")).reason == "tools_exceed_role"
    mail = register(world, role="reviewer", scope="email.read")
    assert world.refusal(mail).reason == "scope_exceeds_role"
    elsewhere = register(world, role="mailer", allowed_tools=[], scope="email.read")
    assert world.refusal(elsewhere).reason == "resources_exceed_role"


def test_a_role_bounds_what_tools_and_resources_make_together(make_world: Any) -> None:
    world = make_world(role_scopes=ROLES)
    agent = world.agent(role="reviewer", allowed_tools=["file_read", "comment"], resource_access=["github"])
    refused = world.refusal(Issue(by=agent, task_id="t", scope="comment:github"))
    assert (refused.reason, refused.asked) == ("scope_exceeds_role", ["comment:github"])
    grant = world.root(agent, scope="comment:github/reviews/1 file_read:github")
    # All that the parent has, as far as the role goes.
    child = world.child(agent, grant, scope=None, scope_inheritance="full")
    assert child.scope == grant.scope


def test_an_update_stays_within_the_role(make_world: Any) -> None:
    world = make_world(role_scopes=ROLES)
    agent = world.agent(role="reviewer", allowed_tools=["file_read"], resource_access=["github"])
    more = UpdateAgent(by=world.admin, client_id=agent.client_id, allowed_tools=["file_read", "db_query"])
    assert world.refusal(more).reason == "tools_exceed_role"


def test_what_is_blocked_is_refused_also_as_a_part_of_more(make_world: Any) -> None:
    world = make_world(blocked_scopes=("file_read:github/secret",), allowed_scopes=("*:github", "email.read"))
    agent = world.agent(resource_access=["github/public", "github/open"], scope="email.read")
    world.root(agent, scope="file_read:github/public")
    whole = world.agent(resource_access=["github"])
    assert world.refusal(Issue(by=whole, scope="file_read:github")).reason == "scope_blocked"
    assert world.refusal(Issue(by=whole, scope="file_read:github/secret/x")).reason == "scope_blocked"
    far = world.agent()
    assert world.refusal(Issue(by=far, scope="file_read:jira")).reason == "scope_blocked"


def test_a_narrower_policy_narrows_at_the_next_refresh(make_world: Any) -> None:
    world = make_world()
    agent = world.agent(role="reviewer")
    grant = world.root(agent, scope="file_read:github file_write:github")
    world.server.change_policy(Policy(role_scopes=ROLES), by=world.admin)
    narrowed = world.refresh(agent, grant)
    assert (narrowed.scope, narrowed.allowed_tools) == ("file_read:github", ["file_read"])
    asked = Refresh(by=agent, refresh_token=narrowed.refresh_token, scope="file_read:github")
    world.server.change_policy(Policy(role_scopes={"reviewer": ("email.read",)}), by=world.admin)
    assert world.refusal(asked).reason == "scope_exceeds_role"


def test_a_blocked_agent_and_all_below_it_stand_still_until_it_is_not_blocked_any_more(
    make_world: Any,
) -> None:
    world = make_world()
    lead, worker = world.agent(agent_name="lead-1"), world.agent(agent_name="worker-1")
    root = world.root(lead)
    child = world.child(worker, root)
    world.server.change_policy(Policy(blocked_agents=("lead-*",)), by=world.admin)
    assert world.refusal(Issue(by=lead, scope="file_read:github")).reason == "agent_blocked"
    assert world.why_not(root) == world.why_not(child) == "agent_blocked"
    assert world.ask(Introspect(token=child.access_token), Introspection).active is False
    assert world.ask(Introspect(token=child.refresh_token), Introspection).active is False
    assert world.refusal(Refresh(by=worker, refresh_token=child.refresh_token)).reason == "agent_blocked"
    assert world.refusal(register(world, agent_name="lead-2")).reason == "agent_blocked"
    # Its own work goes on.
    assert world.why_not(world.root(worker, "own task")) is None
    world.server.change_policy(Policy(), by=world.admin)
    assert world.why_not(child) is None
    world.refresh(worker, child)


def test_only_allowed_agents_act_where_there_is_such_a_list(make_world: Any) -> None:
    world = make_world()
    good, other = world.agent(agent_name="good"), world.agent(agent_name="other")
    world.server.change_policy(Policy(allowed_agents=("good", other.client_id)), by=world.admin)
    world.root(good)
    world.root(other)
    world.server.change_policy(Policy(allowed_agents=("good",)), by=world.admin)
    assert world.refusal(Issue(by=other, scope="file_read:github")).reason == "agent_blocked"


def test_a_change_of_policy_is_one_audit_row_and_audiences_follow(make_world: Any) -> None:
    world = make_world()
    agent = world.agent()
    other = "https://other.example"
    assert world.refusal(Issue(by=agent, scope="file_read:github", resource=[other])).reason == (
        "unknown_resource"
    )
    world.server.change_policy(Policy(resources=(other,)), by=world.admin)
    grant = world.root(agent, resource=[other])
    assert world.why_not(grant, audience=other) is None
    (row,) = world.audit(event_type="policy_changed")
    assert world.server.policy.digest[:16] in row["details"]


def test_the_issuer_stays_whatever_a_new_policy_says(make_world: Any) -> None:
    world = make_world(issuer="https://one.example")
    grant = world.root(world.agent())
    world.server.change_policy(Policy(issuer="https://two.example"), by=world.admin)
    assert world.server.policy.issuer == "https://one.example"
    assert world.why_not(grant) is None
