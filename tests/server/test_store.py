"""The database: nothing half done, nothing lost, and several writers on one file keep each other's marks."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from agentsim.server import (
    Activation,
    Admin,
    Client,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
    RecordExecution,
    Refresh,
    Register,
    Registration,
    Revoke,
    SeededSecrets,
    Server,
    TokenGrant,
    Verify,
)
from agentsim.server import core as server_core
from agentsim.server.administrators import make_token
from agentsim.server.batch import Batch
from agentsim.server.clock import SECOND
from agentsim.server.parties import ClientAssertion
from agentsim.server.schema import Base, RevocationMark
from agentsim.server.store import ConflictError, Store, table

pytestmark = pytest.mark.on_both


def everything(world: Any) -> dict[str, list[dict[str, Any]]]:
    return {model.__tablename__: world.rows(model) for model in Base.__subclasses__()}


def busy_batch(world: Any, agent: Client) -> list[Any]:
    """A bit of everything, built on grants that are there already."""
    first, second = world.root(agent, "first"), world.root(agent, "second")
    registration = world.register()
    return [
        Register(by=world.admin, agent_name="new", allowed_tools=["t"], resource_access=["r"]),
        Confirm(registration_token=registration.registration_token),
        Issue(by=agent, task_id="third", scope="file_read:github"),
        IssueChild(by=agent, parent_token=first.access_token, task_id="c", scope="file_read:github"),
        Refresh(by=agent, refresh_token=second.refresh_token),
        Verify(token=second.access_token, required_tools=["file_read"]),
        RecordExecution(token=second.access_token, tool="file_read"),
        Revoke(by=world.admin, token=first.access_token),
    ]


@pytest.mark.parametrize("after", range(9))
def test_an_exception_in_the_middle_of_a_batch_leaves_nothing(
    world: Any, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    agent = world.agent()
    batch = busy_batch(world, agent)
    before = everything(world)
    decided = 0
    decide = server_core.decide

    def fail_in_time(*arguments: Any) -> Any:
        nonlocal decided
        if decided == after:
            raise RuntimeError("a defect")
        decided += 1
        return decide(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(server_core, "decide", fail_in_time)
        if after < len(batch):
            with pytest.raises(RuntimeError, match="a defect"):
                world.server.execute(batch)
            assert everything(world) == before
    # The same server goes on as if nothing had been, and nothing was used up.
    answers = world.server.execute(batch)
    assert not any(hasattr(answer, "reason") for answer in answers)
    world.check_chain()


@pytest.mark.parametrize(
    "failing", ["agents", "issued_tokens", "revocations", "grant_states", "task_audit_log", "audit_chains"]
)
def test_a_failing_write_leaves_nothing(world: Any, failing: str) -> None:
    agent = world.agent()
    batch = busy_batch(world, agent)
    before = everything(world)
    event = "UPDATE" if failing == "audit_chains" else "INSERT"
    trigger = f"CREATE TRIGGER disk_full BEFORE {event} ON {failing}"
    with world.server.store.transaction() as connection:
        if world.server.store.shared:
            raising = "BEGIN RAISE EXCEPTION 'disk full'; END"
            connection.exec_driver_sql(
                f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {raising} $$"
            )
            connection.exec_driver_sql(f"{trigger} FOR EACH ROW EXECUTE FUNCTION refuse()")
        else:
            connection.exec_driver_sql(f"{trigger} BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises((DBAPIError, psycopg.Error), match="disk full"):
        world.server.execute(batch)
    assert everything(world) == before
    with world.server.store.transaction() as connection:
        on_table = f" ON {failing}" if world.server.store.shared else ""
        connection.exec_driver_sql(f"DROP TRIGGER disk_full{on_table}")
    assert not any(hasattr(answer, "reason") for answer in world.server.execute(batch))
    world.check_chain()


def test_what_was_answered_is_still_there_after_a_crash(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent)
    child = world.child(agent, root)
    root = world.refresh(agent, root)
    before = everything(world)
    # Not closed before the next one is there: the process is just gone.
    crashed = world.server
    world.server = world._open(SeededSecrets(b"next process"))
    assert everything(world) == before
    assert world.why_not(root) is world.why_not(child) is None
    assert world.refresh(agent, child).grant_id == child.grant_id
    assert world.refusal(Refresh(by=agent, refresh_token=child.refresh_token)).reason == "refresh_reused"
    crashed.close()


def test_an_interruption_right_after_the_commit_does_not_fork_the_chain(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = world.agent()
    with monkeypatch.context() as broken:

        def interrupted(stage: str, began: int) -> None:
            if stage == "write":
                raise KeyboardInterrupt

        broken.setattr(world.server, "_spend", interrupted)
        with pytest.raises(KeyboardInterrupt):
            world.server.execute([Issue(by=agent, task_id="t", scope="file_read:github")])
    world.root(agent)
    # The registration, the confirmation, the interrupted issue and the one after it.
    assert world.check_chain() == 4


def test_two_writers_of_one_number_do_not_fork_their_chain(world: Any) -> None:
    agent = world.agent()
    first = world.server
    second = world._open(SeededSecrets(b"second"))
    for turn in range(6):
        world.server = (first, second)[turn % 2]
        assert world.why_not(world.root(agent)) is None
    assert world.check_chain() == 2 + 6 * 2
    world.server = second
    first.close()


def test_each_writer_has_a_chain_of_its_own(world: Any) -> None:
    agent = world.agent()
    first = world.server
    second = world._open(SeededSecrets(b"second"), writer=7)
    grants = []
    for turn in range(6):
        world.server = (first, second)[turn % 2]
        grants.append(world.root(agent))
    assert len({grant.grant_id for grant in grants}) == 6
    assert {row["chain"] for row in world.audit()} == {0, 7}
    assert world.check_chain() == 8
    first.close()


def test_a_mark_with_a_smaller_id_is_not_overlooked(world: Any) -> None:
    """The second writer's clock is behind, so its mark has a smaller id than marks that the first one knows."""
    agent = world.agent()
    first, now = world.server, world.clock.now()
    victim = world.root(agent, "victim")
    second = world._open(SeededSecrets(b"second"), writer=1)
    first.execute([Revoke(by=world.admin, task_id="another")], at=[now + 10**9])
    assert world.why_not(victim) is None
    second.execute([Revoke(by=world.admin, token=victim.access_token)], at=[now])
    early, late = (row["revocation_id"] for row in world.rows(RevocationMark))
    assert early < late
    assert world.why_not(victim) == "revoked"
    second.close()


def test_before_and_after_are_those_of_commits_not_of_clocks(world: Any) -> None:
    agent, helper = world.agent(), world.agent()
    first, now = world.server, world.clock.now()
    second = world._open(SeededSecrets(b"second"), writer=1)
    ask = Issue(by=agent, task_id="t", scope="file_read:github", principal="alice")
    for end in (Revoke(by=world.admin, client_id=agent.client_id), Revoke(by=world.admin, principal="alice")):
        (before,) = first.execute([ask], at=[now + 10**9])
        second.execute([end], at=[now])
        (after,) = first.execute([ask], at=[now])
        (other,) = second.execute([ask], at=[now])
        assert (world.why_not(before), world.why_not(after), world.why_not(other)) == ("revoked", None, None)
        first.execute([end], at=[now + 2 * 10**9])
        (after,) = second.execute([ask], at=[now])
        assert (world.why_not(other), world.why_not(after)) == ("revoked", None)
    assert world.why_not(world.root(helper)) is None
    second.close()


def test_a_registration_token_and_a_refresh_token_are_consumed_by_one_writer_only(world: Any) -> None:
    agent = world.agent()
    grant, registration = world.root(agent), world.register()
    second = world._open(SeededSecrets(b"second"), writer=1)
    use = [
        Refresh(by=agent, refresh_token=grant.refresh_token),
        Confirm(registration_token=registration.registration_token),
    ]
    assert [type(answer) for answer in second.execute(use)] == [TokenGrant, Activation]
    refused = world.server.execute(use)
    assert [answer.reason for answer in refused] == ["refresh_reused", "registration_token_invalid"]
    second.close()


def test_consuming_what_is_consumed_already_is_a_conflict(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row count of the conditional update decides, should a batch ever be decided on rows out of date."""
    agent = world.agent()
    grant, registration = world.root(agent), world.register()
    write = Store.write
    stale = 0

    def write_late(store: Store, connection: Any, batch: Batch) -> None:
        nonlocal stale
        stale += 1
        if stale == 1:
            # What another writer would have done between load and write, in a database that lets it.
            connection.execute(text("UPDATE issued_tokens SET refresh_consumed_at = 1"))
            connection.execute(text("UPDATE agents SET registration_token = NULL"))
        write(store, connection, batch)

    for use in (
        Refresh(by=agent, refresh_token=grant.refresh_token),
        Confirm(registration_token=registration.registration_token),
    ):
        stale = 0
        with monkeypatch.context() as racing:
            racing.setattr(Store, "write", write_late)
            (answer,) = world.server.execute([use])
        assert stale == 2, "the first attempt must be given up"
        assert not hasattr(answer, "reason")
    world.check_chain()


def test_a_server_that_is_never_fast_enough_says_so(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def always_late(*_: Any) -> None:
        raise ConflictError("consumed by another writer")

    with monkeypatch.context() as racing:
        racing.setattr(Store, "write", always_late)
        with pytest.raises(ConflictError, match=f"{server_core._ATTEMPTS} times"):
            world.server.execute([Verify(token="x")])
    assert world.why_not("x") == "token_malformed"


@pytest.mark.parametrize("in_memory", [True, False])
def test_any_thread_may_ask(tmp_path: Path, make_world: Callable[..., Any], in_memory: bool) -> None:
    world = type(make_world())(None if in_memory else tmp_path / "threads.sqlite")
    agent = world.agent()
    root = world.root(agent)
    faults: list[BaseException] = []
    together = threading.Barrier(4)

    def work(number: int) -> None:
        try:
            together.wait()
            for turn in range(15):
                child = world.child(agent, root, f"{number} {turn}")
                assert world.why_not(child) is None
                world.revoke(child)
                assert world.why_not(child) == "revoked"
                world.server.pending()
                world.server.fill(3)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    world.fill()
    assert sum(mark["affected_tokens"] for mark in world.rows(RevocationMark)) == 60
    world.check_chain()
    world.server.close()


@pytest.mark.parametrize("name", ["plain.sqlite", "a?b#c%20d.sqlite", "spaces and ümlauts.sqlite"])
def test_a_database_may_have_any_name(tmp_path: Path, name: str) -> None:
    server = Server(Store(tmp_path / name))
    server.ask(Register(by=Admin("acme"), agent_name="a", allowed_tools=[], resource_access=[]), Registration)
    server.close()
    assert (tmp_path / name).stat().st_size > 0


def test_a_batch_larger_than_the_databases_limits(world: Any) -> None:
    """More keys than SQLite binds in one statement."""
    agent = world.agent()
    grants = world.server.execute(
        [Issue(by=agent, task_id=f"t{n}", scope="file_read:github") for n in range(6_000)]
    )
    answers = world.server.execute([Refresh(by=agent, refresh_token=grant.refresh_token) for grant in grants])
    assert {type(answer) for answer in answers} == {TokenGrant}


def test_two_organisations_in_two_databases_share_nothing(make_world: Callable[..., Any]) -> None:
    one, other = make_world(), make_world(seed=b"other")
    grant = one.root(one.agent())
    assert other.why_not(grant) == "token_malformed"
    assert other.ask(Introspect(token=grant.access_token), object).active is False


def test_every_table_is_written(world: Any, private_key: Any, public_jwks: str) -> None:
    world.server.execute(busy_batch(world, world.agent()))
    keyed = world.agent(token_endpoint_auth_method="private_key_jwt", jwks=public_jwks).client_id
    claims = {"iss": keyed, "sub": keyed, "aud": world.policy.issuer, "jti": "1"}
    claims["exp"] = world.clock.now() // SECOND + 60
    assertion = ClientAssertion(keyed, jwt.encode(claims, private_key, "EdDSA"))
    world.root(assertion)
    make_token(world.server.store, world.clock)
    world.fill()
    # Budgets, people and signed heads have stories of their own.
    elsewhere = {"budgets", "accounts", "sessions", "authorization_codes", "audit_checkpoints"}
    assert {table(model).name for model in Base.__subclasses__() if world.rows(model)} == set(
        everything(world)
    ) - elsewhere
