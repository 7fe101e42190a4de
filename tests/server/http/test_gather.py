"""Group commit: what stands at the door together shares a batch, and everybody gets their own answer."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url, select

from agentsim.server import (
    Activation,
    Admin,
    Client,
    Confirm,
    Issue,
    NoteRefusal,
    OAuthError,
    Register,
    Registration,
    Revoke,
    Server,
    Store,
    Verify,
)
from agentsim.server.http import lanes
from agentsim.server.http.gather import Gatherer
from agentsim.server.http.lanes import goes_first
from agentsim.server.operations import Operation
from agentsim.server.schema import AuditRow
from agentsim.server.store import table

ACME = Admin("acme")


class Watched(Server):
    """Notes how many operations came together, and waits where it is told to."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.sizes: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def execute(self, operations: Sequence[Operation], at: Sequence[int] | None = None) -> list[Any]:
        assert self.go.wait(30)
        self.sizes.append(len(operations))
        return super().execute(operations, at)


def agent(number: int, tools: str = "read") -> Register:
    return Register(by=ACME, agent_name=f"agent {number}", allowed_tools=[tools], resource_access=["a"])


@pytest.fixture
def server(tmp_path: Path) -> Watched:
    return Watched(Store(tmp_path / "gathered.sqlite", synchronous="OFF"))


def gathered(server: Watched, story: Callable[[Gatherer], Any]) -> Any:
    async def tell() -> Any:
        gatherer = Gatherer(server)
        try:
            return await story(gatherer)
        finally:
            await gatherer.stop()
            server.close()

    return asyncio.run(tell())


def test_what_is_asked_together_is_one_batch_and_answered_apart(server: Watched) -> None:
    async def story(gatherer: Gatherer) -> list[Any]:
        asked = [agent(number, "read" if number % 3 else "not a tool") for number in range(30)]
        return await asyncio.gather(
            *(gatherer.ask_one(each, Registration) for each in asked), return_exceptions=True
        )

    answers = gathered(server, story)
    assert server.sizes == [30]
    for number, answer in enumerate(answers):
        if number % 3:
            assert answer.profile.agent_name == f"agent {number}"
        else:
            assert isinstance(answer, OAuthError)


def test_one_alone_does_not_wait_for_others(server: Watched) -> None:
    async def story(gatherer: Gatherer) -> None:
        for number in range(3):
            await gatherer.ask_one(agent(number), Registration)

    gathered(server, story)
    assert server.sizes == [1, 1, 1]


def test_what_comes_meanwhile_is_the_next_batch(server: Watched) -> None:
    async def story(gatherer: Gatherer) -> None:
        server.go.clear()
        first = asyncio.create_task(gatherer.ask([agent(0)]))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(gatherer.ask([agent(number), agent(number)])) for number in range(5)]
        await asyncio.sleep(0.05)
        server.go.set()
        await asyncio.gather(first, *others)

    gathered(server, story)
    assert server.sizes == [1, 10]


def test_a_batch_has_an_end(server: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "MOST_TOGETHER", 4)

    async def story(gatherer: Gatherer) -> None:
        # Three do not fit beside three; whoever asks for more than a batch at once gets them together all the same.
        await asyncio.gather(
            *(gatherer.ask([agent(number)] * count) for number, count in enumerate([3, 3, 1, 6]))
        )

    gathered(server, story)
    assert server.sizes == [3, 4, 6]


def test_too_many_are_turned_away_and_nothing_is_done_for_them(
    server: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MOST_WAITING", 10)

    async def story(gatherer: Gatherer) -> list[Any]:
        return await asyncio.gather(
            *(gatherer.ask([agent(number)] * 4) for number in range(4)), return_exceptions=True
        )

    answers = gathered(server, story)
    assert [isinstance(answer, list) for answer in answers] == [True, True, False, False]
    assert {answer.reason for answer in answers[2:]} == {"too_busy"}
    assert server.sizes == [8]


def test_who_goes_away_changes_nothing_for_the_others(server: Watched) -> None:
    async def story(gatherer: Gatherer) -> list[Any]:
        server.go.clear()
        leaving, staying = (asyncio.create_task(gatherer.ask([agent(number)])) for number in range(2))
        await asyncio.sleep(0.05)
        leaving.cancel()
        server.go.set()
        return [await staying, await gatherer.ask([agent(2)])]

    answers = gathered(server, story)
    assert all(isinstance(answer, Registration) for (answer,) in answers)
    # What was asked has been done, whether or not anybody waits for it.
    assert server.sizes == [2, 1]


def test_everything_asked_for_is_answered_before_the_end(server: Watched) -> None:
    async def tell() -> list[Any]:
        gatherer = Gatherer(server)
        asked = [asyncio.create_task(gatherer.ask([agent(number)])) for number in range(50)]
        await asyncio.sleep(0)
        await gatherer.stop()
        return [task.result() for task in asked]

    answers = asyncio.run(tell())
    assert all(isinstance(answer, Registration) for (answer,) in answers)
    server.close()


def test_an_error_of_the_program_reaches_those_who_wait_and_ends_nothing(
    server: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(gatherer: Gatherer) -> None:
        with monkeypatch.context() as broken:
            broken.setattr(server, "execute", lambda operations: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await gatherer.ask([agent(0)])
        (answer,) = await gatherer.ask([NoteRefusal(endpoint="token", reason="test")])
        assert answer.log_id

    gathered(server, story)


def test_a_database_that_goes_away_costs_a_moment(make_site: Any, new_schema: Callable[[], str]) -> None:
    """Its connections are cut again and again: each request is granted, or told to come again, and then works."""
    url = make_url(new_schema())
    name = f"cut {uuid4().hex}"
    named = url.update_query_dict({"application_name": name})
    site = make_site(database=named.render_as_string(hide_password=False))
    by = site.agent()
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)

    def ask(_number: int) -> Any:
        return site.ask(by, grant_type="client_credentials", scope="file_read:github")

    statuses = []
    with psycopg.connect(plain, autocommit=True) as admin, ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
                [name],
            )
            for answer in pool.map(ask, range(8)):
                statuses.append(answer.status_code)
                if answer.status_code == 503:
                    assert answer.headers["retry-after"] == "1"
                    assert answer.json()["error"] == "temporarily_unavailable"
            assert ask(0).status_code == 200
    assert set(statuses) <= {200, 503}
    granted = [row for row in site.audit(event_type="token_issued", limit=1000) if row["status"] == "granted"]
    assert len(granted) == statuses.count(200) + 5


# People and agents


def asked(number: int) -> Confirm:
    """What anybody may ask: it waits with the agents."""
    return Confirm(registration_token=f"reg_{number}_x")


def told(server: Watched) -> list[str]:
    """Who was decided about, in turn."""
    with server.store.transaction() as connection:
        rows = connection.execute(select(table(AuditRow)).order_by(AuditRow.log_id)).mappings()
        return ["person" if row["event_type"] == "agent_registered" else "agent" for row in rows]


def test_people_go_first_and_agents_are_next_in_the_same_batch(server: Watched) -> None:
    async def story(gatherer: Gatherer) -> list[str]:
        server.go.clear()
        waiting = [asyncio.create_task(gatherer.ask([asked(0)]))]
        await asyncio.sleep(0.05)
        waiting += [asyncio.create_task(gatherer.ask([each])) for each in (asked(1), asked(2), agent(3))]
        # An endpoint may know that people wait for something that does not say so itself.
        waiting.append(asyncio.create_task(gatherer.ask([asked(4)], first=True)))
        await asyncio.sleep(0.05)
        server.go.set()
        await asyncio.gather(*waiting)
        return told(server)

    assert gathered(server, story) == ["agent", "person", "agent", "agent", "agent"]
    assert server.sizes == [1, 4]


def test_while_people_are_about_a_batch_has_few_of_agents_and_never_none(
    server: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MOST_TOGETHER", 8)
    monkeypatch.setattr(lanes, "MOST_OF_PEOPLE", 6)
    monkeypatch.setattr(lanes, "AGENTS_BESIDE_PEOPLE", 1)
    monkeypatch.setattr(lanes, "_ABOUT", 3)

    async def story(gatherer: Gatherer) -> None:
        people = [agent(number) for number in range(10)]
        await asyncio.gather(*(gatherer.ask([each]) for each in [*(asked(n) for n in range(9)), *people]))

    gathered(server, story)
    # Six people and one of the agents; the other four people; two batches more of one, and the rest together.
    assert server.sizes == [7, 5, 1, 1, 5]


def test_agents_are_turned_away_while_there_still_is_room_for_people(
    server: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "MOST_WAITING", 10)
    monkeypatch.setattr(lanes, "MOST_AGENTS_WAITING", 6)

    async def story(gatherer: Gatherer) -> list[Any]:
        works = [asked(number) for number in range(8)] + [agent(number) for number in range(5)]
        return await asyncio.gather(*(gatherer.ask([each]) for each in works), return_exceptions=True)

    answers = gathered(server, story)
    assert [isinstance(answer, list) for answer in answers] == [True] * 6 + [False] * 2 + [True] * 4 + [False]


def test_a_person_s_client_goes_first_once_it_is_known_and_whoever_gives_its_name_does_not(
    server: Watched,
) -> None:
    by: dict[str, Client] = {}
    for kind in ("human", "agent"):
        made = server.ask(
            Register(
                by=ACME, agent_name=kind, allowed_tools=["read"], resource_access=["a"], actor_class=kind
            ),
            Registration,
        )
        server.ask(Confirm(registration_token=made.registration_token), Activation)
        by[kind] = Client(made.client_id, made.client_secret or "")
    issues = {kind: Issue(by=each, scope="read:a") for kind, each in by.items()}
    knows = server.acquaintances
    assert not goes_first(knows, [issues["human"]])
    server.execute(list(issues.values()))
    assert goes_first(knows, [issues["human"]])
    assert not goes_first(knows, [issues["human"], issues["agent"]])
    assert not goes_first(knows, [Issue(by=Client(by["human"].client_id, "guess"), scope="read:a")])
    # Whose token it is, a verification does not say.
    assert not goes_first(knows, [Verify(token="x", by=by["human"])])
    assert not goes_first(knows, [Verify(token="x", by=ACME)])
    assert goes_first(knows, [Revoke(by=ACME, task_id="t")])
    server.close()
