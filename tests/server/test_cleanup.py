"""Clean-up: what is long over goes, in steps, and no later answer is another one for it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.server import (
    Admin,
    Issue,
    IssueChild,
    OAuthError,
    Refresh,
    Revoke,
    TokenGrant,
    Verification,
    Verify,
)
from agentsim.server.clock import SECOND
from agentsim.server.schema import (
    AuthorizationCode,
    BudgetRow,
    EndedTasks,
    GrantStateRow,
    IssuedToken,
    RevocationMark,
    UsedAssertion,
)
from agentsim.server.statements import ASSERTIONS, CODES

DAY = 24 * 3600 * SECOND
KEEP = 30 * DAY

on_both = pytest.mark.on_both


def clean(world: Any, limit: int = 1_000) -> dict[str, int]:
    """Clean up until there is nothing to remove."""
    removed: dict[str, int] = {}
    for _ in range(10_000):
        step = world.server.clean(KEEP, limit)
        for name, count in step.removed.items():
            removed[name] = removed.get(name, 0) + count
        if not step.more:
            return removed
    raise AssertionError("the clean-up does not end")


def die(world: Any) -> None:
    """All that has been granted so far has been over for longer than it is kept."""
    world.clock.advance(world.policy.grant_ttl_us + KEEP + 2 * SECOND)


@on_both
def test_a_tree_goes_whole_with_all_that_belongs_to_it_and_the_living_stay(make_world: Any) -> None:
    world = make_world()
    agent = world.agent()
    dead = world.chain(agent, 3)
    world.refresh(agent, dead[1])
    world.verify(dead[0], required_tools=["file_read"], required_resources=["github"])
    world.revoke(dead[2])
    world.fill()
    die(world)
    living = world.root(agent, "alive")
    ended = world.root(agent, "ended")
    world.revoke(ended)
    world.fill()
    removed = clean(world)
    assert removed == {"issued_tokens": 5, "grant_states": 4, "revocations": 1, "ended_tasks": 1}
    kept = {living.grant_id, ended.grant_id}
    assert {row["grant_id"] for row in world.rows(IssuedToken)} == kept
    assert {row["grant_id"] for row in world.rows(GrantStateRow)} <= kept
    assert [row["key"] for row in world.rows(RevocationMark)] == [ended.grant_id]
    assert len(world.rows(EndedTasks)) == 1
    assert world.why_not(living) is None
    assert world.why_not(ended) == "revoked"
    assert clean(world) == {}


@on_both
def test_the_trail_says_by_whose_wish_how_much_went(make_world: Any) -> None:
    world = make_world()
    world.chain(world.agent(), 3)
    before = len(world.audit())
    assert clean(world) == {}
    assert len(world.audit()) == before
    die(world)
    removed = clean(world, 4)
    rows = world.audit()[before:]
    assert {row["event_type"] for row in rows} == {"cleaned_up"}
    told = [json.loads(row["details"]) for row in rows]
    assert {(each["by"], each["keep_seconds"]) for each in told} == {("server", KEEP // SECOND)}
    assert {name: sum(each["removed"].get(name, 0) for each in told) for name in removed} == removed
    # And whoever asked for it is named.
    world.root(world.agent())
    die(world)
    world.server.clean(KEEP, by=Admin("ana"))
    assert json.loads(world.audit()[-1]["details"])["by"] == "ana"


def test_what_the_trail_cannot_tell_does_not_go(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = world.agent()
    world.revoke(world.root(agent))
    world.ask(Revoke(by=world.admin, client_id=agent.client_id), object)
    world.fill()
    die(world)
    before = [world.rows(model) for model in (IssuedToken, RevocationMark)]
    with monkeypatch.context() as patched:
        patched.setattr(type(world.server.store), "write_trail", _fail)
        with pytest.raises(RuntimeError):
            clean(world)
    assert [world.rows(model) for model in (IssuedToken, RevocationMark)] == before
    assert clean(world)["issued_tokens"] == 1
    assert world.rows(IssuedToken) == []


def _fail(*_: Any) -> None:
    raise RuntimeError("the disk is full")


@on_both
def test_what_is_within_its_retention_stays(make_world: Any) -> None:
    world = make_world()
    world.root(world.agent())
    world.clock.advance(world.policy.grant_ttl_us + KEEP - 2 * SECOND)
    assert clean(world) == {}
    world.clock.advance(4 * SECOND)
    assert clean(world)["issued_tokens"] == 1


def test_a_large_tree_goes_from_its_leaves_up_in_bounded_steps(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent)
    for number in range(20):
        world.child(agent, root, f"child {number}")
    die(world)
    for left in (17, 13, 9, 5, 1):
        step = world.server.clean(KEEP, 4)
        rows = world.rows(IssuedToken)
        assert (step.removed["issued_tokens"], step.more) == (4, True)
        assert len(rows) == left
        # A tree still: what is left has all its ancestors.
        assert {row["parent_grant_id"] for row in rows} <= {None, root.grant_id}
        assert rows[0]["grant_id"] == root.grant_id
    clean(world)
    assert world.rows(IssuedToken) == []


@on_both
def test_no_tree_goes_while_a_mark_is_being_filled_in(make_world: Any) -> None:
    world = make_world()
    agent = world.agent()
    root = world.root(agent)
    for number in range(5):
        world.child(agent, root, f"child {number}")
    die(world)
    world.revoke(root)
    world.server.fill(2)
    assert clean(world) == {}
    world.fill()
    removed = clean(world)
    assert removed["issued_tokens"] == 6
    # The newest mark keeps its place, so that no other mark is given it.
    assert "revocations" not in removed


@on_both
def test_a_feed_that_was_read_to_its_end_misses_no_later_mark(make_world: Any) -> None:
    world = make_world()
    agent = world.agent()
    ended = [world.root(agent, f"task {number}") for number in range(3)]
    for grant in ended:
        world.revoke(grant)
    world.fill()
    store = world.server.store
    with store.reading() as connection:
        _, place = store.marks_after(connection, 0)
    die(world)
    clean(world)
    later = world.root(agent, "later")
    revoked = world.revoke(later)
    with store.reading() as connection:
        rows, _ = store.marks_after(connection, place)
    assert [row["revocation_id"] for row in rows] == [revoked.revocation_id]


@on_both
def test_marks_on_agents_and_principals_go_with_the_last_token_that_is_older(make_world: Any) -> None:
    world = make_world()
    agent, other = world.agent(), world.agent()
    world.root(agent)
    world.revoke(client_id=agent.client_id)
    world.revoke(principal="acme")
    world.revoke(task_id="for good")
    world.fill()
    world.clock.advance(10 * SECOND)
    younger = world.root(other, "younger")
    world.clock.advance(world.policy.grant_ttl_us + KEEP - 11 * SECOND)
    world.root(other, "now")
    # What they ended is still there.
    assert clean(world) == {}
    world.clock.advance(2 * SECOND)
    assert {row["kind"] for row in world.rows(RevocationMark)} == {"client", "principal", "task"}
    clean(world)
    assert {row["grant_id"] for row in world.rows(IssuedToken)} >= {younger.grant_id}
    # Whatever they ended has gone: those on tasks end what comes, too.
    assert {row["kind"] for row in world.rows(RevocationMark)} == {"task"}
    world.reopen()
    assert world.why_not(world.root(agent, "again")) is None
    assert isinstance(
        world.refusal(Issue(by=agent, task_id="for good", scope="file_read:github")), OAuthError
    )


@on_both
def test_a_budgeted_tree_waits_until_its_rests_have_flowed_back(make_world: Any) -> None:
    world = make_world()
    agent = world.agent()
    root = world.root(agent, budget=100)
    world.child(agent, root, budget=40)
    die(world)
    assert clean(world) == {}
    world.fill()
    removed = clean(world)
    assert removed["budgets"] == 2
    assert world.rows(BudgetRow) == []


@on_both
def test_expired_assertions_and_codes_go_unless_a_replay_of_theirs_may_still_end_a_grant(
    make_world: Any,
) -> None:
    world = make_world()
    agent = world.agent()
    grant = world.root(agent)
    now = world.clock.now()
    codes = [
        {
            "code_id": world.server._ids.next(now),
            "code_hash": b"x",
            "client_id": 1,
            "account": "ana",
            "redirect_uri": "",
            "code_challenge": "",
            "terms": "{}",
            "created_at": now,
            "expires_at": now + 60 * SECOND,
            "consumed_at": consumed and now,
            "grant_id": consumed,
        }
        for consumed in (None, grant.grant_id)
    ]
    with world.server.store.transaction() as connection:
        connection.execute(CODES.insert(), codes)
        connection.execute(
            ASSERTIONS.insert(),
            [
                {"assertion_key": bytes([number]), "expires_at": now + number * 3600 * SECOND}
                for number in range(5)
            ],
        )
    world.clock.advance(2 * 3600 * SECOND + 1)
    assert clean(world, 2) == {"used_assertions": 2, "authorization_codes": 1}
    assert [row["grant_id"] for row in world.rows(AuthorizationCode)] == [grant.grant_id]
    assert len(world.rows(UsedAssertion)) == 3
    die(world)
    assert clean(world)["authorization_codes"] == 1


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["issue", "child", "refresh", "revoke", "agent", "task", "verify", "wait", "fill"]),
        st.integers(0, 7),
    ),
    min_size=1,
    max_size=25,
)


class Twins:
    """Two worlds that are asked the same; one of them is cleaned up whenever it may be."""

    def __init__(self, new_world: Any) -> None:
        self.worlds = [new_world(seed=b"twins", refresh_grace_us=0) for _ in range(2)]
        self.agents = [[world.agent() for _ in range(2)] for world in self.worlds]
        self.grants: list[list[TokenGrant]] = [[], []]

    def ask(self, make: Callable[[list[Any], list[TokenGrant]], Any]) -> tuple[Any, Any]:
        asked = [make(agents, grants) for agents, grants in zip(self.agents, self.grants, strict=True)]
        return tuple(  # type: ignore[return-value]
            world.server.execute([one])[0] for world, one in zip(self.worlds, asked, strict=True)
        )

    def take(self, kind: str, number: int, *, limit: int) -> None:
        kept, cleaned = self.worlds
        if kind == "wait":
            for world in self.worlds:
                world.clock.advance((world.policy.grant_ttl_us + KEEP) // 4 * (number + 1))
        elif kind == "fill":
            # What has been removed is not filled in, which takes an id for each row: those of the next millisecond are alike.
            for world in self.worlds:
                world.fill()
                world.clock.advance(1000)
        else:
            self.compare(
                self.ask(lambda agents, grants: self.operation(kind, number, agents, grants)), number
            )
        # Where anything goes, an audit row takes an id, too.
        if cleaned.server.clean(KEEP, limit).total:
            for world in self.worlds:
                world.clock.advance(1000)
        assert kept.clock.now() == cleaned.clock.now()

    def operation(self, kind: str, number: int, agents: list[Any], grants: list[TokenGrant]) -> Any:
        agent = agents[number % 2]
        if kind == "agent":
            return Revoke(by=self.worlds[0].admin, client_id=agent.client_id)
        if kind == "task":
            return Revoke(by=self.worlds[0].admin, task_id=f"task {number % 2}")
        if kind == "issue" or not grants:
            return Issue(by=agent, task_id=f"task {number % 2}", scope="file_read:github")
        grant = grants[number % len(grants)]
        if kind == "child":
            return IssueChild(
                by=agent,
                parent_token=grant.access_token,
                task_id=f"task {number % 2}",
                scope="file_read:github",
            )
        if kind == "refresh":
            return Refresh(by=agent, refresh_token=grant.refresh_token or "")
        if kind == "revoke":
            return Revoke(by=self.worlds[0].admin, token=grant.access_token)
        return Verify(token=grant.access_token, include_history=False)

    def compare(self, answers: tuple[Any, Any], number: int) -> None:
        one, other = answers
        if isinstance(one, TokenGrant):
            assert isinstance(other, TokenGrant)
            assert replace(one, log_id=0) == replace(other, log_id=0)
            for grants, answer in zip(self.grants, answers, strict=True):
                grants.append(answer)
        elif isinstance(one, Verification):
            assert one.is_valid is other.is_valid
            assert type(one.error) is type(other.error)
        else:
            assert type(one) is type(other)


@settings(max_examples=60)
@given(steps=_STEPS, limit=st.integers(1, 4))
def test_a_cleanup_at_any_moment_changes_no_later_answer(
    new_world: Any, steps: list[tuple[str, int]], limit: int
) -> None:
    twins = Twins(new_world)
    try:
        for kind, number in steps:
            twins.take(kind, number, limit=limit)
        # Whoever comes after a restart knows only what the database has kept.
        for kind, number in steps:
            if kind not in ("wait", "fill"):
                twins.take("verify", number, limit=limit)
    finally:
        for world in twins.worlds:
            world.check_chain()
            world.server.close()
