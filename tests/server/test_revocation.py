"""Revocation: what is named, and all that hangs below, is dead when the answer comes; who may name what."""

import json
from typing import Any

import pytest

from agentsim.server import Admin, Client, Introspect, Issue, IssueChild, Refresh, Revocation, Revoke, Verify
from agentsim.server.answers import Introspection
from agentsim.server.schema import IssuedToken, RevocationMark

pytestmark = pytest.mark.on_both


def test_the_documents_revocation(world: Any) -> None:
    agent = world.agent()
    review = world.root(agent, "Review PR")
    first, second = world.root(agent, "task1"), world.root(agent, "task2")
    answer = world.ask(
        Revoke(
            by=world.admin,
            token=review.access_token,
            reason="suspicious_task_pattern",
            affected_task_chain=["task1", "task2"],
        ),
        Revocation,
    )
    assert answer.revoked is True
    assert answer.affected_tasks_terminated is True
    assert answer.affected_task_chain == ["Review PR", "task1", "task2"]
    assert answer.closure == "pending"
    for grant in (review, first, second):
        assert world.why_not(grant) == "revoked"
    assert (
        world.refusal(Issue(by=agent, task_id="task1", scope="file_read:github")).reason == "task_terminated"
    )
    closed = world.fill()
    assert sum(mark.affected_grants for mark in closed) == 3
    marks = world.rows(RevocationMark)
    assert [(mark["kind"], mark["reason"], mark["closure"]) for mark in marks] == [
        ("grant", "suspicious_task_pattern", "closed"),
        ("task", "suspicious_task_pattern", "closed"),
        ("task", "suspicious_task_pattern", "closed"),
    ]
    for row in world.rows(IssuedToken):
        assert (row["is_revoked"], row["revocation_reason"]) == (True, "suspicious_task_pattern")


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_a_token_of_either_kind_ends_its_grant_and_all_below(world: Any, which: str) -> None:
    agent = world.agent()
    chain = world.chain(agent, depth=5)
    middle = chain[2]
    sibling = world.child(agent, chain[1], "sibling")
    world.revoke(token=getattr(middle, which))
    assert [world.why_not(grant) for grant in chain] == [None, None, *["revoked"] * 4]
    assert world.why_not(sibling) is None


def test_every_token_of_the_grant_ends_not_only_the_named_one(world: Any) -> None:
    agent = world.agent()
    first = world.root(agent)
    second = world.refresh(agent, first)
    third = world.refresh(agent, second)
    world.revoke(token=second.access_token)
    assert [world.why_not(token) for token in (first, second, third)] == ["revoked"] * 3
    assert world.refusal(Refresh(by=agent, refresh_token=third.refresh_token)).reason == "refresh_revoked"


def test_revocation_passes_through_expired_and_refreshed_and_revoked_parents(world: Any) -> None:
    agent = world.agent()
    root, middle, leaf = world.chain(agent, depth=2)
    other = world.child(agent, middle, "another leaf")
    world.revoke(middle, cascade=False)
    world.clock.set(leaf.expires_at)
    leaf = world.refresh(agent, leaf)
    other = world.refresh(agent, other)
    assert world.why_not(leaf) is None
    assert world.why_not(root) == "expired"
    world.revoke(root)
    assert world.why_not(leaf) == world.why_not(other) == "revoked"
    assert world.refusal(Refresh(by=agent, refresh_token=leaf.refresh_token)).reason == "refresh_revoked"


def test_a_deep_chain_dies_to_the_last_grant(make_world: Any) -> None:
    world = make_world(max_depth=64)
    chain = world.chain(world.agent(), depth=64)
    world.revoke(chain[0])
    assert {world.why_not(grant) for grant in chain} == {"revoked"}


def test_without_cascade_only_the_named_grant_ends(world: Any) -> None:
    agent = world.agent()
    root, child, leaf = world.chain(agent, depth=2)
    answer = world.revoke(child, cascade=False)
    assert [world.why_not(grant) for grant in (root, child, leaf)] == [None, "revoked", None]
    again = IssueChild(by=agent, parent_token=child.access_token, task_id="x", scope="file_read:github")
    assert world.refusal(again).reason == "parent_revoked"
    (closed,) = world.fill()
    assert (closed.revocation_id, closed.affected_grants) == (answer.revocation_id, 1)
    # The cascade can still be had.
    world.revoke(child)
    assert world.why_not(leaf) == "revoked"


@pytest.mark.parametrize("name", ["task_id", "client_id", "principal"])
def test_only_a_token_can_be_ended_without_cascade(world: Any, name: str) -> None:
    agent = world.agent()
    named = {"task_id": "Code Review", "client_id": agent.client_id, "principal": "acme"}[name]
    refused = world.refusal(Revoke(by=world.admin, cascade=False, **{name: named}))
    assert refused.reason == "invalid_request"
    assert world.rows(RevocationMark) == []


def test_a_task_ends_for_good_with_all_that_hangs_below(world: Any) -> None:
    agent = world.agent()
    mine = world.root(agent, "doomed")
    below = world.child(agent, mine, "below")
    inside = world.child(agent, world.root(agent, "safe"), "doomed")
    safe = world.root(agent, "safe")
    answer = world.revoke(task_id="doomed")
    assert answer.affected_task_chain == ["doomed"]
    assert [world.why_not(grant) for grant in (mine, below, inside, safe)] == ["revoked"] * 3 + [None]
    for asked in (
        Issue(by=agent, task_id="doomed", scope="file_read:github"),
        IssueChild(by=agent, parent_token=safe.access_token, task_id="doomed", scope="file_read:github"),
    ):
        refused = world.refusal(asked)
        assert (refused.error, refused.reason) == ("access_denied", "task_terminated")


def test_a_completed_task_is_told_apart_from_a_terminated_one(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent, "work")
    child = world.child(agent, root, "part")
    world.revoke(task_id="done", reason="completed")
    world.revoke(task_id="stopped", reason="suspicious")
    assert "completed" in world.refusal(Issue(by=agent, task_id="done", scope="file_read:github")).description
    assert (
        "terminated"
        in world.refusal(Issue(by=agent, task_id="stopped", scope="file_read:github")).description
    )
    history = world.ask(Introspect(token=child.access_token, include_task_history=True), Introspection)
    assert [step["status"] for step in history.task_history["task_chain"]] == ["active", "active"]


def test_tasks_of_one_name_at_two_owners_are_two_tasks(world: Any) -> None:
    ours, theirs = world.agent(), world.agent(by=Admin("globex"))
    mine, yours = world.root(ours, "same name"), world.root(theirs, "same name")
    world.revoke(task_id="same name")
    assert (world.why_not(mine), world.why_not(yours)) == ("revoked", None)


def test_an_agents_mark_ends_what_was_issued_before_it(world: Any) -> None:
    agent, helper = world.agent(), world.agent()
    old = world.root(agent)
    below = world.child(helper, old)
    above = world.root(helper, "helper's own")
    under = world.child(agent, above, "agent below helper")
    world.revoke(client_id=agent.client_id)
    assert [world.why_not(grant) for grant in (old, below, above, under)] == [
        "revoked",
        "revoked",
        None,
        "revoked",
    ]
    assert world.refusal(Refresh(by=agent, refresh_token=old.refresh_token)).reason == "refresh_revoked"
    # The agent itself is not banned: what it is given from now on is good.
    new = world.root(agent)
    assert world.why_not(new) is None
    world.revoke(client_id=agent.client_id)
    assert world.why_not(new) == "revoked"


def test_a_principals_mark_ends_what_was_issued_before_it(world: Any) -> None:
    agent = world.agent()
    alices = world.root(agent, principal="alice")
    below = world.child(agent, alices)
    bobs = world.root(agent, principal="bob")
    world.revoke(principal="alice")
    later = world.root(agent, principal="alice")
    assert [world.why_not(grant) for grant in (alices, below, bobs, later)] == [
        "revoked",
        "revoked",
        None,
        None,
    ]
    world.revoke(principal="alice")
    assert world.why_not(later) == "revoked"


def test_order_counts_not_the_clock(world: Any) -> None:
    """Many ids are made in one microsecond, and the clock may go back: before and after stay what they were."""
    agent = world.agent()
    ask = Issue(by=agent, task_id="t", scope="file_read:github", principal="alice")
    end = Revoke(by=world.admin, principal="alice")
    now = world.clock.now()
    before, _, after = world.server.execute([ask, end, ask], at=[now + 10**9, now, now])
    assert (world.why_not(before), world.why_not(after)) == ("revoked", None)
    end = Revoke(by=world.admin, client_id=agent.client_id)
    before, _, after = world.server.execute([ask, end, ask], at=[now, now, now])
    assert (world.why_not(before), world.why_not(after)) == ("revoked", None)


def test_to_revoke_again_changes_nothing(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent)
    first = world.revoke(grant, reason="theft")
    second = world.revoke(grant, reason="another reason")
    named = world.revoke(token=grant.refresh_token)
    assert first.revocation_id == second.revocation_id == named.revocation_id
    task = world.revoke(task_id="t")
    assert world.revoke(task_id="t").revocation_id == task.revocation_id
    assert [mark["reason"] for mark in world.rows(RevocationMark)] == ["theft", "unspecified"]
    once, again, *_ = world.audit(event_type="token_revoked")
    assert f'"marks":[{first.revocation_id}]' in once["details"]
    assert '"marks":[]' in again["details"]


def test_to_revoke_again_tells_how_far_the_fill_is(world: Any) -> None:
    agent = world.agent()
    root, *_ = world.chain(agent, depth=2)
    world.root(agent, "another")
    ask = {"token": root.access_token, "affected_task_chain": ["another", "another"]}
    for limit in (1, 2):
        answer = world.revoke(**ask)
        assert (answer.closure, answer.count) == ("pending", 0)
        world.server.fill(limit)
    world.fill()
    for _ in range(2):
        answer = world.revoke(**ask)
        assert (answer.closure, answer.count) == ("closed", 4)
        world.reopen()


def test_the_audit_row_says_who_revoked(world: Any) -> None:
    agent, stranger = world.agent(), world.agent()
    grant = world.root(agent)
    world.revoke(grant)
    world.revoke(grant, by=agent)
    world.refusal(Revoke(by=stranger, token=grant.access_token))
    world.refusal(Revoke(by=Admin("globex"), token=grant.access_token))
    told = [json.loads(row["details"])["by"] for row in world.audit(event_type="token_revoked")]
    assert told == ["acme", agent.client_id, stranger.client_id, "globex"]


def test_an_expired_token_can_still_be_revoked(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent)
    world.clock.set(grant.expires_at)
    assert world.revoke(grant).revoked
    assert world.refusal(Refresh(by=agent, refresh_token=grant.refresh_token)).reason == "refresh_revoked"


@pytest.mark.parametrize("token", ["", "nonsense", "rt_1_x", "rt_1_", "a.b.c"])
def test_a_token_that_is_not_ours_is_no_error(world: Any, token: str) -> None:
    """RFC 7009 section 2.2."""
    answer = world.revoke(token=token)
    assert (answer.revoked, answer.affected_tasks_terminated, answer.affected_task_chain) == (
        False,
        False,
        [],
    )
    assert answer.revocation_id is None
    assert world.rows(RevocationMark) == []


def test_a_guessed_refresh_token_revokes_nothing(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent)
    forged = grant.refresh_token[:-1] + ("A" if grant.refresh_token[-1] != "A" else "B")
    assert world.revoke(token=forged).revoked is False
    assert world.why_not(grant) is None


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"token": "x", "task_id": "t"},
        {"task_id": "t", "principal": "p"},
        {"client_id": "agent_1", "principal": "p"},
    ],
)
def test_exactly_one_thing_must_be_named(world: Any, named: dict[str, str]) -> None:
    assert world.refusal(Revoke(by=world.admin, **named)).reason == "invalid_request"


def test_an_agent_ends_its_own_grants_and_those_below(world: Any) -> None:
    parent, child = world.agent(), world.agent()
    root = world.root(parent)
    below = world.child(child, root)
    sibling = world.child(child, root, "sibling")
    world.revoke(below, by=child)
    world.revoke(sibling, by=parent)
    assert [world.why_not(grant) for grant in (root, below, sibling)] == [None, "revoked", "revoked"]


def test_an_agent_ends_nothing_above_or_beside_it(world: Any) -> None:
    parent, child, stranger = world.agent(), world.agent(), world.agent()
    root = world.root(parent)
    below = world.child(child, root)
    for by, grant in ((child, root), (stranger, root), (stranger, below)):
        for token in (grant.access_token, grant.refresh_token):
            refused = world.refusal(Revoke(by=by, token=token))
            assert (refused.error, refused.reason) == ("access_denied", "not_entitled")
    assert world.why_not(root) is world.why_not(below) is None


def test_an_agent_ends_no_tasks_agents_or_principals_by_name(world: Any) -> None:
    agent, victim = world.agent(), world.agent()
    own = world.root(agent, "own")
    target = world.root(victim, "target", principal="alice")
    for named in (
        {"token": own.access_token, "affected_task_chain": ["target"]},
        {"task_id": "target"},
        {"client_id": victim.client_id},
        {"client_id": agent.client_id},
        {"principal": "alice"},
    ):
        assert world.refusal(Revoke(by=agent, **named)).reason == "not_entitled"
    assert world.why_not(target) is world.why_not(own) is None
    assert world.rows(RevocationMark) == []


def test_an_administrator_ends_nothing_of_another_organisation(world: Any) -> None:
    globex = Admin("globex")
    theirs = world.agent(by=globex)
    grant = world.root(theirs, "t", principal="alice")
    assert world.refusal(Revoke(by=world.admin, token=grant.access_token)).reason == "not_entitled"
    assert world.refusal(Revoke(by=world.admin, token=grant.refresh_token)).reason == "not_entitled"
    assert world.refusal(Revoke(by=world.admin, client_id=theirs.client_id)).reason == "not_entitled"
    assert world.refusal(Revoke(by=world.admin, client_id="agent_404")).reason == "not_entitled"
    world.revoke(task_id="t")
    world.revoke(principal="alice")
    assert world.why_not(grant) is None
    world.revoke(grant, by=globex)
    assert world.why_not(grant) == "revoked"


def test_an_agent_must_prove_who_it_is(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent)
    guess = Client(agent.client_id, "a guess")
    assert world.refusal(Revoke(by=guess, token=grant.access_token)).reason == "invalid_client"
    assert world.why_not(grant) is None


def test_too_many_tasks_are_refused(world: Any) -> None:
    tasks = [f"t{number}" for number in range(1_001)]
    refused = world.refusal(Revoke(by=world.admin, principal="p", affected_task_chain=tasks))
    assert refused.reason == "invalid_request"
    assert (
        len(world.revoke(principal="p", affected_task_chain=[*tasks[:500], *tasks[:500]]).affected_task_chain)
        == 500
    )


def test_a_child_that_races_a_revocation_is_born_dead(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent)
    born = IssueChild(by=agent, parent_token=root.access_token, task_id="late", scope="file_read:github")
    before, _, after = world.server.execute([born, Revoke(by=world.admin, token=root.access_token), born])
    assert world.why_not(before) == "revoked"
    assert after.reason == "parent_revoked"


def test_a_mark_that_another_process_made_counts_from_its_commit_on(world: Any) -> None:
    """Two servers on one database: the second learns of a mark with its next batch, whatever it had cached."""
    agent = world.agent()
    root, child = world.chain(agent, depth=1)
    assert world.why_not(child) is None
    first = world.server
    world.server = world._open(type(first._secrets)(b"other"), writer=1)
    assert world.why_not(child) is None
    world.revoke(root)
    other, world.server = world.server, first
    assert world.why_not(child) == "revoked"
    assert world.why_not(root) == "revoked"
    asked = IssueChild(by=agent, parent_token=root.access_token, task_id="x", scope="file_read:github")
    assert world.refusal(asked).reason == "parent_revoked"
    other.close()


def test_marks_outlive_the_process(world: Any) -> None:
    agent = world.agent()
    root, child = world.chain(agent, depth=1)
    world.revoke(root)
    world.reopen()
    assert world.why_not(child) == "revoked"
    assert world.ask(Introspect(token=root.access_token), Introspection).active is False


def test_activity_never_asks_the_filled_in_column(world: Any) -> None:
    """Before the fill the rows still say ``is_revoked`` false; after it nothing is different."""
    agent = world.agent()
    grants = world.chain(agent, depth=3)
    world.revoke(grants[1])
    asked = [Verify(token=grant.access_token) for grant in grants]
    before = [answer.is_valid for answer in world.server.execute(asked)]
    assert not any(row["is_revoked"] for row in world.rows(IssuedToken))
    world.fill()
    assert [row["is_revoked"] for row in world.rows(IssuedToken)] == [False, True, True, True]
    assert (
        [answer.is_valid for answer in world.server.execute(asked)] == before == [True, False, False, False]
    )


EVERYWHERE = Admin("root", everywhere=True)


def test_an_administrator_of_all_owners_ends_what_it_names(world: Any) -> None:
    agent = world.agent()
    grants = [world.root(agent, f"task {n}", principal=f"p{n}") for n in range(4)]
    world.revoke(grants[0], by=EVERYWHERE)
    world.revoke(task_id="task 1", owner="acme", by=EVERYWHERE)
    world.revoke(principal="p2", owner="acme", by=EVERYWHERE)
    assert [world.why_not(grant) for grant in grants] == ["revoked"] * 3 + [None]
    # Without an owner a name is one of its own organisation's, and there is no such task.
    world.revoke(task_id="task 3", by=EVERYWHERE)
    world.revoke(principal="p3", by=EVERYWHERE)
    assert world.why_not(grants[3]) is None
    world.revoke(client_id=agent.client_id, by=EVERYWHERE)
    assert world.why_not(grants[3]) == "revoked"
    owners = [row["owner"] for row in world.rows(RevocationMark)]
    assert owners == ["acme", "acme", "acme", "root", "root", "acme"]


def test_tasks_named_beside_an_agent_are_its_owners(world: Any) -> None:
    agent, other = world.agent(), world.agent()
    beside = world.root(other, "beside")
    revoked = world.revoke(client_id=agent.client_id, affected_task_chain=["beside"], by=EVERYWHERE)
    assert world.why_not(beside) == "revoked"
    assert len(revoked.revocation_ids) == 2
    assert {row["owner"] for row in world.rows(RevocationMark)} == {"acme"}


def test_tasks_named_beside_a_token_are_those_of_its_tree(world: Any) -> None:
    helper = world.agent(Admin("globex"))
    root = world.root(world.agent(), may_act=helper.client_id)
    child, at_home = world.child(helper, root, "job"), world.root(helper, "next")
    there = world.root(world.agent(), "next")
    world.revoke(child, by=EVERYWHERE, owner="globex", affected_task_chain=["next"])
    assert [world.why_not(grant) for grant in (child, there, at_home)] == ["revoked", "revoked", None]


@pytest.mark.parametrize("named", [{"task_id": "t"}, {"principal": "ana"}, {"client_id": "agent_1"}])
def test_an_administrator_of_one_owner_names_no_other(world: Any, named: dict[str, str]) -> None:
    grant = world.root(world.agent(), "t", principal="ana")
    asked = Revoke(by=Admin("globex"), owner="acme", **named)
    assert world.refusal(asked).reason == "not_entitled"
    assert world.rows(RevocationMark) == []
    assert world.why_not(grant) is None
    # Its own name changes nothing.
    world.revoke(task_id="t", owner="globex", by=Admin("globex"))
    assert world.why_not(grant) is None


def test_each_mark_of_a_revocation_is_told_once(world: Any) -> None:
    grant = world.root(world.agent(), "t")
    chain = ["a", "b", "a", "t"]
    first = world.revoke(grant, affected_task_chain=chain)
    again = world.revoke(grant, affected_task_chain=chain)
    marks = [row["revocation_id"] for row in world.rows(RevocationMark)]
    assert first.revocation_ids == again.revocation_ids == marks
    assert first.revocation_id == marks[0]
    assert len(marks) == 4
    world.fill()
    told = world.revoke(grant, affected_task_chain=chain)
    assert (told.closure, told.count) == ("closed", 1)
