"""The fill: after a mark the rows below it are marked one by one, in bounded steps, whatever happens between."""

from typing import Any

import pytest
from sqlalchemy import event

from agentsim.server import Issue, IssueChild, Revoke, closure
from agentsim.server.schema import IssuedToken, RevocationMark
from agentsim.server.store import table


def forest(world: Any, agent: Any) -> list[Any]:
    """Three trees of task "root": each has two children of task "shared" with one grandchild each."""
    roots = [world.root(agent, "root", principal=f"user {n}") for n in range(3)]
    children = [world.child(agent, root, "shared") for root in roots for _ in range(2)]
    leaves = [world.child(agent, child, f"leaf {n}") for n, child in enumerate(children)]
    return [*roots, *children, *leaves]


def state(world: Any) -> list[Any]:
    """What a fill leaves, ids of its own rows aside."""
    tokens = [
        (
            row["token_id"],
            row["is_revoked"],
            row["revoked_at"],
            row["revocation_reason"],
            row["revocation_id"],
        )
        for row in world.rows(IssuedToken)
    ]
    names = ("revocation_id", "closure", "affected_grants", "affected_tokens")
    return [tokens, [tuple(mark[name] for name in names) for mark in world.rows(RevocationMark)]]


@pytest.mark.on_both
def test_a_fill_marks_the_rows_below_and_counts_them(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent, "root")
    child = world.child(agent, root, "child")
    world.refresh(agent, child)
    spared = world.root(agent, "spared")
    world.clock.advance(5)
    answer = world.revoke(root, reason="theft")
    assert (answer.closure, answer.count) == ("pending", 0)
    assert world.server.pending()
    revoked_at = world.clock.now()
    world.clock.advance(5)
    (closed,) = world.fill()
    assert not world.server.pending()
    assert closed.revocation_id == answer.revocation_id
    assert (closed.affected_grants, closed.affected_tokens, closed.tasks) == (2, 3, ["root", "child"])
    (mark,) = world.rows(RevocationMark)
    assert (mark["closure"], mark["affected_grants"], mark["affected_tokens"]) == ("closed", 2, 3)
    *ended, alive = sorted(world.rows(IssuedToken), key=lambda row: row["grant_id"] == spared.grant_id)
    assert not alive["is_revoked"]
    for row in ended:
        assert (row["revoked_at"], row["revocation_reason"], row["revocation_id"]) == (
            revoked_at,
            "theft",
            answer.revocation_id,
        )
    rows = world.audit(event_type="token_ended")
    assert [row["token_id"] for row in rows] == [row["token_id"] for row in ended]
    assert {(row["status"], row["reason"], row["timestamp"]) for row in rows} == {
        ("granted", "theft", world.clock.now())
    }
    assert {row["details"] for row in rows} == {f'{{"revocation_id":{answer.revocation_id}}}'}


@pytest.mark.on_both
def test_a_finished_fill_has_nothing_to_do_after_the_next_request(world: Any) -> None:
    agent = world.agent()
    world.revoke(world.root(agent, "root"))
    world.fill()
    world.root(agent, "another")
    assert not world.server.pending()


@pytest.mark.on_both
def test_a_mark_that_ends_nothing_is_closed(world: Any) -> None:
    agent = world.agent()
    world.revoke(task_id="never begun")
    world.revoke(principal="nobody")
    world.revoke(client_id=agent.client_id)
    closed = world.fill()
    assert [(mark.affected_grants, mark.affected_tokens, mark.tasks) for mark in closed] == [(0, 0, [])] * 3
    assert {mark["closure"] for mark in world.rows(RevocationMark)} == {"closed"}


@pytest.mark.on_both
def test_a_step_is_bounded_even_where_marks_end_nothing(world: Any) -> None:
    world.server.execute([Revoke(by=world.admin, task_id=f"t{n}") for n in range(10)])
    assert len(world.server.fill(4)) == 4
    assert len(world.server.fill(4)) == 4
    assert world.server.pending()
    assert len(world.fill()) == 2


@pytest.mark.parametrize("kind", ["grant", "grant_only", "task", "client", "principal", "all"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 7, 1_000])
def test_however_a_fill_is_cut_and_whenever_it_crashes_it_leaves_the_same(
    make_world: Any, kind: str, limit: int
) -> None:
    outcomes = []
    for crashing in (False, True):
        world = make_world()
        agent = world.agent()
        grants = forest(world, agent)
        world.refresh(agent, grants[4])
        named = {
            "grant": [{"token": grants[0].access_token}],
            "grant_only": [{"token": grants[3].access_token, "cascade": False}],
            "task": [{"task_id": "shared"}],
            "client": [{"client_id": agent.client_id}],
            "principal": [{"principal": "user 1"}],
        }
        named["all"] = [how for hows in list(named.values()) for how in hows]
        for how in named[kind]:
            world.revoke(**how)
        # Issued after the marks of agents and principals, so untouched by them.
        world.server.execute([Issue(by=agent, task_id="late", scope="file_read:github", principal="user 1")])
        closed, steps = [], 0
        while True:
            steps += 1
            assert steps < 200, "the fill does not move"
            # Every second step: to look at a finished tree once more is all that a step of one token can do.
            if crashing and steps % 2:
                world.server.close()
                world.server = world._open(type(world.server._secrets)(b"again"))
            if not world.server.pending():
                break
            closed += world.server.fill(limit)
            if not world.rows(RevocationMark, closure="pending"):
                break
        assert len(closed) == len(named[kind])
        outcomes.append((closed, state(world)))
    assert outcomes[0] == outcomes[1]
    closed, (tokens, _) = outcomes[0]
    assert sum(mark.affected_tokens for mark in closed) == sum(token[1] for token in tokens)
    active = [world.why_not(grant) is None for grant in grants]
    rows = {row["token_id"]: row["is_revoked"] for row in world.rows(IssuedToken)}
    assert [not rows[grant.grant_id] for grant in grants] == active


@pytest.mark.on_both
@pytest.mark.parametrize("statement", range(1, 9))
def test_a_step_that_fails_leaves_nothing_of_itself(world: Any, statement: int) -> None:
    """The connection dies at one statement or another; the same server then goes on."""
    agent = world.agent()
    forest(world, agent)
    world.revoke(task_id="shared")
    world.revoke(task_id="root")
    world.server.fill(4)
    before = state(world), len(world.audit())
    ran = 0

    def count(*_: Any) -> None:
        nonlocal ran
        ran += 1
        if ran == statement:
            raise RuntimeError("the connection is gone")

    engine = world.server.store.engine
    event.listen(engine, "before_cursor_execute", count)
    try:
        with pytest.raises(RuntimeError, match="connection is gone"):
            world.fill(4)
    finally:
        event.remove(engine, "before_cursor_execute", count)
    if statement < 4:
        assert (state(world), len(world.audit())) == before
    world.fill()
    assert {mark["closure"] for mark in world.rows(RevocationMark)} == {"closed"}
    assert all(row["is_revoked"] for row in world.rows(IssuedToken))
    assert len(world.audit(event_type="token_ended")) == 15
    assert sum(mark["affected_tokens"] for mark in world.rows(RevocationMark)) == 15
    world.check_chain()


@pytest.mark.on_both
def test_each_token_is_ended_once_by_the_first_mark_that_reaches_it(world: Any) -> None:
    agent = world.agent()
    root, child, leaf = world.chain(agent, depth=2)
    low = world.revoke(child, reason="first")
    high = world.revoke(root, reason="second")
    closed = world.fill()
    assert [(mark.revocation_id, mark.affected_grants) for mark in closed] == [
        (low.revocation_id, 2),
        (high.revocation_id, 1),
    ]
    assert [row["revocation_reason"] for row in world.rows(IssuedToken)] == ["second", "first", "first"]
    assert len(world.audit(event_type="token_ended")) == 3
    assert leaf.depth == 2


@pytest.mark.on_both
def test_a_fill_goes_through_expired_refreshed_and_revoked_parents(world: Any) -> None:
    agent = world.agent()
    root, middle, leaf = world.chain(agent, depth=2)
    world.revoke(middle, cascade=False)
    world.fill()
    world.clock.set(leaf.expires_at)
    leaf = world.refresh(agent, leaf)
    world.revoke(root)
    (closed,) = world.fill()
    # The root, and both tokens of the leaf; the middle was ended before.
    assert (closed.affected_grants, closed.affected_tokens) == (2, 3)
    assert all(row["is_revoked"] for row in world.rows(IssuedToken))


@pytest.mark.on_both
def test_what_comes_between_two_steps_is_refused_so_that_a_fill_ends(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent)
    children = [world.child(agent, root, f"c{n}") for n in range(5)]
    world.revoke(root)
    born = IssueChild(
        by=agent, parent_token=children[-1].access_token, task_id="late", scope="file_read:github"
    )
    steps = 0
    while world.server.pending():
        assert world.refusal(born).reason == "parent_revoked"
        world.server.fill(1)
        steps += 1
    assert steps <= 8
    assert len(world.rows(IssuedToken)) == 6


@pytest.mark.on_both
def test_a_client_mark_spares_what_it_was_given_later_in_the_same_tree(world: Any) -> None:
    agent, helper = world.agent(), world.agent()
    root = world.root(helper, "root")
    old = world.child(agent, root, "old")
    world.revoke(client_id=agent.client_id)
    new = world.child(agent, root, "new")
    (closed,) = world.fill()
    assert closed.tasks == ["old"]
    assert [row["is_revoked"] for row in world.rows(IssuedToken)] == [False, True, False]
    assert (world.why_not(root), world.why_not(old), world.why_not(new)) == (None, "revoked", None)


@pytest.mark.parametrize(("shape", "size"), [("star", 400), ("chain", 60), ("tree of four", 341)])
def test_a_tree_of_any_shape_ends_to_its_last_leaf(make_world: Any, shape: str, size: int) -> None:
    world = make_world(max_depth=64)
    agent = world.agent()
    parent = {"star": lambda n: 0, "chain": lambda n: n - 1, "tree of four": lambda n: (n - 1) // 4}[shape]
    grants = [world.root(agent, "t0")]
    while len(grants) < size:
        # In rounds: a child is asked for once its parent is there.
        now = [n for n in range(len(grants), size) if parent(n) < len(grants)]
        grants += world.server.execute(
            [
                IssueChild(
                    by=agent,
                    parent_token=grants[parent(n)].access_token,
                    task_id=f"t{n}",
                    scope="file_read:github",
                )
                for n in now
            ]
        )
    world.revoke(grants[0])
    assert {world.why_not(grant) for grant in grants} == {"revoked"}
    (closed,) = world.fill(limit=50)
    assert (closed.affected_grants, closed.tasks) == (size, [f"t{n}" for n in range(size)])
    assert {row["token_id"] for row in world.audit(event_type="token_ended")} == {
        grant.grant_id for grant in grants
    }


@pytest.mark.parametrize("crashing", [False, True])
def test_of_many_tasks_the_first_are_told_however_a_fill_is_cut(
    make_world: Any, monkeypatch: pytest.MonkeyPatch, crashing: bool
) -> None:
    monkeypatch.setattr(closure, "MOST_TASKS", 3)
    world = make_world()
    agent = world.agent()
    root = world.root(agent, "t0")
    for number in range(1, 6):
        world.child(agent, root, f"t{number // 2}")
    mark = world.revoke(root).revocation_id
    closed: list[Any] = []
    while not closed:
        closed = world.server.fill(2)
        if crashing and not closed:
            world.server.close()
            world.server = world._open(type(world.server._secrets)(b"again"))
    assert closed[0].affected_grants == 6
    assert closed[0].tasks == world.server.closure(mark).tasks == ["t0", "t1", "t2"]


def test_no_index_names_what_a_fill_changes() -> None:
    """PostgreSQL changes a row within its page only then."""
    changed = {"is_revoked", "revoked_at", "revocation_reason", "revocation_id"}
    for index in table(IssuedToken).indexes:
        condition = str(index.dialect_options["postgresql"]["where"])
        assert not changed & {column.name for column in index.columns}
        assert not any(name in condition for name in changed)
