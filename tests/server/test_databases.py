"""Where the tables lie: what names a database, readers beside the writer, and connections that are lost."""

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from agentsim.server import Admin, Issue, Register, Registration, SeededSecrets, Server, Store, TokenGrant
from agentsim.server.schema import RevocationMark


def register_one(store: Store) -> None:
    server = Server(store)
    server.ask(Register(by=Admin("acme"), agent_name="a", allowed_tools=[], resource_access=[]), Registration)
    server.close()


def setting(store: Store, name: str, *, hurried: bool) -> str:
    """What a setting of the database is within a transaction."""
    ask = f"SHOW {name}" if store.shared else f"PRAGMA {name}"
    with store.transaction(hurried=hurried) as connection:
        return str(connection.exec_driver_sql(ask).scalar_one())


def test_only_what_is_hurried_does_not_wait_for_the_disk(
    tmp_path: Path, new_schema: Callable[[], str]
) -> None:
    for url, name, waits, hurries in (
        (f"sqlite:///{tmp_path}/hurried.sqlite", "synchronous", "2", "1"),
        (new_schema(), "synchronous_commit", "on", "off"),
    ):
        store = Store(url)
        told = [setting(store, name, hurried=hurried) for hurried in (False, True, True, False, True, False)]
        assert told == [waits, hurries, hurries, waits, hurries, waits]
        store.close()


def test_a_simulation_never_waits_and_a_hurry_changes_nothing(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/simulated.sqlite", synchronous="NORMAL")
    assert [setting(store, "synchronous", hurried=hurried) for hurried in (False, True, False)] == ["1"] * 3
    store.close()


def test_what_is_hurried_is_put_in_its_place_beside_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "beside.sqlite"
    # Once closed, the tables themselves are in their place.
    Store(f"sqlite:///{path}").close()
    store = Store(f"sqlite:///{path}")
    usual = setting(store, "wal_autocheckpoint", hurried=False)
    with store.transaction(hurried=True) as connection:
        connection.execute(text("INSERT INTO grant_states VALUES (1, '{}')"))
    # The log is left to the thread, by others as well, for as long as there is one.
    assert setting(store, "wal_autocheckpoint", hurried=False) == "0"

    def in_place() -> int:
        with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as without_log:
            found: int = without_log.execute("SELECT count(*) FROM grant_states").fetchone()[0]
            return found

    for _ in range(1_000):
        if in_place():
            break
        time.sleep(0.01)
    assert in_place() == 1
    # It ends by itself once nothing is hurried any more, and commits look after the log again.
    for _ in range(1_000):
        if setting(store, "wal_autocheckpoint", hurried=False) == usual:
            break
        time.sleep(0.01)
    assert setting(store, "wal_autocheckpoint", hurried=False) == usual == "10000"
    store.close()


def test_the_thread_ends_with_the_store(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/ended.sqlite")
    setting(store, "synchronous", hurried=True)
    store.close()
    assert "checkpoints" not in {thread.name for thread in threading.enumerate()}


def test_a_url_names_an_sqlite_file(tmp_path: Path) -> None:
    register_one(Store(f"sqlite:///{tmp_path}/by-url.sqlite"))
    assert (tmp_path / "by-url.sqlite").stat().st_size > 0
    register_one(Store("sqlite://"))


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql", "postgres"])
def test_a_url_names_a_postgresql(new_schema: Callable[[], str], scheme: str) -> None:
    url = new_schema()
    register_one(Store(scheme + url[url.index("://") :]))


@pytest.mark.parametrize("url", ["agentsim.db", "mysql://root:hidden@host/x", "", "postgresql+pg8000://h/x"])
def test_what_is_no_database_of_ours_is_refused_in_words(url: str) -> None:
    with pytest.raises(ValueError, match=r"named by a URL|are not served") as refused:
        Store(url)
    assert "hidden" not in str(refused.value)


@pytest.mark.on_both
def test_a_reader_sees_the_last_commit_and_waits_for_nobody(world: Any) -> None:
    agent = world.agent()
    world.revoke(world.root(agent))
    store = world.server.store
    count = text("SELECT count(*) FROM revocations")
    with store.transaction() as writing:
        writing.execute(text("DELETE FROM revocations"))
        seen: list[int] = []

        def read() -> None:
            with store.reading() as connection:
                seen.append(connection.execute(count).scalar_one())

        reader = threading.Thread(target=read)
        reader.start()
        reader.join(30)
        assert seen == [1]
    with store.reading() as connection:
        assert connection.execute(count).scalar_one() == 0


@pytest.mark.on_both
def test_a_reader_cannot_write_and_leaves_no_trace(world: Any) -> None:
    world.agent()
    store = world.server.store
    with pytest.raises(DBAPIError, match=r"(?i)read-?\s?only"), store.reading() as connection:
        connection.execute(text("DELETE FROM agents"))
    assert world.agent().client_id
    with store.engine.begin() as connection:
        connection.execute(text("DELETE FROM audit_chains WHERE chain = 77"))


def test_a_database_in_memory_is_read_between_transactions(new_world: Any) -> None:
    world = new_world()
    mark = world.revoke(world.root(world.agent())).revocation_id
    told: list[Any] = []
    reader = threading.Thread(target=lambda: told.append(world.server.closure(mark)))
    reader.start()
    reader.join()
    assert told[0].closure == "pending"
    assert world.server.closure(1) is None
    world.server.close()


@pytest.mark.on_both
def test_a_closure_tells_of_no_more_tasks_than_asked(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent, "t0")
    for number in range(1, 6):
        world.child(agent, root, f"t{number}")
    mark = world.revoke(root).revocation_id
    pending = world.server.closure(mark)
    assert (pending.closure, pending.tasks) == ("pending", [])
    world.fill()
    assert world.server.closure(mark, most=3).tasks == ["t0", "t1", "t2"]
    told = world.server.closure(mark)
    assert (told.closure, told.affected_grants, told.tasks) == ("closed", 6, [f"t{n}" for n in range(6)])


def cut(world: Any) -> None:
    """End every connection of this world but the one that does so."""
    with world.server.store.engine.connect() as connection, connection.begin():
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND application_name = :name"
            ),
            {"name": "cut"},
        )


@pytest.fixture
def served(new_world: Any, new_schema: Callable[[], str]) -> Any:
    """A world whose connections can be told from others."""
    world = new_world(new_schema() + "&application_name=cut")
    yield world
    world.check_chain()
    world.server.close()


def test_a_connection_lost_between_two_requests_is_not_noticed(served: Any) -> None:
    agent = served.agent()
    cut(served)
    assert served.why_not(served.root(agent)) is None


@pytest.mark.parametrize("moment", ["load", "write", "write_trail"])
def test_a_connection_lost_within_a_request_costs_that_request_only(
    served: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    agent = served.agent()
    before = len(served.audit())
    ask = Issue(by=agent, task_id="t", scope="file_read:github")
    real = getattr(served.server.store, moment)

    def lose(*arguments: Any) -> Any:
        cut(served)
        return real(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(served.server.store, moment, lose)
        with pytest.raises((DBAPIError, psycopg.Error)):
            served.server.execute([ask])
    assert len(served.audit()) == before
    (answer,) = served.server.execute([ask])
    assert isinstance(answer, TokenGrant)


def test_a_fill_goes_on_after_its_connection_was_lost(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = served.agent()
    served.revoke(served.chain(agent, depth=4)[0])
    served.server.fill(2)
    real = served.server.store.write_trail

    def lose(*arguments: Any) -> Any:
        cut(served)
        return real(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(served.server.store, "write_trail", lose)
        with pytest.raises((DBAPIError, psycopg.Error)):
            served.server.fill(2)
    served.fill()
    (mark,) = served.rows(RevocationMark)
    assert (mark["closure"], mark["affected_tokens"]) == ("closed", 5)


@pytest.mark.on_both
def test_a_text_that_no_database_can_keep_is_refused(world: Any) -> None:
    agent = world.agent()
    for terms in ({"source_ip": "a\0b"}, {"task_description": "a\0b"}):
        asked = Issue(by=agent, task_id="t", scope="file_read:github", **terms)
        assert world.refusal(asked).reason == "invalid_request"


@pytest.mark.on_both
def test_the_writer_of_an_sqlite_file_is_the_first(world: Any) -> None:
    other = world._open(SeededSecrets(b"other"))
    assert other.store.claim_writer() == 0
    assert other.store.claim_writer() == (1 if other.store.shared else 0)
    other.close()
