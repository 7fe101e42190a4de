"""RFC 6585 section 4: who asks too often is told so, and when to come again; a server that is overloaded says 503."""

from collections.abc import Callable
from typing import Any

import pytest

from agentsim.server.clock import SECOND
from agentsim.server.http import lanes
from agentsim.server.policy import Limits, RateLimit

GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}
TWICE = Limits(client=RateLimit(per_second=0.2, burst=2))


def test_too_many_requests_are_refused_and_granted_again_after_retry_after(
    make_site: Callable[..., Any],
) -> None:
    site = make_site(limits=TWICE)
    agent, other = site.agent(), site.agent()
    assert [site.ask(agent, **GRANT).status_code for _ in range(3)] == [200, 200, 429]
    site.clock.advance(SECOND)
    answer = site.ask(agent, **GRANT)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "4"
    # Responses with the 429 status code must not be stored by a cache.
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert (told["error"], told["reason"], told["retry_after"]) == ("too_many_requests", "rate_limited", 4)
    assert told["allowed"] == {"bucket": "client", "per_second": 0.2, "burst": 2}
    assert site.ask(other, **GRANT).status_code == 200

    site.clock.advance(4 * SECOND - 1)
    assert site.ask(agent, **GRANT).status_code == 429
    site.clock.advance(1)
    assert site.ask(agent, **GRANT).status_code == 200


def test_in_a_batch_each_request_is_limited_by_itself(make_site: Callable[..., Any]) -> None:
    site = make_site(limits=TWICE)
    items = [
        {**GRANT, "client_id": each.client_id, "client_secret": each.client_secret}
        for each in (site.agent(), site.agent())
    ]
    asked = {"owner": "admin", "requests": [items[0], items[0], items[0], items[1]]}
    for expected in ([None, None, "rate_limited", None], ["rate_limited"] * 3 + [None]):
        answer = site.post("/token/batch", json=asked)
        assert answer.status_code == 200
        assert [each.get("reason") for each in answer.json()["responses"]] == expected
    (last,) = site.post("/token/batch", json={**asked, "requests": items[:1]}).json()["responses"]
    assert (last["error"], last["retry_after"]) == ("too_many_requests", 5)


def test_a_verification_beyond_the_limit_says_no_and_when_to_come_again(
    make_site: Callable[..., Any],
) -> None:
    site = make_site(limits=Limits(client=RateLimit(per_second=1, burst=3)))
    gate, agent = site.agent(), site.agent()
    token = site.root(agent)["access_token"]

    def verify(*tokens: str) -> Any:
        asked = (
            {"requests": [{"token": each} for each in tokens]} if len(tokens) > 1 else {"token": tokens[0]}
        )
        return site.post("/verify", auth=gate, json=asked)

    # Nobody knows the gate yet, so what it asks does not count at the door: the decision says no, in an answer.
    told = verify(token, token, token).json()["responses"]
    assert [each["is_valid"] for each in told] == [True, True, False]
    assert (told[2]["error"], told[2]["retry_after"]) == ("too_many_requests", 1)
    # Now the bucket is known to be empty, and the door says it before anything is looked at.
    for refused in (verify(token), verify(token, token)):
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "is_valid" not in refused.json()
    other = site.root(site.agent())["access_token"]
    assert [each["is_valid"] for each in verify(token, other).json()["responses"]] == [False, True]
    site.clock.advance(SECOND)
    assert verify(token).json()["is_valid"]


def test_the_token_s_holder_is_limited_and_not_the_resource_server(make_site: Callable[..., Any]) -> None:
    site = make_site(limits=Limits(client=RateLimit(per_second=0.01, burst=2)))
    gate = site.agent()
    for _ in range(5):
        token = site.root(site.agent())["access_token"]
        assert site.post("/verify", auth=gate, json={"token": token}).json()["is_valid"]
    assert site.ask(gate, **GRANT).status_code == 200


def test_revoking_and_introspecting_are_never_limited(make_site: Callable[..., Any]) -> None:
    site = make_site(limits=Limits(client=RateLimit(per_second=0.001, burst=1)))
    agent = site.agent()
    token = site.root(agent)["access_token"]
    assert site.ask(agent, **GRANT).status_code == 429
    assert site.is_active(token)
    assert site.post("/revoke", auth=agent, data={"token": token}).status_code == 200
    assert not site.is_active(token)


def test_what_an_overloaded_server_cannot_serve_is_refused_with_retry_after(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_limits_are_described_where_there_are_any(site: Any) -> None:
    described = site.get("/openapi.json").json()
    limited = {
        operation["operationId"]
        for operations in described["paths"].values()
        for operation in operations.values()
        if "429" in operation["responses"]
    }
    assert limited == {"token", "verify"}
