"""Budgets: carved out of the parent's or spent from one pool, counted at verify, flowing back at the end."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.server import (
    Introspect,
    Introspection,
    Issue,
    IssueChild,
    OAuthError,
    Refresh,
    TokenGrant,
    Verify,
)
from agentsim.server.clock import SECOND
from agentsim.server.policy import Budgets
from agentsim.server.schema import BudgetRow

COSTS = {"file_read": 1, "file_write": 10, "db_query": 0}


def budget(world: Any, grant: TokenGrant) -> dict[str, Any]:
    (row,) = world.rows(BudgetRow, grant_id=grant.grant_id)
    return dict(row)


def left(world: Any, grant: TokenGrant) -> int:
    row = budget(world, grant)
    return int(row["given"] - row["used"])


@pytest.fixture
def world(make_world: Any) -> Any:
    return make_world(tool_costs=COSTS, max_fanout=10_000)


def write(world: Any, grant: TokenGrant) -> str | None:
    reason: str | None = world.why_not(grant, required_tools=["file_write"])
    return reason


def root(world: Any, agent: Any, budget: int | None, **terms: Any) -> TokenGrant:
    answer: TokenGrant = world.root(agent, scope="file_write:github file_read:github", budget=budget, **terms)
    return answer


def child(world: Any, agent: Any, parent: TokenGrant, budget: int | None, **terms: Any) -> TokenGrant:
    scope = "file_write:github file_read:github"
    answer: TokenGrant = world.child(agent, parent, scope=scope, budget=budget, **terms)
    return answer


def test_a_call_costs_what_its_tools_cost_and_a_refused_one_nothing(world: Any) -> None:
    grant = root(world, world.agent(), 22)
    answer = world.verify(grant, required_tools=["file_write", "file_read"])
    assert (answer.cost, answer.budget_left) == (11, 11)
    assert world.why_not(grant, required_tools=["db_query"]) == "tool_not_granted"
    assert world.why_not(grant, task_id="another", required_tools=["file_write"]) == "task_mismatch"
    assert write(world, grant) is None
    refused = world.verify(grant, required_tools=["file_write"])
    assert refused.error.reason == "budget_exhausted"
    assert (refused.error.asked, refused.error.allowed) == (10, 1)
    assert world.verify(grant, required_tools=["file_read"]).budget_left == 0
    # Without tools nothing is called.
    assert world.verify(grant).cost == 0
    costs = [json.loads(row["details"]).get("cost") for row in world.audit(event_type="token_verified")]
    assert costs == [11, None, None, 10, None, 1, 0]


def test_without_a_budget_nothing_is_counted(world: Any) -> None:
    grant = root(world, world.agent(), None)
    answer = world.verify(grant, required_tools=["file_write"])
    assert (answer.cost, answer.budget_left, grant.budget) == (None, None, None)
    assert world.rows(BudgetRow) == []


def test_siblings_together_never_have_more_than_their_parent(world: Any) -> None:
    agent = world.agent()
    parent = root(world, agent, 100)
    first = child(world, agent, parent, 60)
    scope = "file_write:github"
    more = IssueChild(by=agent, parent_token=parent.access_token, scope=scope, budget=41)
    refused = world.refusal(more)
    assert (refused.reason, refused.allowed) == ("budget_exceeds_parent", 40)
    assert refused.error == "invalid_scope"
    second = child(world, agent, parent, 40)
    assert (left(world, parent), left(world, first), left(world, second)) == (0, 60, 40)
    assert write(world, parent) == "budget_exhausted"
    assert write(world, second) is None


def test_who_names_no_budget_gets_its_share(make_world: Any) -> None:
    world = make_world(budgets=Budgets(root=1000, child_share=0.1), tool_costs=COSTS)
    agent = world.agent()
    parent = root(world, agent, None)
    first, second = child(world, agent, parent, None), child(world, agent, parent, None)
    assert [grant.budget for grant in (parent, first, second)] == [1000, 100, 90]
    too_much = world.refusal(Issue(by=agent, scope="file_read:github", budget=1001))
    assert (too_much.reason, too_much.allowed) == ("budget_exceeds_policy", 1000)


def test_a_budget_may_begin_below_an_unbudgeted_parent(world: Any) -> None:
    agent = world.agent()
    parent = root(world, agent, None)
    middle = child(world, agent, parent, 20)
    leaf = child(world, agent, middle, 15)
    world.revoke(leaf)
    world.fill()
    assert left(world, middle) == 20
    world.revoke(middle)
    world.fill()
    assert write(world, parent) is None


def test_what_is_left_flows_back_when_a_grant_is_ended(world: Any) -> None:
    agent = world.agent()
    top = root(world, agent, 100)
    middle = child(world, agent, top, 80)
    leaf = child(world, agent, middle, 50)
    assert write(world, leaf) is None
    world.revoke(middle)
    assert left(world, top) == 20
    world.fill()
    # All but the ten that the leaf has spent.
    assert left(world, top) == 90
    rows = [json.loads(row["details"]) for row in world.audit(event_type="budget_returned")]
    assert sorted((row["units"], row["to"]) for row in rows) == [
        (30, str(top.grant_id)),
        (40, str(top.grant_id)),
    ]
    world.fill()
    assert left(world, top) == 90


def test_what_is_left_flows_back_when_a_grant_expires(make_world: Any) -> None:
    world = make_world(tool_costs=COSTS, refresh_tokens=False, access_ttl_us=100 * SECOND)
    agent = world.agent()
    top = root(world, agent, 100)
    world.clock.advance(50 * SECOND)
    # Without refresh tokens a grant is over with its only token; the parent's bounds it.
    short = child(world, agent, top, 30)
    assert left(world, top) == 70
    world.fill()
    world.clock.advance(49 * SECOND)
    assert not world.server.pending()
    world.clock.advance(1 * SECOND)
    assert world.server.pending()
    world.fill()
    # The parent ended in the same moment: there is nobody to give to.
    assert budget(world, short)["returned_at"] == budget(world, top)["returned_at"] == world.clock.now()
    assert world.audit(event_type="budget_returned") == []


def test_a_parent_that_is_refreshed_gets_back_what_its_expired_children_had(make_world: Any) -> None:
    world = make_world(tool_costs=COSTS, access_ttl_us=100 * SECOND)
    agent = world.agent()
    single = world.agent(grant_types=["urn:ietf:params:oauth:grant-type:token-exchange"])
    top = root(world, agent, 100)
    short = child(world, single, top, 30)
    assert short.refresh_token is None
    world.clock.advance(99 * SECOND)
    again = world.refresh(agent, top)
    assert again.budget == 100
    world.fill()
    assert left(world, top) == 70
    world.clock.advance(2 * SECOND)
    world.fill()
    assert left(world, top) == 100
    assert write(world, again) is None
    assert write(world, short) == "expired"


def test_a_grandchild_that_outlives_its_parent_gives_to_the_next_above(world: Any) -> None:
    agent = world.agent()
    top = root(world, agent, 100)
    middle = child(world, agent, top, 80)
    leaf = child(world, agent, middle, 50)
    world.revoke(middle, cascade=False)
    world.fill()
    assert left(world, top) == 50
    assert write(world, leaf) is None
    world.revoke(leaf)
    world.fill()
    assert left(world, top) == 90


def test_of_a_pool_each_spends_up_to_its_own_and_all_together_no_more_than_the_root(make_world: Any) -> None:
    world = make_world(tool_costs=COSTS, budgets=Budgets(model="shared-pool"))
    agent = world.agent()
    top = root(world, agent, 30)
    first, second = child(world, agent, top, None), child(world, agent, top, 20)
    assert (first.budget, second.budget) == (30, 20)
    too_much = IssueChild(by=agent, parent_token=top.access_token, scope="file_read:github", budget=31)
    assert world.refusal(too_much).reason == "budget_exceeds_parent"
    assert [write(world, second) for _ in range(3)] == [None, None, "budget_exhausted"]
    assert world.verify(first, required_tools=["file_write"]).budget_left == 0
    assert write(world, first) == write(world, top) == "budget_exhausted"
    assert budget(world, top)["pooled"] == 30


def test_a_tree_keeps_its_model_when_the_policy_changes(make_world: Any) -> None:
    world = make_world(tool_costs=COSTS)
    agent = world.agent()
    top = root(world, agent, 30)
    shared = world.policy.model_copy(update={"budgets": Budgets(model="shared-pool")})
    world.server.change_policy(shared, by=world.admin)
    assert child(world, agent, top, 10).budget == 10
    assert left(world, top) == 20


def test_introspection_tells_what_is_left(world: Any) -> None:
    grant = root(world, world.agent(), 25)
    write(world, grant)
    told = world.ask(Introspect(token=grant.access_token), Introspection)
    assert (told.budget, told.budget_left) == (25, 15)


@pytest.mark.parametrize("amount", [-1, 10**18])
def test_a_budget_is_a_whole_number_of_units(world: Any, amount: int) -> None:
    refused = world.refusal(Issue(by=world.agent(), scope="file_read:github", budget=amount))
    assert refused.error == "invalid_request"


@pytest.mark.on_both
def test_what_two_writers_spend_and_give_back_adds_up(make_world: Any) -> None:
    world = make_world(tool_costs=COSTS)
    agent = world.agent()
    top = root(world, agent, 100)
    kids = [child(world, agent, top, 10) for _ in range(5)]
    for kid in kids[:3]:
        write(world, kid)
    world.revoke(kids[0])
    world.revoke(kids[4])
    world.fill()
    assert left(world, top) == 60
    assert write(world, top) is None
    assert left(world, top) == 50


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[Any, ...]]:
    step = st.one_of(
        st.tuples(st.just("child"), st.integers(0, 30), st.none() | st.integers(0, 60)),
        st.tuples(st.just("spend"), st.integers(0, 30), st.sampled_from(["file_read", "file_write"])),
        st.tuples(st.just("revoke"), st.integers(0, 30), st.booleans()),
        st.tuples(st.just("fill")),
        st.tuples(st.just("advance"), st.integers(1, 80)),
        st.tuples(st.just("refresh"), st.integers(0, 30)),
    )
    return draw(st.lists(step, min_size=1, max_size=40))


@settings(max_examples=120, deadline=None)
@given(story=stories())
def test_whatever_happens_no_units_are_made(new_world: Any, story: list[tuple[Any, ...]]) -> None:
    """A model that knows nothing of ended grants: what was given is spent, held by the living, or has come back."""
    world = new_world(tool_costs=COSTS, access_ttl_us=100 * SECOND, grant_ttl_us=150 * SECOND)
    agent = world.agent()
    grants = [root(world, agent, 100)]
    spent = 0
    try:
        for step in story:
            chosen = grants[step[1] % len(grants)] if len(step) > 1 and step[0] != "advance" else None
            match step[0]:
                case "child":
                    terms = {"scope": "file_write:github file_read:github", "budget": step[2]}
                    request = IssueChild(by=agent, parent_token=chosen.access_token, **terms)
                    (answer,) = world.server.execute([request])
                    if isinstance(answer, TokenGrant):
                        grants.append(answer)
                case "spend":
                    (answer,) = world.server.execute(
                        [Verify(token=chosen.access_token, required_tools=[step[2]])]
                    )
                    spent += answer.cost or 0
                case "revoke":
                    world.revoke(chosen, cascade=step[2])
                case "fill":
                    world.fill()
                case "advance":
                    world.clock.advance(step[1] * SECOND)
                case "refresh":
                    place = step[1] % len(grants)
                    (answer,) = world.server.execute([Refresh(by=agent, refresh_token=chosen.refresh_token)])
                    if not isinstance(answer, OAuthError):
                        grants[place] = answer
            check(world, spent)
    finally:
        world.server.close()


def check(world: Any, spent: int) -> None:
    rows = world.rows(BudgetRow)
    assert spent <= 100
    assert all(0 <= row["used"] <= row["given"] for row in rows)
    # What living grants have left, and what ended ones have not given back yet, is all that has not been spent.
    still = sum(row["given"] - row["used"] for row in rows if row["returned_at"] is None)
    top = rows[0]
    if top["returned_at"] is None:
        assert still == 100 - spent
