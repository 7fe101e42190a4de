"""Several servers on one PostgreSQL: what the barrier, the lock on marks and the conditional updates are for.

The first story has four processes at work at once. The others stop one server in the middle of a batch, on purpose,
and tell what the locks change: without the barrier, or the lock on marks, each ends as it must not.
"""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from agentsim.server import (
    Issue,
    IssueChild,
    Refresh,
    Revoke,
    SeededSecrets,
    Server,
    TokenGrant,
    Verify,
    closure,
)
from agentsim.server.following import Follower
from agentsim.server.history import GrantState
from agentsim.server.lineage import principal_key, unpack
from agentsim.server.schema import GrantStateRow, IssuedToken, RevocationMark

ROOT = Path(__file__).parents[2]
WORKERS, TURNS = 4, 45


@pytest.fixture
def world(new_world: Any, new_schema: Callable[[], str]) -> Iterator[Any]:
    world = new_world(new_schema())
    yield world
    world.check_chain()
    world.server.close()


def work(world: Any, folder: Path, url: str) -> list[dict[str, Any]]:
    """Let the workers work; returns what each reports."""
    agents = [world.agent() for _ in range(4)]
    (folder / "agents").write_text(json.dumps([[agent.client_id, agent.client_secret] for agent in agents]))
    script = Path(__file__).with_name("hammer.py")
    workers = [
        subprocess.Popen(
            [sys.executable, script, folder, url, str(number), str(TURNS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for number in range(WORKERS)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"done\n"
        # Only now: whatever any of them has revoked, each of them must know.
        for worker in workers:
            worker.communicate(b"\n", timeout=60)
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    return [json.loads((folder / f"report-{number}").read_text()) for number in range(WORKERS)]


def fill_all(world: Any) -> None:
    for _ in range(1_000):
        if not world.rows(RevocationMark, closure="pending"):
            return
        world.server._filler.wake()
        world.server.fill(1_000)
    raise AssertionError("the fill does not end")


def enders(row: dict[str, Any], marks: list[dict[str, Any]]) -> list[int]:
    """The marks that a token is below, said in another way than the server says it."""
    lineage = unpack(row["lineage"])
    return [
        mark["revocation_id"]
        for mark in marks
        if (mark["kind"] == "grant" and any(mark["key"] == grant for grant, _, _ in lineage))
        or (mark["kind"] == "grant_only" and mark["key"] == row["grant_id"])
        or (mark["kind"] == "task" and any(mark["key"] == task for _, _, task in lineage))
        or (
            mark["kind"] == "client"
            and any(mark["key"] == client and grant < mark["revocation_id"] for grant, client, _ in lineage)
        )
        or (
            mark["kind"] == "principal"
            and mark["key"] == principal_key(row["owner"], row["principal"])
            and lineage[0][0] < mark["revocation_id"]
        )
    ]


def test_four_workers_on_the_same_trees(
    new_world: Any, new_schema: Callable[[], str], tmp_path: Path
) -> None:
    url = new_schema()
    # Its writer is none that a worker will claim.
    world = new_world(url)
    world.reopen(writer=100)
    agents_made = 8
    reports = work(world, tmp_path, url)
    assert [report["faults"] for report in reports] == [[]] * WORKERS
    fill_all(world)

    marks, rows = world.rows(RevocationMark), world.rows(IssuedToken)
    by_token = {row["access_token_hash"]: row for row in rows}
    below = {row["token_id"]: enders(row, marks) for row in rows}
    assert len({mark["kind"] for mark in marks}) >= 4
    assert len(rows) > 200

    # No server takes what is below a mark for active, and each takes the rest for it.
    living = {row["token_id"] for row in rows if not below[row["token_id"]]}
    for report in reports:
        active = {by_token[_digest(token)]["token_id"] for token in report["active"]}
        assert active - living == set(), "active below a mark"
        assert living - active == set(), "dead for no reason"

    # Every row below a mark is filled in by one of its marks, and no other; the counts are right.
    for row in rows:
        ends = below[row["token_id"]]
        assert row["is_revoked"] is bool(ends), f"token {row['token_id']} below {ends}"
        assert not ends or row["revocation_id"] in ends
    ended = Counter(row["revocation_id"] for row in rows if row["is_revoked"])
    assert {mark["revocation_id"]: mark["affected_tokens"] for mark in marks} == {
        mark["revocation_id"]: ended[mark["revocation_id"]] for mark in marks
    }

    # No refresh token was consumed twice, and no count of a grant was lost.
    before = Counter(row["previous_token_id"] for row in rows if row["previous_token_id"] is not None)
    assert [token for token, times in before.items() if times > 1] == []
    assert len(before) > 20
    states = {row["grant_id"]: GrantState.from_json(row["state"]) for row in world.rows(GrantStateRow)}
    children = Counter(row["parent_grant_id"] for row in rows if row["token_id"] == row["grant_id"])
    refreshes = Counter(row["grant_id"] for row in rows if row["token_id"] != row["grant_id"])
    verified = Counter(row["grant_id"] for row in world.audit(event_type="token_verified"))
    for grant, state in states.items():
        assert (state.children, state.refreshes, state.verifications) == (
            children[grant],
            refreshes[grant],
            verified[grant],
        )

    # Before and after a mark on an agent or a principal are those of the world, whatever each clock says.
    kinds = {mark["revocation_id"]: mark["kind"] for mark in marks}
    issues = [
        (by_token[_digest(token)], began, ended)
        for report in reports
        for token, began, ended in report["issues"]
    ]
    for report in reports:
        for mark, mark_began, mark_ended in report["revocations"]:
            if kinds[mark] in ("client", "principal"):
                for row, began, ended_at in issues:
                    assert not (ended_at < mark_began and row["token_id"] > mark), "issued before its mark"
                    assert not (began > mark_ended and row["token_id"] < mark), "issued after its mark"

    # Each decision has exactly one audit row, and every chain verifies.
    answered = [log_id for report in reports for log_id in report["answers"]]
    told = [row["log_id"] for row in world.audit() if row["event_type"] != "token_ended"]
    assert len(told) == len(answered) + agents_made
    assert set(answered) <= set(told)
    assert len({row["chain"] for row in world.audit()}) == WORKERS + 1
    world.check_chain()
    world.server.close()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Stop:
    """Stops a server between its decisions and their commit, until it is let go."""

    def __init__(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        write = server.store.write

        def write_and_wait(connection: Any, batch: Any) -> None:
            write(connection, batch)
            self.reached.set()
            assert self.go.wait(30)

        monkeypatch.setattr(server.store, "write", write_and_wait)


def begin(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Do this in a thread of its own; the list will hold what it returned."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    return thread, answers


def until_it_waits_or_ends(world: Any, thread: threading.Thread) -> None:
    """Until the thread has ended, or some connection waits for a lock, ours or that of a row."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(3_000):
        if not thread.is_alive():
            return
        with world.server.store.reading() as connection:
            if connection.execute(waiting).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("it neither waits nor ends")


def without(server: Server, lock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.store._database, lock, lambda *_, **__: None)


@pytest.mark.parametrize("barrier", [True, False])
def test_a_fill_waits_for_a_child_on_its_way(
    world: Any, monkeypatch: pytest.MonkeyPatch, barrier: bool
) -> None:
    agent = world.agent()
    root = world.root(agent)
    slow, other = world._open(SeededSecrets(b"1"), writer=1), world._open(SeededSecrets(b"2"), writer=2)
    if not barrier:
        without(slow, "pass_barrier", monkeypatch)
        without(other, "pass_barrier", monkeypatch)
    stop = Stop(slow, monkeypatch)
    born = IssueChild(by=agent, parent_token=root.access_token, task_id="c", scope="file_read:github")
    issuing, answers = begin(lambda: slow.execute([born]))
    assert stop.reached.wait(30)
    other.execute([Revoke(by=world.admin, token=root.access_token)])

    def fill() -> None:
        while other.pending():
            other.fill()

    filling, _ = begin(fill)
    until_it_waits_or_ends(world, filling)
    waits = filling.is_alive()
    stop.go.set()
    issuing.join()
    filling.join()
    assert waits is barrier
    ((child,),) = answers
    assert isinstance(child, TokenGrant)
    # It is dead either way; only its row tells of it or not.
    assert world.why_not(child) == "revoked"
    assert [row["is_revoked"] for row in world.rows(IssuedToken)] == [True, barrier]
    slow.close()
    other.close()


@pytest.mark.parametrize("barrier", [True, False])
def test_a_mark_on_an_agent_comes_after_what_is_on_its_way(
    world: Any, monkeypatch: pytest.MonkeyPatch, barrier: bool
) -> None:
    """The clock of the server that issues is ahead: without the barrier, the mark's id would be the smaller one."""
    agent = world.agent()
    slow, other = world._open(SeededSecrets(b"1"), writer=1), world._open(SeededSecrets(b"2"), writer=2)
    if not barrier:
        without(slow, "pass_barrier", monkeypatch)
        without(other, "pass_barrier", monkeypatch)
    stop = Stop(slow, monkeypatch)
    ask = Issue(by=agent, task_id="t", scope="file_read:github")
    issuing, answers = begin(lambda: slow.execute([ask], at=[world.clock.now() + 10**9]))
    assert stop.reached.wait(30)
    revoking, _ = begin(lambda: other.execute([Revoke(by=world.admin, client_id=agent.client_id)]))
    until_it_waits_or_ends(world, revoking)
    stop.go.set()
    issuing.join()
    revoking.join()
    assert world.why_not(answers[0][0]) == ("revoked" if barrier else None)
    slow.close()
    other.close()


@pytest.mark.parametrize("lock", [True, False])
def test_marks_are_seen_in_the_order_of_their_places(
    world: Any, monkeypatch: pytest.MonkeyPatch, lock: bool
) -> None:
    """Without the lock a mark that was drawn first and committed last is overlooked for ever."""
    agent = world.agent()
    first, second = world.root(agent, "first"), world.root(agent, "second")
    slow, other = world._open(SeededSecrets(b"1"), writer=1), world._open(SeededSecrets(b"2"), writer=2)
    if not lock:
        without(slow, "lock_marks", monkeypatch)
        without(other, "lock_marks", monkeypatch)
    stop = Stop(slow, monkeypatch)
    early, _ = begin(lambda: slow.execute([Revoke(by=world.admin, token=first.access_token)]))
    assert stop.reached.wait(30)
    late, _ = begin(lambda: other.execute([Revoke(by=world.admin, token=second.access_token)]))
    until_it_waits_or_ends(world, late)
    # It takes in what is committed by now.
    assert world.why_not(second) == (None if lock else "revoked")
    stop.go.set()
    early.join()
    late.join()
    assert world.why_not(first) == ("revoked" if lock else None)
    assert world.why_not(second) == "revoked"
    slow.close()
    other.close()


def test_the_same_refresh_token_at_once_is_a_replay_for_the_later(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent()
    grant = world.root(agent)
    slow, other = world._open(SeededSecrets(b"1"), writer=1), world._open(SeededSecrets(b"2"), writer=2)
    stop = Stop(slow, monkeypatch)
    use = Refresh(by=agent, refresh_token=grant.refresh_token)
    first, won = begin(lambda: slow.execute([use]))
    assert stop.reached.wait(30)
    second, lost = begin(lambda: other.execute([use]))
    # Whether it waits for the row or not: it must not win.
    until_it_waits_or_ends(world, second)
    stop.go.set()
    first.join()
    second.join()
    assert isinstance(won[0][0], TokenGrant)
    assert not isinstance(lost[0][0], TokenGrant)
    assert lost[0][0].reason == "refresh_reused"
    assert world.why_not(won[0][0]) == "revoked"
    slow.close()
    other.close()


def test_a_grant_that_one_worker_holds_is_held_for_all_from_its_commit_on(
    world: Any, by_tool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent()
    grant = world.root(agent, scope="file_read:github file_write:github")
    slow = world._open(SeededSecrets(b"1"), writer=1, matcher=by_tool(file_write="revoke_task"))
    other = world._open(SeededSecrets(b"2"), writer=2)
    stop = Stop(slow, monkeypatch)
    strange = Verify(token=grant.access_token, required_tools=["file_write"])
    holding, refused = begin(lambda: slow.execute([strange]))
    assert stop.reached.wait(30)
    # Each waits for the grant's state, and finds it held.
    later = [
        Verify(token=grant.access_token, required_tools=["file_read"]),
        Refresh(by=agent, refresh_token=grant.refresh_token),
        IssueChild(by=agent, parent_token=grant.access_token, scope="file_read:github"),
    ]
    asking, answers = begin(lambda: other.execute(later))
    until_it_waits_or_ends(world, asking)
    assert asking.is_alive()
    stop.go.set()
    holding.join()
    asking.join()
    ((first,), (verified, *others)) = refused[0], answers[0]
    assert [refusal.reason for refusal in (first.error, verified.error, *others)] == ["step_up_required"] * 4
    # Each worker carries out what its own matcher has asked for.
    assert Follower(other, None).step(world.clock.now()) == []
    assert len(Follower(slow, None).step(world.clock.now())) == 1
    assert world.why_not(grant) == "revoked"
    slow.close()
    other.close()


def test_one_worker_fills_and_the_others_do_not_wait_for_it(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is just now.
    monkeypatch.setattr(closure, "_REST", 600)
    agent = world.agent()
    world.revoke(world.root(agent))
    other = world._open(SeededSecrets(b"1"), writer=1)
    with world.server.store.transaction() as connection:
        assert world.server.store.try_fill(connection)
        assert other.pending()
        assert other.fill() == []
        assert not other.pending()
    (closed,) = world.fill()
    # What was filled in elsewhere is told from the database.
    told = other.closure(closed.revocation_id)
    assert (told.closure, told.affected_grants, told.affected_tokens) == ("closed", 1, 1)
    assert told.tasks == ["Code Review"]
    other.close()


def test_a_fill_goes_on_where_another_worker_has_stopped(world: Any) -> None:
    agent = world.agent()
    world.revoke(world.chain(agent, depth=5)[0])
    other = world._open(SeededSecrets(b"1"), writer=1)
    servers = (world.server, other)
    for turn in range(20):
        if not world.rows(RevocationMark, closure="pending"):
            break
        servers[turn % 2].fill(2)
    (mark,) = world.rows(RevocationMark)
    assert (mark["closure"], mark["affected_tokens"], mark["affected_grants"]) == ("closed", 6, 6)
    assert len(world.audit(event_type="token_ended")) == 6
    other.close()


def test_each_process_claims_a_writer_of_its_own(world: Any) -> None:
    stores = [world._open(SeededSecrets(b"x")).store for _ in range(3)]
    assert [store.claim_writer() for store in stores] == [0, 1, 2]
    stores[1].close()
    fourth = world._open(SeededSecrets(b"x")).store
    assert fourth.claim_writer() == 1
    for store in (stores[0], stores[2], fourth):
        store.close()


def test_the_locks_of_two_schemas_are_not_the_same(
    world: Any, new_world: Any, new_schema: Callable[[], str]
) -> None:
    elsewhere = new_world(new_schema())
    with world.server.store.transaction() as connection:
        world.server.store.pass_barrier(connection, exclusive=True)
        assert elsewhere.why_not(elsewhere.root(elsewhere.agent())) is None
    elsewhere.server.close()
