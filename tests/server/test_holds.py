"""Holds: a strange use is refused at once, its grant waits for somebody to vouch for it, and the trail says why."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from agentsim.server import (
    Admin,
    Assessment,
    Client,
    Grounds,
    Hold,
    Introspect,
    Introspection,
    IssueChild,
    Noted,
    Person,
    Reauthorize,
    Refresh,
    TokenGrant,
    Verify,
)
from agentsim.server.clock import SECOND
from agentsim.server.schema import GrantStateRow
from agentsim.server.watch import WATCH


@pytest.fixture
def watched(make_world: Callable[..., Any], by_tool: Any) -> Any:
    """A world whose matcher finds one tool worth a note, one worth a question and one worth the end of the tree."""
    world = make_world()
    world.reopen(matcher=by_tool(file_write="step_up", db_query="revoke_tree"))
    return world


def all_of(world: Any, agent: Client, **terms: Any) -> TokenGrant:
    """A root grant for all that the agent may do."""
    grant: TokenGrant = world.root(agent, scope="file_read:github file_write:github db_query:github", **terms)
    return grant


def is_held(world: Any, grant: TokenGrant) -> bool:
    (row,) = world.rows(GrantStateRow, grant_id=grant.grant_id)
    return bool(json.loads(row["state"])["held_at"])


@pytest.mark.on_both
def test_a_strange_use_is_refused_and_so_is_all_that_follows(watched: Any) -> None:
    agent = watched.agent()
    grant = all_of(watched, agent)
    assert watched.why_not(grant, required_tools=["file_read"]) is None
    refused = watched.verify(grant, required_tools=["file_write"])
    assert (refused.error.reason, refused.error.error) == (
        "step_up_required",
        "insufficient_user_authentication",
    )
    assert refused.historical_pattern_match is False
    watched.clock.advance(SECOND)
    held = watched.verify(grant, required_tools=["file_read"])
    assert (held.error.reason, held.error.status) == ("step_up_required", 401)
    assert (held.historical_pattern_match, held.execution_pattern) == (False, "held")
    for operation in (
        Refresh(by=agent, refresh_token=grant.refresh_token),
        IssueChild(by=agent, parent_token=grant.access_token, task_id="c", scope="file_read:github"),
    ):
        refusal = watched.refusal(operation)
        assert (refusal.reason, refusal.error, refusal.status) == ("step_up_required", "invalid_grant", 400)
    for token in (grant.access_token, grant.refresh_token):
        assert not watched.ask(Introspect(token=token), Introspection).active
    # It is the grant that is held, and not its agent.
    assert watched.why_not(all_of(watched, agent), required_tools=["file_read"]) is None


def test_children_that_there_are_go_on(watched: Any) -> None:
    agent = watched.agent()
    parent = all_of(watched, agent)
    child = watched.child(agent, parent)
    assert watched.why_not(parent, required_tools=["file_write"]) == "step_up_required"
    assert watched.why_not(child, required_tools=["file_read"]) is None


def test_the_row_of_a_use_says_what_was_made_of_it_and_others_do_not_grow(watched: Any) -> None:
    grant = all_of(watched, watched.agent())
    watched.verify(grant, required_tools=["file_read"])
    assert "risk" not in json.loads(watched.audit()[-1]["details"])
    watched.verify(grant, required_tools=["file_write"])
    row = watched.audit()[-1]
    assert (row["status"], row["reason"]) == ("refused", "step_up_required")
    told = {"action": "step_up", "score": 3.25, "reasons": ["file_write is strange"]}
    assert json.loads(row["details"])["risk"] == told


def test_of_what_is_only_logged_nothing_is_refused(world: Any, by_tool: Any) -> None:
    world.reopen(matcher=by_tool(file_write="log"))
    grant = all_of(world, world.agent())
    assert world.why_not(grant, required_tools=["file_write"]) is None
    assert json.loads(world.audit()[-1]["details"])["risk"]["action"] == "log"
    assert world.server.due() == []


def test_a_use_that_is_refused_anyway_keeps_its_reason_and_may_cost_the_grant(watched: Any) -> None:
    grant = watched.root(watched.agent())
    assert watched.why_not(grant, required_tools=["file_write"]) == "tool_not_granted"
    assert is_held(watched, grant)
    assert watched.why_not(grant, required_tools=["file_read"]) == "step_up_required"


def test_a_held_use_costs_no_budget(watched: Any) -> None:
    grant = all_of(watched, watched.agent(), budget=10)
    assert watched.verify(grant, required_tools=["file_read"]).budget_left == 9
    watched.verify(grant, required_tools=["file_write"])
    watched.ask(Reauthorize(by=watched.admin, grant_id=grant.grant_id), Noted)
    assert watched.verify(grant, required_tools=["file_read"]).budget_left == 8


@pytest.mark.on_both
def test_somebody_vouches_for_it_and_it_is_not_held_again_for_the_same(watched: Any) -> None:
    grant = all_of(watched, watched.agent())
    watched.verify(grant, required_tools=["file_write"])
    watched.ask(Reauthorize(by=watched.admin, grant_id=grant.grant_id), Noted)
    row = watched.audit()[-1]
    assert (row["event_type"], row["grant_id"], row["status"]) == (
        "grant_reauthorized",
        grant.grant_id,
        "granted",
    )
    assert json.loads(row["details"]) == {"by": "acme"}
    assert watched.why_not(grant, required_tools=["file_read"]) is None
    # The matcher still finds it strange, and the trail keeps that.
    again = watched.verify(grant, required_tools=["file_write"])
    assert (again.is_valid, again.historical_pattern_match) == (True, False)
    assert json.loads(watched.audit()[-1]["details"])["risk"]["action"] == "log"
    # What would end it still does.
    assert watched.why_not(grant, required_tools=["db_query"]) == "step_up_required"
    assert [action.kind for action in watched.server.due()] == ["revoke_tree"]


def test_who_may_vouch_for_a_grant(watched: Any) -> None:
    grant = all_of(watched, watched.agent())
    reauthorize = [
        Reauthorize(by=by, grant_id=grant.grant_id)
        for by in (Admin("globex"), Person("ana", "acme"), watched.admin, Admin("ops", everywhere=True))
    ]
    assert watched.refusal(reauthorize[2]).reason == "not_held"
    watched.verify(grant, required_tools=["file_write"])
    assert [watched.refusal(each).reason for each in reauthorize[:2]] == ["not_entitled"] * 2
    assert watched.refusal(Reauthorize(by=watched.admin, grant_id=1)).reason == "not_entitled"
    watched.ask(reauthorize[3], Noted)
    assert watched.why_not(grant, required_tools=["file_read"]) is None


def test_a_grant_is_held_from_outside_once(watched: Any) -> None:
    grant = watched.root(watched.agent())
    hold = Hold(by=WATCH, grant_id=grant.grant_id, grounds=Grounds("step_up", 4.0, ["its tree is strange"]))
    watched.ask(hold, Noted)
    assert watched.why_not(grant) == "step_up_required"
    assert json.loads(watched.audit(event_type="grant_held")[-1]["details"])["by"] == "risk"
    assert watched.refusal(hold).reason == "already_held"
    watched.ask(Reauthorize(by=watched.admin, grant_id=grant.grant_id), Noted)
    assert watched.refusal(hold).reason == "reauthorized"
    assert watched.why_not(grant) is None
    assert watched.refusal(Hold(by=Admin("globex"), grant_id=grant.grant_id)).reason == "not_entitled"


def test_reasons_are_told_to_administrators_and_not_to_agents(watched: Any) -> None:
    agent = watched.agent()
    grant = all_of(watched, agent)
    answers = {}
    for by in (watched.admin, agent, None):
        asked = Verify(token=grant.access_token, by=by, required_tools=["file_write"])
        answers[str(by)] = watched.ask(asked, object)
        watched.server.execute([Reauthorize(by=watched.admin, grant_id=grant.grant_id)])
    assert {answer.risk_assessment for answer in answers.values()} == {"high"}
    assert answers[str(agent)].risk_reasons == []
    for by in (watched.admin, None):
        assert answers[str(by)].risk_reasons == ["file_write is strange"]
    asked = Introspect(token=grant.access_token, by=agent, include_task_history=True)
    history = watched.ask(asked, Introspection).task_history
    assert (history["risk_assessment"], history["risk_reasons"]) == ("high", [])
    asked.by = watched.admin
    assert watched.ask(asked, Introspection).task_history["risk_reasons"] == ["file_write is strange"]


def test_a_matcher_is_told_of_the_use_and_of_what_was_before_it(world: Any) -> None:
    seen = []

    class Curious:
        def assess(self, use: Any, state: Any) -> Assessment:
            seen.append(
                (use.role, use.task_id, state.task, use.depth, use.now, use.event.reason, dict(state.tools))
            )
            return Assessment(True, "normal", "low")

    world.reopen(matcher=Curious())
    agent = world.agent(role="reviewer")
    child = world.child(agent, world.root(agent), "the task", task_description="look at it")
    world.verify(child, required_tools=["file_read"])
    world.clock.advance(1)
    world.verify(child, required_tools=["db_query"])
    now = world.clock.now()
    assert seen == [
        ("reviewer", "the task", "look at it", 1, now - 1, None, {}),
        ("reviewer", "the task", "look at it", 1, now, "tool_not_granted", {"file_read": 1}),
    ]
    # Of what is over nobody is asked.
    world.revoke(child)
    world.verify(child)
    assert len(seen) == 2
