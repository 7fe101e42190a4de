"""Doors: whoever has no business at an endpoint is refused there, learns nothing, and leaves a trace.

The stories go over ``ENDPOINTS``, so that an endpoint that is new has to pass them, too.
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from agentsim.server.http.endpoints import ENDPOINTS, Access, Endpoint
from agentsim.server.metadata import TOKEN_EXCHANGE

GUARDED = [each for each in ENDPOINTS if each.access not in (Access.PUBLIC, Access.CARRIED)]
CARRIED = [each for each in ENDPOINTS if each.access is Access.CARRIED]
PROFILE = {"client_name": "x", "allowed_tools": ["file_read"], "resource_access": ["github"]}
GRANT = {"grant_type": "client_credentials", "scope": "file_read:github"}
#: All that the body of a refusal may hold.
TOLD = {"error", "error_description", "reason", "hint"}

Caller = dict[str, Any]


class Scene(NamedTuple):
    """A victim with a token, and everybody who may come to the door, by name."""

    victim: Any
    token: str
    grant_id: str
    callers: dict[str, Caller]


def bearer(token: str) -> Caller:
    return {"headers": {"Authorization": f"Bearer {token}"}}


@pytest.fixture(scope="module")
def scene(site: Any) -> Scene:
    victim, other, child, disabled = (site.agent() for _ in range(4))
    pending = site.register()
    victim_s = site.root(victim, task_id="victim's")
    grant_id = site.get("/admin/grants", headers=site.as_admin, params={"task_id": "victim's"}).json()
    disabled_s = site.root(disabled)
    site.post(f"/admin/agents/{disabled.client_id}/disable", headers=site.as_admin, json={})
    callers: dict[str, Caller] = {
        "nobody": {},
        "a wrong secret": {"auth": victim._replace(client_secret="wrong")},
        "a wrong bearer token": bearer("wrong"),
        "another agent's token": bearer(site.root(other)["access_token"]),
        "the victim's own token": bearer(victim_s["access_token"]),
        "a child's token": bearer(site.child(child, victim_s)["access_token"]),
        "a refresh token": bearer(victim_s["refresh_token"]),
        "another agent's registration access token": bearer(pending["registration_access_token"]),
        "an agent that is pending": {"auth": (pending["client_id"], pending["client_secret"])},
        "an agent that is disabled": {"auth": disabled},
        "a token of an agent that is disabled": bearer(disabled_s["access_token"]),
    }
    return Scene(victim, victim_s["access_token"], grant_id["grants"][0]["grant_id"], callers)


def knock(site: Any, scene: Scene, endpoint: Endpoint, caller: Caller) -> Any:
    """A request that would be granted to whoever may ask."""
    path = endpoint.path.format(client_id=scene.victim.client_id, grant_id=scene.grant_id)
    bodies: dict[str, Any] = {
        "token": GRANT,
        "verify": {"token": scene.token},
        "introspect": {"token": scene.token, "include_task_history": "true"},
        "revoke": {"token": scene.token},
        "register": PROFILE,
        "update_agent": {"client_id": scene.victim.client_id, "client_name": "stolen"},
        "revoke_by_name": {"token": scene.token},
    }
    body = bodies.get(endpoint.name, {})
    options: dict[str, Any] = {}
    if endpoint.body is not None:
        options = {"data": body} if endpoint.is_form else {"json": body}
    return site.http.request(endpoint.method, path, **options, **caller)


def refusals(site: Any) -> int:
    """How many refusals the audit trail holds; those at the door are written as counts."""
    rows = site.audit(status="refused", limit=1000)
    assert len(rows) < 1000
    return sum(row["details"]["count"] if row["event_type"] == "request_refused" else 1 for row in rows)


def settled(count: Callable[[], int], wanted: int) -> int:
    """A count, once it has become what is wanted or has had time enough."""
    for _ in range(60):
        if count() >= wanted:
            break
        time.sleep(0.05)
    return count()


@pytest.mark.parametrize("endpoint", GUARDED, ids=lambda endpoint: endpoint.name)
def test_a_door_stays_shut_and_each_refusal_is_written_down_once(
    site: Any, scene: Scene, endpoint: Endpoint
) -> None:
    before = refusals(site)
    for name, caller in scene.callers.items():
        answer = knock(site, scene, endpoint, caller)
        assert answer.status_code in (400, 401, 403), f"{name}: {answer.status_code} {answer.text}"
        assert answer.json().keys() <= TOLD, f"{name}: {answer.text}"
        assert ("www-authenticate" in answer.headers) == (answer.status_code in (401, 403)), name
        assert answer.headers["cache-control"] == "no-store"
    assert settled(lambda: refusals(site), before + len(scene.callers)) == before + len(scene.callers)
    # And nowhere has the door of one endpoint been taken for that of another.
    assert site.refusals_at_the_door(endpoint.name, "no_credentials") > 0
    assert site.is_active(scene.token)
    victim = site.get(f"/register/{scene.victim.client_id}", headers=site.as_admin).json()
    assert (victim["status"], victim["client_name"]) == ("active", "an agent")


def test_what_the_body_carries_is_held_against_the_same_rules(site: Any, scene: Scene) -> None:
    assert {each.name for each in CARRIED} == {"token_batch", "confirm"}
    before = refusals(site)
    confirmed = site.post(
        "/register/confirm", json={"registration_token": "reg_1_guessed"}, **scene.callers["nobody"]
    )
    assert (confirmed.status_code, confirmed.json().keys() <= TOLD) == (400, True)
    pending = site.register()
    wrong = [
        {},
        {"client_id": scene.victim.client_id, "client_secret": "wrong"},
        {"client_id": scene.victim.client_id},
        {"client_id": pending["client_id"], "client_secret": pending["client_secret"]},
        {"client_id": scene.victim.client_id, "client_secret": scene.token},
        {"client_assertion": scene.token, "client_assertion_type": "x"},
    ]
    batch = {"owner": "admin", "requests": [{**GRANT, **each} for each in wrong]}
    # A header authenticates nobody here: each request is on its own.
    answer = site.post("/token/batch", json=batch, auth=scene.victim)
    assert answer.status_code == 200
    for each in answer.json()["responses"]:
        assert each["error"] in ("invalid_client", "unauthorized_client")
        assert each.keys() <= TOLD
    assert settled(lambda: refusals(site), before + 1 + len(wrong)) == before + 1 + len(wrong)


def test_a_batch_is_one_owner_s(site: Any) -> None:
    stranger = site.agent(owner="elsewhere")
    item = {**GRANT, "client_id": stranger.client_id, "client_secret": stranger.client_secret}
    for owner, error in (("admin", "invalid_client"), ("elsewhere", None)):
        (answer,) = site.post("/token/batch", json={"owner": owner, "requests": [item]}).json()["responses"]
        assert answer.get("error") == error


def test_another_owner_s_agent_learns_nothing_of_a_token_and_cannot_end_it(site: Any, scene: Scene) -> None:
    stranger = site.agent(owner="elsewhere")
    told = site.post(
        "/introspect", auth=stranger, data={"token": scene.token, "include_task_history": "true"}
    )
    assert told.json() == {"active": False}
    in_body = {"client_id": stranger.client_id, "client_secret": stranger.client_secret}
    verified = site.post("/verify", json={"token": scene.token, "task_id": "victim's", **in_body}).json()
    assert (verified["is_valid"], verified["error"]) == (False, "access_denied")
    assert not any(
        verified[name] for name in ("scope", "task_context_valid", "previous_tasks", "execution_patterns")
    )
    ended = site.post("/revoke", auth=stranger, data={"token": scene.token})
    assert (ended.status_code, ended.json()["error"], ended.json().keys() <= TOLD) == (
        400,
        "access_denied",
        True,
    )
    child = {"grant_type": TOKEN_EXCHANGE, "subject_token": scene.token, "scope": "file_read:github"}
    kind = {"subject_token_type": "urn:ietf:params:oauth:token-type:access_token"}
    assert site.ask(stranger, **child, **kind).status_code == 400
    assert site.is_active(scene.token)


def test_a_batch_of_verifications_wants_credentials_as_one_does(site: Any, scene: Scene) -> None:
    before = refusals(site)
    for caller in (scene.callers["a wrong secret"], scene.callers["an agent that is pending"]):
        answer = site.post("/verify", json={"requests": [{"token": scene.token}] * 3}, **caller)
        assert answer.status_code in (400, 401)
        assert answer.json().keys() <= TOLD
    # Each of the six was decided, and each decision is in the trail.
    assert settled(lambda: refusals(site), before + 6) == before + 6


def test_each_endpoint_says_who_may_ask_and_is_described(site: Any) -> None:
    described = site.get("/openapi.json").json()
    schemes = described["components"]["securitySchemes"].keys()
    found = {
        (method.upper(), path): operation
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    }
    assert found.keys() == {(each.method, each.path) for each in ENDPOINTS}
    for each in ENDPOINTS:
        operation = found[each.method, each.path]
        assert operation["operationId"] == each.name
        assert operation["summary"]
        assert each.access.value in operation["description"]
        assert {name for way in operation["security"] for name in way} <= schemes
        assert bool(operation["security"]) == (each.access not in (Access.PUBLIC, Access.CARRIED))
        assert ("requestBody" in operation) == (each.body is not None)


def test_what_is_public_is_what_a_client_needs_before_it_is_one(site: Any) -> None:
    assert {each.name for each in ENDPOINTS if each.access is Access.PUBLIC} == {
        *("jwks", "health", "metrics", "marks", "status_list")
    }
    metadata = f"{site.origin}/.well-known/oauth-authorization-server"
    for path in ("/jwks", "/healthz", "/metrics", "/marks", "/statuslists/0", "/openapi.json", metadata):
        assert site.http.get(path).status_code == 200
