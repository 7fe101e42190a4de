"""RFC 6585 section 4: limits on rates are a later release's; a server that is overloaded says 503 and when to come again."""

from typing import Any

import pytest

from agentsim.server.http import lanes


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


def test_no_limit_on_rates_is_claimed(site: Any) -> None:
    described = site.get("/openapi.json").json()
    statuses = {
        status
        for operations in described["paths"].values()
        for operation in operations.values()
        for status in operation["responses"]
    }
    assert "429" not in statuses
    assert "503" in statuses
