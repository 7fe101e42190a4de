"""What administrators see: agents, grants and their use, trees, the audit trail; by pages, and nothing secret."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from agentsim.server import Admin, Confirm, Introspect
from agentsim.server.answers import AgentRecord
from agentsim.server.clock import SECOND
from agentsim.server.errors import InvalidRequest
from agentsim.server.operations.agents import Disable
from agentsim.server.overview import MOST_ROWS, Overview, as_ids, parse_id

GLOBEX = Admin("globex")


def overview(world: Any) -> Overview:
    return Overview(world.server.store, world.clock)


def pages(look: Callable[..., dict[str, Any]], name: str, cursor: str, **asked: Any) -> list[list[Any]]:
    """All pages of a view, by following ``next``."""
    found, place = [], None
    for _ in range(100):
        page = look(**asked, **({} if place is None else {cursor: int(place)}))
        found.append(page[name])
        place = page["next"]
        if place is None:
            return found
    raise AssertionError("the pages do not end")


def flat(found: list[list[Any]], name: str) -> list[Any]:
    return [view[name] for page in found for view in page]


@pytest.mark.on_both
def test_agents_by_page_owner_and_status(world: Any) -> None:
    active = [world.agent(agent_name=f"a{n}") for n in range(5)]
    pending = world.register(agent_name="pending")
    theirs = world.agent(GLOBEX, agent_name="theirs")
    off = active.pop()
    world.ask(Disable(by=world.admin, client_id=off.client_id), AgentRecord)
    look = overview(world).agents
    found = pages(look, "agents", "after", limit=2)
    assert [len(page) for page in found] == [2, 2, 2, 1]
    names = [client.client_id for client in (*active, off)] + [pending.client_id, theirs.client_id]
    assert flat(found, "client_id") == names
    by_status = {
        status: flat([look(status=status)["agents"]], "client_id")
        for status in ("active", "pending", "disabled")
    }
    assert by_status == {
        "active": [*(client.client_id for client in active), theirs.client_id],
        "pending": [pending.client_id],
        "disabled": [off.client_id],
    }
    assert flat([look(owner="globex", status="active")["agents"]], "agent_name") == ["theirs"]
    assert look(owner="globex' OR 1=1 --") == {"agents": [], "next": None}


def test_views_hold_no_secret(world: Any, public_jwks: str) -> None:
    registration = world.register()
    agent = world.agent()
    world.agent(token_endpoint_auth_method="private_key_jwt", jwks=public_jwks)
    grant = world.root(agent)
    look = overview(world)
    told = repr([look.agents(), look.grants(), look.tree(grant.grant_id), look.audit()])
    assert agent.client_id in told
    for secret in (
        registration.registration_token,
        registration.registration_access_token,
        agent.client_secret,
        grant.access_token,
        grant.refresh_token,
    ):
        assert secret.rpartition("_")[2] not in told
    assert "hash" not in told


def test_a_grant_tells_who_gave_what_to_whom_and_how_it_is_used(world: Any) -> None:
    lead, helper = world.agent(agent_name="lead"), world.agent(GLOBEX, agent_name="helper")
    root = world.root(lead, "release", principal="ana", may_act=helper.client_id)
    child = world.child(helper, root, "review", task_description="look at it")
    world.clock.advance(2 * SECOND)
    world.verify(child, required_tools=["file_read"], required_resources=["github"])
    world.verify(child, required_tools=["shell"])
    world.refresh(helper, child)
    newest, oldest = overview(world).grants()["grants"]
    assert newest == {
        "grant_id": str(child.grant_id),
        "parent_grant_id": str(root.grant_id),
        "root_grant_id": str(root.grant_id),
        "depth": 1,
        "client_id": helper.client_id,
        "agent_name": "helper",
        "owner": "acme",
        "agent_owner": "globex",
        "granted_by": lead.client_id,
        "principal": "ana",
        "task_id": "review",
        "task_description": "look at it",
        "scope": "file_read:github",
        "level": "restricted",
        "audience": ["https://resources.agentsim.example"],
        "budget": None,
        "status": "active",
        "revocation_id": None,
        "issued_at": "2023-11-14T22:13:20.000Z",
        "grant_expires_at": "2023-11-15T22:13:20.000Z",
        "usage": {
            "verifications": 2,
            "refusals": 1,
            "refreshes": 1,
            "children": 0,
            "executions": 0,
            "first_at": "2023-11-14T22:13:22.000Z",
            "last_at": "2023-11-14T22:13:22.000Z",
            "tools": {"file_read": 1},
        },
    }
    assert (oldest["granted_by"], oldest["parent_grant_id"], oldest["usage"]["children"]) == ("ana", None, 1)
    # That the child was taken is all that was asked about it.
    assert (oldest["usage"]["first_at"], oldest["usage"]["tools"]) == ("2023-11-14T22:13:20.000Z", {})


def test_a_grant_that_nobody_used_has_no_usage(world: Any) -> None:
    world.root(world.agent())
    (view,) = overview(world).grants()["grants"]
    assert (view["usage"]["verifications"], view["usage"]["tools"]) == (0, {})
    assert (view["usage"]["first_at"], view["usage"]["last_at"]) == (None, None)


@pytest.mark.on_both
def test_grants_by_page_and_by_what_they_are_for(world: Any) -> None:
    lead, other = world.agent(), world.agent(GLOBEX)
    grants = [world.root(lead, f"t{n}", principal="ana" if n % 2 else None) for n in range(5)]
    grants.append(world.root(other, "t0"))
    world.refresh(lead, grants[0])
    look = overview(world).grants
    found = pages(look, "grants", "before", limit=3)
    # A refresh is no further grant.
    assert flat(found, "grant_id") == [str(grant.grant_id) for grant in reversed(grants)]
    for asked, expected in (
        ({"client_id": other.client_id}, {5}),
        ({"owner": "globex"}, {5}),
        ({"principal": "ana"}, {1, 3}),
        ({"task_id": "t0"}, {0, 5}),
        ({"task_id": "t0", "owner": "acme"}, {0}),
        ({"task_id": "t1", "owner": "globex"}, set()),
    ):
        seen = flat(pages(look, "grants", "before", limit=1, **asked), "grant_id")
        assert sorted(seen) == sorted(str(grants[place].grant_id) for place in expected)


def test_a_grants_status_is_that_of_the_moment(world: Any) -> None:
    agent = world.agent()
    ended, goes_on, below = world.root(agent, "a"), world.root(agent, "b"), None
    below = world.child(agent, ended)
    look = overview(world)
    assert set(flat([look.grants()["grants"]], "status")) == {"active"}
    revoked = world.revoke(ended)
    # Before the fill, and seen by one who has looked before.
    seen = {view["grant_id"]: (view["status"], view["revocation_id"]) for view in look.grants()["grants"]}
    mark = str(revoked.revocation_id)
    assert seen == {
        str(ended.grant_id): ("revoked", mark),
        str(below.grant_id): ("revoked", mark),
        str(goes_on.grant_id): ("active", None),
    }
    world.clock.advance(world.policy.grant_ttl_us)
    statuses = {view["grant_id"]: view["status"] for view in look.grants()["grants"]}
    assert statuses[str(goes_on.grant_id)] == "expired"
    assert statuses[str(ended.grant_id)] == "revoked"


def test_the_whole_tree_from_any_of_its_grants(world: Any) -> None:
    agent = world.agent()
    chain = world.chain(agent, depth=4)
    world.root(agent, "another tree")
    newer = world.refresh(agent, chain[2])
    look = overview(world).tree
    expected = [str(grant.grant_id) for grant in chain]
    for start in (*(grant.grant_id for grant in chain), newer.grant_id):
        found = pages(partial(look, start), "grants", "after", limit=2)
        assert flat(found, "grant_id") == expected
        assert flat(found, "depth") == list(range(5))
    assert look(1) == {"grants": [], "next": None}


@pytest.mark.on_both
def test_the_audit_trail_newest_first(world: Any) -> None:
    agent, other = world.agent(), world.agent()
    grant = world.root(agent, source_ip="192.0.2.1")
    world.why_not(grant, required_tools=["shell"])
    world.ask(Introspect(token=grant.access_token, by=other), object)
    world.refusal(Confirm(registration_token="x"))
    look = overview(world).audit
    everything = flat(pages(look, "audit", "before", limit=3), "log_id")
    assert everything == [str(row["log_id"]) for row in reversed(world.audit())]

    def events(**asked: Any) -> list[str]:
        return flat([look(**asked)["audit"]], "event_type")

    assert events(grant_id=grant.grant_id) == ["token_introspected", "token_verified", "token_issued"]
    assert events(status="refused") == ["agent_confirmed", "token_verified"]
    assert events(client_id=other.client_id) == ["agent_confirmed", "agent_registered"]
    assert events(event_type="token_issued", client_id=agent.client_id) == ["token_issued"]
    (issued,) = look(event_type="token_issued")["audit"]
    assert (issued["source_ip"], issued["client_id"], issued["timestamp"]) == (
        "192.0.2.1",
        agent.client_id,
        "2023-11-14T22:13:20.000Z",
    )
    assert issued["details"]["scope"] == "file_read:github"


@pytest.mark.on_both
@pytest.mark.parametrize(
    ("view", "asked"),
    [
        ("agents", {"limit": 0}),
        ("agents", {"limit": MOST_ROWS + 1}),
        ("agents", {"status": "asleep"}),
        ("agents", {"owner": "a\0b"}),
        ("grants", {"limit": -1}),
        ("grants", {"client_id": "root"}),
        ("grants", {"client_id": "agent_07"}),
        ("grants", {"principal": "a\0b"}),
        ("grants", {"task_id": "\udc80"}),
        ("audit", {"limit": 1 << 70}),
        ("audit", {"client_id": ""}),
        ("audit", {"event_type": "\0"}),
    ],
)
def test_what_cannot_be_looked_for_is_refused_in_words(world: Any, view: str, asked: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        getattr(overview(world), view)(**asked)
    assert refused.value.reason == "invalid_request"


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", " 1", "\u0661", str(1 << 63), "9" * 5_000])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_id(text, "before")


def test_ids_among_a_querys_parameters() -> None:
    assert as_ids({"before": "007", "owner": "acme"}, ("before", "limit")) == {"before": 7}
    assert parse_id(str((1 << 63) - 1), "before") == (1 << 63) - 1
