"""The door: who is turned away before anything is done, what that leaves behind, and who is not to be fooled by it."""

import asyncio
import gc
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agentsim.server import Admin, Client, Confirm, Issue, Register, Registration, Server
from agentsim.server.errors import TooManyRequests
from agentsim.server.http import door
from agentsim.server.http.door import Door, Visit
from agentsim.server.policy import Limits, Policy, RateLimit

GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}


def client_limit(burst: int) -> Limits:
    return Limits(client=RateLimit(per_second=0.001, burst=burst))


def limited(site: Any, bucket: str, actor_class: str) -> float:
    (family,) = [
        each
        for each in text_string_to_metric_families(site.get("/metrics").text)
        if each.name == "agentsim_limited"
    ]
    return sum(
        sample.value
        for sample in family.samples
        if sample.name == "agentsim_limited_total"
        and sample.labels == {"bucket": bucket, "actor_class": actor_class}
    )


def test_a_flood_costs_one_row_of_the_audit_trail_for_many(make_site: Callable[..., Any]) -> None:
    site = make_site(limits=client_limit(1))
    agent = site.agent()
    before = limited(site, "client", "agent")
    assert [site.ask(agent, **GRANT).status_code for _ in range(12)] == [200] + [429] * 11
    assert limited(site, "client", "agent") == before + 11
    assert len(site.audit(event_type="token_issued")) == 1
    assert site.refusals_at_the_door("token", "rate_limited") == 11


def test_a_guessed_secret_gains_nothing_and_costs_its_owner_nothing(make_site: Callable[..., Any]) -> None:
    site = make_site(limits=client_limit(3))
    agent = site.agent()
    guess = agent._replace(client_secret="guess")
    for _ in range(2):
        assert [site.ask(guess, **GRANT).status_code for _ in range(6)] == [401] * 6
        assert site.ask(agent, **GRANT).status_code == 200
    site.root(agent)
    # And who is limited already is not told to others as an error of theirs.
    assert site.ask(guess, **GRANT).status_code == 429


def test_people_come_in_while_the_agents_class_has_used_up_its_share(make_site: Callable[..., Any]) -> None:
    site = make_site(limits=Limits(classes={"agent": RateLimit(per_second=0.001, burst=2)}))
    person, agents = site.agent(actor_class="human"), [site.agent() for _ in range(3)]
    # Whoever has never come is let in to be looked at; then its class is known.
    before = limited(site, "class", "agent")
    assert [site.ask(each, **GRANT).status_code for each in agents] == [200, 200, 429]
    assert limited(site, "class", "agent") == before + 1
    for _ in range(3):
        assert {site.ask(each, **GRANT).status_code for each in agents} == {429}
        token = site.root(person)["access_token"]
        assert site.post("/verify", headers=site.as_admin, json={"token": token}).json()["is_valid"]


@pytest.fixture
def server() -> Any:
    made = Server(policy=Policy(limits=Limits(classes={"agent": RateLimit(per_second=0.001, burst=5)})))
    yield made
    made.close()


@pytest.fixture
def agent(server: Server) -> Client:
    """One that the server has met: four may still come of its class."""
    profile: dict[str, Any] = {"agent_name": "a", "allowed_tools": ["read"], "resource_access": ["a"]}
    made = server.ask(Register(by=Admin("acme"), **profile), Registration)
    by = Client(made.client_id, made.client_secret or "")
    server.execute([Confirm(registration_token=made.registration_token)])
    server.execute([Issue(by=by, scope="read:a")])
    return by


def test_who_is_inside_counts_until_it_leaves(server: Server, agent: Client) -> None:
    async def story() -> None:
        at = Door(server)
        visits = [at.client(agent) for _ in range(6)]
        assert [visit.refusal is None for visit in visits] == [True] * 4 + [False] * 2
        async with at.open(visits[0]):
            assert at.client(agent).refusal is not None
        back = at.client(agent)
        assert back.refusal is None
        answers = await at.open_for_each([*visits[1:], back], named)
        assert answers[:3] + answers[5:] == [0, 1, 2, 5]
        assert all(isinstance(answer, TooManyRequests) for answer in answers[3:5])
        # Nobody is left inside, whatever became of them.
        assert [at.client(agent).refusal is None for _ in range(5)] == [True] * 4 + [False]

    async def named(places: list[int]) -> list[int]:
        return places

    asyncio.run(story())


def test_who_only_gives_a_name_does_not_count(server: Server, agent: Client) -> None:
    at = Door(server)
    guess = Client(agent.client_id, "guess")
    assert [at.client(guess).refusal for _ in range(20)] == [None] * 20
    assert at.client(agent).refusal is None


def test_those_who_fail_inside_leave_all_the_same(server: Server, agent: Client) -> None:
    async def fails(places: list[int]) -> list[Any]:
        raise KeyError(places[0])

    async def story() -> None:
        at = Door(server)
        for _ in range(10):
            with pytest.raises(KeyError):
                await at.open_for_each([at.client(agent)], fails)
            with pytest.raises(KeyError):
                async with at.open(at.client(agent)):
                    await fails([0])

    asyncio.run(story())


def test_refusals_beyond_the_pace_are_held_and_do_not_come_back_together(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[float] = []

    async def sleep(seconds: float) -> None:
        held.append(seconds)

    refusal = TooManyRequests("rate_limited", "", retry_after=1, bucket="client", actor_class=None)

    async def story() -> None:
        at = Door(server)
        monkeypatch.setattr(door.asyncio, "sleep", sleep)
        # All come in the same moment, however slow the machine is.
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: 1_000.0)
        for _ in range(300):
            with pytest.raises(TooManyRequests):
                async with at.open(Visit(refusal)):
                    raise AssertionError("let in")

    asyncio.run(story())
    assert held[0] == 0
    # In turn at first, then spread over half of the longest time.
    assert sorted(held[:90]) == held[:90]
    assert max(held) <= door.LONGEST_HOLD
    late = sorted(held[150:])
    assert late[0] < 0.52 * door.LONGEST_HOLD
    assert max(after - before for before, after in pairwise(late)) < 0.02


def test_a_refusal_leaves_no_garbage_to_be_collected(make_site: Callable[..., Any]) -> None:
    site = make_site(limits=client_limit(1))
    agent = site.agent()
    site.root(agent)

    def survivors() -> int:
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                assert site.ask(agent, **GRANT).status_code == 429
            return sum(isinstance(each, TooManyRequests) for each in gc.get_objects())
        finally:
            gc.enable()

    survivors()
    assert survivors() <= 2
