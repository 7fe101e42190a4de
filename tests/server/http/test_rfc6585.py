"""RFC 6585 section 4: who asks too often meets 429 and when to come again; a server that is overloaded says 503."""

import time
from typing import Any

import pytest

from agentsim.server.clock import SECOND
from agentsim.server.http import lanes
from agentsim.server.policy import Limits, RateLimit


def test_what_is_too_much_is_refused_with_retry_after(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = site.agent()
    monkeypatch.setattr(lanes, "MOST_WAITING", 0)
    answer = site.ask(agent, grant_type="client_credentials", scope="file_read:github")
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["cache-control"] == "no-store"
    monkeypatch.undo()
    assert site.ask(agent, grant_type="client_credentials", scope="file_read:github").status_code == 200


def test_revocation_is_refused_with_retry_after_and_can_be_asked_again(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = site.agent()
    token = site.root(agent)["access_token"]
    monkeypatch.setattr(lanes, "MOST_WAITING", 0)
    answer = site.post("/revoke", auth=agent, data={"token": token})
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    monkeypatch.undo()
    assert site.is_active(token)
    assert site.post("/revoke", auth=agent, data={"token": token}).status_code == 200
    assert not site.is_active(token)


GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}


def test_who_asks_too_often_is_told_when_to_come_again(make_site: Any) -> None:
    site = make_site(limits=Limits(client=RateLimit(per_second=0.5, burst=2)))
    agent, other = site.agent(), site.agent()
    token = site.root(agent)["access_token"]
    site.root(agent)
    answer = site.ask(agent, **GRANT)
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many_requests")
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["retry_after"] == 2
    assert answer.headers["cache-control"] == "no-store"
    # The use of a token counts as well, and others are not concerned.
    used = site.post("/verify", auth=other, json={"token": token})
    assert (used.status_code, used.headers["retry-after"]) == (429, "2")
    assert site.ask(other, **GRANT).status_code == 200
    site.clock.advance(2 * SECOND)
    assert site.ask(agent, **GRANT).status_code == 200


def test_a_flood_is_turned_away_at_the_door(make_site: Any) -> None:
    site = make_site(limits=Limits(client=RateLimit(per_second=0.001, burst=1)))
    agent = site.agent()
    site.root(agent)
    before = len(site.audit(limit=1000))
    assert {site.ask(agent, **GRANT).status_code for _ in range(20)} == {429}
    # Without a decision, and a row, for each; they are written down twice a second.
    for _ in range(100):
        if site.refusals_at_the_door("token", "rate_limited") == 20:
            break
        time.sleep(0.05)
    assert site.refusals_at_the_door("token", "rate_limited") == 20
    assert len(site.audit(limit=1000)) < before + 10


def test_a_wrong_secret_gains_nothing_and_costs_nobody_anything(make_site: Any) -> None:
    site = make_site(limits=Limits(client=RateLimit(per_second=0.001, burst=2)))
    agent = site.agent()
    guess = agent._replace(client_secret="guess")
    assert {site.ask(guess, **GRANT).status_code for _ in range(5)} == {401}
    assert site.ask(agent, **GRANT).status_code == 200


def test_each_request_of_a_batch_is_limited_by_itself(make_site: Any) -> None:
    site = make_site(limits=Limits(client=RateLimit(per_second=0.001, burst=2)))
    one, other = site.agent(), site.agent()
    items = [
        {**GRANT, "client_id": agent.client_id, "client_secret": agent.client_secret}
        for agent in (one, one, one, other)
    ]
    answers = site.post("/token/batch", json={"owner": "admin", "requests": items}).json()["responses"]
    assert [answer.get("error") for answer in answers] == [None, None, "too_many_requests", None]
    assert answers[2]["retry_after"] > 0


def test_limits_are_described(site: Any) -> None:
    described = site.get("/openapi.json").json()["paths"]
    for path in ("/token", "/verify"):
        assert "429" in described[path]["post"]["responses"]
    assert "429" not in described["/revoke"]["post"]["responses"]
