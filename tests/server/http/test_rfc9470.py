"""RFC 9470: a grant that is held wants somebody to vouch for it; what resource servers and clients are told of that."""

import time
from typing import Any

import pytest

from agentsim.server import Action
from agentsim.server.audit import COLUMNS

_EVENT, _GRANT = COLUMNS.index("event_type"), COLUMNS.index("grant_id")
ALL = "file_read:github file_write:github db_query:github"


class Suspicious:
    """A watcher that wants the tree of whoever introspects ended."""

    def __init__(self) -> None:
        self.found: list[int] = []

    def take(self, rows: Any) -> None:
        self.found += [row[_GRANT] for row in rows if row[_EVENT] == "token_introspected"]

    def due(self, now: int) -> list[Action]:
        found, self.found = self.found, []
        return [Action(kind="revoke_tree", subject=grant, score=4.0) for grant in found]


@pytest.fixture
def guarded(make_site: Any, by_tool: Any) -> Any:
    return make_site(matcher=by_tool(file_write="step_up", db_query="disable_agent"), watcher=Suspicious())


def verified(site: Any, grant: dict[str, Any], tool: str, **options: Any) -> dict[str, Any]:
    asked = {"token": grant["access_token"], "required_tools": [tool]}
    answer = site.post("/verify", json=asked, **(options or {"headers": site.as_admin}))
    assert answer.status_code == 200
    return dict(answer.json())


def test_the_use_of_a_held_grant_is_refused_with_the_code_of_the_rfc(guarded: Any) -> None:
    agent = guarded.agent()
    grant = guarded.root(agent, scope=ALL)
    before = verified(guarded, grant, "file_read")
    assert (before["is_valid"], before["historical_pattern_match"], before["risk_assessment"]) == (
        True,
        True,
        "low",
    )
    refused = verified(guarded, grant, "file_write")
    assert (refused["is_valid"], refused["error"], refused["reason"]) == (
        False,
        "insufficient_user_authentication",
        "step_up_required",
    )
    assert (refused["execution_pattern"], refused["risk_reasons"]) == ("unusual", ["file_write is strange"])
    assert verified(guarded, grant, "file_read", auth=agent)["risk_reasons"] == []
    assert not guarded.is_active(grant["access_token"])


def test_the_token_endpoint_has_its_own_code_for_it(guarded: Any) -> None:
    agent = guarded.agent()
    grant = guarded.root(agent, scope=ALL)
    verified(guarded, grant, "file_write")
    refreshed = guarded.refresh(agent, grant)
    assert (refreshed.status_code, refreshed.json()["error"]) == (400, "invalid_grant")
    assert refreshed.json()["reason"] == "step_up_required"
    assert "re-authorised" in refreshed.json()["hint"]


def test_an_administrator_vouches_for_it(guarded: Any) -> None:
    agent = guarded.agent()
    grant = guarded.root(agent, scope=ALL)
    verified(guarded, grant, "file_write")
    (seen,) = guarded.get(
        "/admin/grants", headers=guarded.as_admin, params={"client_id": agent.client_id}
    ).json()["grants"]
    assert seen["status"] == "held"
    path = f"/admin/grants/{seen['grant_id']}/reauthorize"
    assert guarded.post(path, auth=agent).status_code == 401
    answer = guarded.post(path, headers=guarded.as_admin)
    assert (answer.status_code, answer.json()) == (
        200,
        {"grant_id": seen["grant_id"], "status": "reauthorized"},
    )
    assert verified(guarded, grant, "file_read")["is_valid"]
    again = guarded.post(path, headers=guarded.as_admin)
    assert (again.status_code, again.json()["reason"]) == (400, "not_held")
    unknown = guarded.post("/admin/grants/x/reauthorize", headers=guarded.as_admin)
    assert unknown.status_code == 400


def settled(ask: Any) -> Any:
    """Ask until something is found: what is asked for is carried out twice a second."""
    for _ in range(200):
        if found := ask():
            return found
        time.sleep(0.05)
    return None


def test_what_is_to_be_done_beyond_a_refusal_is_done_at_the_next_tick(guarded: Any) -> None:
    agent = guarded.agent()
    grant = guarded.root(agent, scope=ALL)
    verified(guarded, grant, "db_query")
    (row,) = settled(lambda: guarded.audit(event_type="agent_disabled", client_id=agent.client_id))
    assert (row["reason"], row["details"]["by"]) == ("risk", "risk")
    assert guarded.ask(agent, grant_type="client_credentials").json()["reason"] == "agent_inactive"


def test_a_watcher_is_told_and_what_it_asks_for_is_done(guarded: Any) -> None:
    grant = guarded.root(guarded.agent())
    # From its first tick on; what was there before is told and not acted upon.
    assert settled(lambda: not guarded.is_active(grant["access_token"]))
    (row,) = guarded.audit(event_type="token_revoked", limit=1)
    assert row["details"]["risk"] == {"action": "revoke_tree", "score": 4.0, "reasons": []}


def test_without_a_matcher_nothing_of_it_is_told(site: Any) -> None:
    told = verified(site, site.root(site.agent()), "file_read")
    assert told["historical_pattern_match"] is None
    assert not {"execution_pattern", "risk_assessment", "risk_reasons"} & told.keys()
