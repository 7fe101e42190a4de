"""Audiences: the resource servers that a token is for (RFC 8707), narrowed by parents, refreshes and policy."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from agentsim.server import Introspect, Introspection, Issue, IssueChild, Policy, Refresh
from agentsim.server.schema import IssuedToken

FIRST, MAIL, FILES = "https://first.example", "https://mail.example", "https://files.example"


@pytest.fixture
def world(make_world: Callable[..., Any]) -> Any:
    return make_world(audience=FIRST, resources=(MAIL, FILES))


def test_a_token_is_for_the_first_resource_server_unless_others_are_named(world: Any) -> None:
    agent = world.agent()
    assert world.root(agent).audience == [FIRST]
    assert world.root(agent, resource=[MAIL]).audience == [MAIL]
    # In the order that they were named, each once.
    assert world.root(agent, resource=[FILES, MAIL, FILES]).audience == [FILES, MAIL]


def test_a_resource_server_takes_what_is_meant_for_it_alone(world: Any) -> None:
    grant = world.root(world.agent(), resource=[MAIL, FILES])
    asked = {server: world.why_not(grant, audience=server) for server in (FIRST, MAIL, FILES, "", MAIL + "/")}
    wrong = "wrong_audience"
    assert asked == {FIRST: wrong, MAIL: None, FILES: None, "": wrong, MAIL + "/": wrong}
    assert world.why_not(grant) is None
    told = world.ask(Introspect(token=grant.access_token), Introspection)
    assert told.aud == [MAIL, FILES]


def test_what_is_wrong_otherwise_is_told_first(world: Any) -> None:
    grant = world.root(world.agent(), resource=[MAIL])
    world.revoke(grant)
    assert world.why_not(grant, audience=FIRST) == "revoked"


def test_an_unknown_resource_server_is_refused(world: Any) -> None:
    agent = world.agent()
    for named in ([MAIL, "https://evil.example"], [""], [f"{FIRST} {MAIL}"], [MAIL + "/"], ["x" * 5_000]):
        refused = world.refusal(Issue(by=agent, scope="file_read:github", resource=named))
        assert (refused.error, refused.reason) == ("invalid_target", "unknown_resource")
        assert len(world.audit()[-1]["details"]) < 1_000
    assert world.rows(IssuedToken) == []


def test_a_child_is_for_no_more_resource_servers_than_its_parent(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent, resource=[MAIL, FILES])
    assert world.child(agent, root).audience == [MAIL, FILES]
    child = world.child(agent, root, resource=[FILES])
    assert world.child(agent, child).audience == [FILES]
    for parent, named in ((root, [FIRST]), (child, [MAIL]), (child, [FILES, MAIL])):
        asked = IssueChild(
            by=agent, parent_token=parent.access_token, scope="file_read:github", resource=named
        )
        refused = world.refusal(asked)
        assert (refused.reason, refused.allowed) == ("resource_exceeds_bound", parent.audience)


def test_the_parents_token_bounds_its_child_not_the_parents_grant(world: Any) -> None:
    agent = world.agent()
    narrowed = world.refresh(agent, world.root(agent, resource=[MAIL, FILES]), resource=[MAIL])
    asked = IssueChild(
        by=agent, parent_token=narrowed.access_token, scope="file_read:github", resource=[FILES]
    )
    assert world.refusal(asked).reason == "resource_exceeds_bound"


def test_a_refresh_may_narrow_one_token_and_never_widen_the_grant(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent, resource=[MAIL, FILES])
    asked = Refresh(by=agent, refresh_token=grant.refresh_token, resource=[FIRST])
    assert world.refusal(asked).reason == "resource_exceeds_bound"
    narrowed = world.refresh(agent, grant, resource=[MAIL])
    assert narrowed.audience == [MAIL]
    assert world.why_not(narrowed, audience=FILES) == "wrong_audience"
    assert world.refresh(agent, narrowed).audience == [MAIL, FILES]


def test_no_token_for_a_resource_server_that_the_policy_gave_up(world: Any) -> None:
    agent = world.agent()
    both, one = world.root(agent, resource=[MAIL, FILES]), world.root(agent, resource=[FILES])
    world.policy = world.policy.model_copy(update={"resources": (MAIL,)})
    world.reopen()
    left = world.refresh(agent, both)
    assert left.audience == [MAIL]
    assert world.why_not(left, audience=MAIL) is None
    assert world.refusal(Refresh(by=agent, refresh_token=one.refresh_token)).reason == "unknown_resource"
    # It was not used up: where the server comes back, so does the grant.
    world.policy = world.policy.model_copy(update={"resources": (MAIL, FILES)})
    world.reopen()
    assert world.refresh(agent, one).audience == [FILES]


@pytest.mark.parametrize("name", ["", "two words", "line\n", "x" * 2_000])
def test_a_policy_whose_resource_servers_have_no_good_names_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        Policy(resources=(MAIL, name))
    with pytest.raises(ValidationError):
        Policy(audience=name)
