"""Following: watchers are told of each committed row once, and what is asked for is done and stands in the trail."""

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from agentsim.server import Action, Confirm, Issue
from agentsim.server.audit import COLUMNS
from agentsim.server.clock import SECOND
from agentsim.server.following import AuditReader, Follower
from agentsim.server.watch import ACTIONS

_EVENT, _CHAIN, _GRANT, _ROOT, _CLIENT = (
    COLUMNS.index(name) for name in ("event_type", "chain", "grant_id", "root_grant_id", "client_id")
)


class Noting:
    """Keeps the rows, and asks once for what it has been given."""

    def __init__(self, *actions: Action) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.actions = list(actions)

    def take(self, rows: Sequence[tuple[Any, ...]]) -> None:
        self.rows += rows

    def due(self, now: int) -> list[Action]:
        due, self.actions = self.actions, []
        return due


@pytest.mark.on_both
def test_each_row_is_told_once_in_the_order_of_its_chain(world: Any) -> None:
    watcher = Noting()
    follower = Follower(world.server, watcher)
    told = []
    for _ in range(3):
        world.root(world.agent())
        follower.step(world.clock.now())
        told.append(len(watcher.rows))
    follower.step(world.clock.now())
    stored = [tuple(row[name] for name in COLUMNS) for row in world.audit()]
    assert watcher.rows == stored
    assert told == [3, 6, 9]


def test_chains_of_several_writers_are_read_each_from_its_own_place(new_world: Any, new_schema: Any) -> None:
    world = new_world(new_schema())
    other = world._open(world.server._secrets, writer=5)
    reader = AuditReader(world.server.store)
    agent = world.agent()
    assert sum(map(len, reader.news())) == 2
    # The other writer's rows come later, with ids between those of the first.
    for server in (other, world.server, other):
        server.execute([Issue(by=agent, scope="file_read:github")], at=[world.clock.now() - SECOND])
    chains = [row[_CHAIN] for rows in reader.news() for row in rows]
    assert chains == [0, 5, 5]
    assert list(reader.news()) == []
    other.close()
    world.server.close()


def test_rows_from_before_a_moment_are_left_out(world: Any) -> None:
    world.agent()
    world.clock.advance(SECOND)
    world.server.execute([Confirm(registration_token="unknown")])
    rows = [row for rows in AuditReader(world.server.store, world.clock.now()).news() for row in rows]
    assert [row[_EVENT] for row in rows] == ["agent_confirmed"]


@pytest.mark.on_both
@pytest.mark.parametrize("kind", ACTIONS[2:])
def test_what_is_asked_for_is_done_by_a_party_of_the_server_s_own(world: Any, kind: Any) -> None:
    agent, other = world.agent(), world.agent()
    root = world.root(agent)
    child, sibling = world.child(other, root, "a"), world.child(other, root, "b")
    below = world.child(agent, child, "below")
    elsewhere = world.root(other)
    subject = {"revoke_tree": root.grant_id, "disable_agent": int(other.client_id.removeprefix("agent_"))}
    action = Action(
        kind=kind, subject=subject.get(kind, child.grant_id), score=5.0, reasons=("a", "b", "c", "d")
    )
    ((_, answer),) = Follower(world.server, Noting(action)).step(world.clock.now())
    assert answer.log_id == world.audit()[-1]["log_id"]
    ended = {
        "step_up": [False, True, False, False, False],
        "revoke_task": [False, True, False, True, False],
        "revoke_tree": [True, True, True, True, False],
        "disable_agent": [False, True, True, True, True],
    }[kind]
    grants = (root, child, sibling, below, elsewhere)
    assert [world.why_not(grant) is not None for grant in grants] == ended
    row = next(row for row in world.audit() if row["log_id"] == answer.log_id)
    details = json.loads(row["details"])
    assert details["by"] == "risk"
    assert details["risk"] == {"action": kind, "score": 5.0, "reasons": ["a", "b", "c"]}
    event, reason = {
        "step_up": ("grant_held", None),
        "disable_agent": ("agent_disabled", "risk"),
    }.get(kind, ("token_revoked", "risk"))
    assert (row["event_type"], row["reason"]) == (event, reason)


@pytest.mark.on_both
def test_what_a_matcher_wants_beyond_a_refusal_is_done_right_after(
    make_world: Callable[..., Any], by_tool: Any
) -> None:
    world = make_world()
    world.reopen(matcher=by_tool(file_write="revoke_tree", db_query="disable_agent"))
    agent = world.agent()
    root = world.root(agent)
    child = world.child(agent, root)
    follower = Follower(world.server, None)
    for _ in range(3):
        world.verify(child, required_tools=["file_write"])
    assert world.why_not(root) is None
    # Asked for more than once, it is done once.
    assert len(follower.step(world.clock.now())) == 1
    assert world.why_not(root) == "revoked"
    assert follower.step(world.clock.now()) == []
    world.verify(world.root(agent), required_tools=["db_query"])
    follower.step(world.clock.now())
    assert world.refusal(Issue(by=agent)).reason == "agent_inactive"


def test_what_was_before_a_start_is_told_and_not_acted_upon(world: Any) -> None:
    grant = world.root(world.agent())
    action = Action(kind="revoke_task", subject=grant.grant_id)
    watcher = Noting(action)
    follower = Follower(world.server, watcher, since=0)
    assert follower.step(world.clock.now()) == []
    assert len(watcher.rows) == 3
    watcher.actions.append(action)
    follower.step(world.clock.now())
    assert world.why_not(grant) == "revoked"


def test_one_of_several_processes_follows(new_world: Any, new_schema: Any) -> None:
    first = new_world(new_schema())
    second = new_world(first.database)
    watchers = [Noting(), Noting()]
    followers = [
        Follower(world.server, watcher, leads=world.server.store.try_watch)
        for world, watcher in zip((first, second), watchers, strict=True)
    ]
    first.agent()
    for follower in (*followers, *followers):
        follower.step(first.clock.now())
    assert [len(watcher.rows) for watcher in watchers] == [2, 0]
    # Until it is gone: then another one does.
    first.server.close()
    for _ in range(200):
        # The database notices in its own time.
        followers[1].step(second.clock.now())
        if watchers[1].rows:
            break
        time.sleep(0.01)
    assert len(watchers[1].rows) == 2
    second.server.close()


def test_what_could_not_be_done_is_done_the_next_time(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    grant = world.root(world.agent())
    follower = Follower(world.server, Noting(Action(kind="revoke_task", subject=grant.grant_id)))

    def away(*_: Any, **__: Any) -> Any:
        raise OSError("away")

    with monkeypatch.context() as patch:
        patch.setattr(world.server, "execute", away)
        with pytest.raises(OSError, match="away"):
            follower.step(world.clock.now())
    follower.step(world.clock.now())
    assert world.why_not(grant) == "revoked"
