"""Agents after registration: who may read, change, disable and enable them, and what each of that does."""

import json
from dataclasses import replace
from typing import Any

import pytest

from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Issue,
    IssueChild,
    OAuthError,
    Refresh,
    Register,
    Registration,
    TokenGrant,
)
from agentsim.server.answers import AgentProfile, AgentRecord, NewSecret
from agentsim.server.operations.agents import Disable, Enable, ReadAgent, RotateSecret, UpdateAgent
from agentsim.server.parties import RegistrationAccess
from agentsim.server.schema import Agent, RevocationMark

EVERYWHERE = Admin("root", everywhere=True)
GLOBEX = Admin("globex")
TOOLS = ("file_read", "file_write", "db_query")
RESOURCES = ("github", "jira")


def registered(world: Any, **terms: Any) -> tuple[Registration, Client, RegistrationAccess]:
    """A confirmed agent: its registration, its credentials, and what it manages itself with."""
    registration = world.register(**terms)
    world.server.execute([Confirm(registration_token=registration.registration_token)])
    client = Client(registration.client_id, registration.client_secret)
    return registration, client, RegistrationAccess(registration.registration_access_token)


def read(world: Any, client_id: str, by: Any = None) -> AgentProfile:
    record: AgentRecord = world.ask(ReadAgent(by=by or world.admin, client_id=client_id), AgentRecord)
    return record.profile


def operations(client_id: str, by: Any) -> list[Any]:
    """All that can be asked of an agent's registration."""
    return [
        ReadAgent(by=by, client_id=client_id),
        UpdateAgent(by=by, client_id=client_id, description="mine"),
        RotateSecret(by=by, client_id=client_id),
        Disable(by=by, client_id=client_id),
    ]


def test_an_agent_reads_what_its_administrator_registered(world: Any) -> None:
    registration, client, access = registered(world, role="reviewer", scope="email.read")
    assert read(world, client.client_id, access) == read(world, client.client_id)
    profile = read(world, client.client_id)
    assert (profile.status, profile.owner, profile.role) == ("active", "acme", "reviewer")
    assert profile.scope == "email.read"
    assert profile.allowed_scopes == registration.allowed_scopes
    assert "email.read" in profile.allowed_scopes
    assert not hasattr(profile, "client_secret")


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("who", ["nobody", "another agent", "a forger", "a stranger", "a misread name"])
def test_others_may_not_manage_an_agent(world: Any, who: str, place: int) -> None:
    mine, client, _ = registered(world)
    theirs, _, another = registered(world)
    number = mine.client_id.removeprefix("agent_")
    by = {
        "nobody": RegistrationAccess(""),
        "another agent": another,
        "a forger": RegistrationAccess(f"rat_{number}_{theirs.registration_access_token.split('_', 2)[2]}"),
        "a stranger": RegistrationAccess(f"rat_{number}_{client.client_secret}"),
        "a misread name": RegistrationAccess(mine.registration_access_token),
    }[who]
    asked = f"agent_0{number}" if who == "a misread name" else mine.client_id
    before = world.rows(Agent)
    assert world.refusal(operations(asked, by)[place]).reason == "registration_access_invalid"
    assert world.rows(Agent) == before
    assert world.rows(RevocationMark) == []


@pytest.mark.parametrize("place", range(5))
def test_another_organisations_administrator_may_not_manage_an_agent(world: Any, place: int) -> None:
    mine, _, _ = registered(world)
    before = world.rows(Agent)
    asked = [*operations(mine.client_id, GLOBEX), Enable(by=GLOBEX, client_id=mine.client_id)][place]
    refused = world.refusal(asked)
    unknown = world.refusal(operations("agent_1", GLOBEX)[0])
    assert (refused.reason, refused.description) == ("not_entitled", unknown.description)
    assert world.rows(Agent) == before
    assert read(world, mine.client_id, EVERYWHERE).owner == "acme"


def test_an_update_changes_what_it_names_and_nothing_else(world: Any) -> None:
    mine, client, _ = registered(
        world, description="old", scope="email.read", redirect_uris=["https://a.b/c"]
    )
    before = read(world, mine.client_id)
    world.clock.advance(5)
    changes = {
        "agent_name": "renamed",
        "allowed_tools": ["web"],
        "resource_access": ["docs"],
        "max_scope_level": "admin",
        "scope": "",
        "grant_types": ["client_credentials"],
        "redirect_uris": ["http://127.0.0.1:80/x"],
    }
    after = world.ask(UpdateAgent(by=world.admin, client_id=mine.client_id, **changes), AgentRecord).profile
    assert read(world, mine.client_id) == after
    told = {name: getattr(after, name) for name in changes}
    assert told == changes
    assert (after.description, after.created_at) == ("old", before.created_at)
    assert after.updated_at == before.updated_at + 5
    details = json.loads(world.audit(event_type="agent_updated")[0]["details"])
    columns = {
        "allowed_tools": "registered_allowed_tools",
        "resource_access": "registered_allowed_res",
        "scope": "registered_scope",
    }
    changed = sorted(columns.get(name, name) for name in changes)
    assert details == {"by": "acme", "changed": changed, "tools": ["web"]}
    assert world.root(client, scope="web:docs").level == "admin"


@pytest.mark.parametrize(
    "more",
    [
        {"allowed_tools": ["file_read", "shell"]},
        {"resource_access": ["github", "githubbing"]},
        {"scope": "email.read email.send"},
        {"scope": "file_read:github"},
        {"max_scope_level": "elevated"},
        {"grant_types": ["client_credentials", "refresh_token"]},
    ],
)
def test_an_agent_may_not_give_itself_more(world: Any, more: dict[str, Any]) -> None:
    mine, _, access = registered(
        world, scope="email.read", max_scope_level="standard", grant_types=["client_credentials"]
    )
    asked = {"agent_name": "stronger", **more}
    refused = world.refusal(UpdateAgent(by=access, client_id=mine.client_id, **asked))
    assert (refused.error, refused.reason) == ("invalid_client_metadata", "more_than_registered")
    assert read(world, mine.client_id) == replace(mine.profile, status="active")
    world.ask(UpdateAgent(by=world.admin, client_id=mine.client_id, **asked), AgentRecord)


def test_what_an_agent_gave_up_it_cannot_take_back(world: Any) -> None:
    mine, client, access = registered(world, max_scope_level="standard")
    less = {"allowed_tools": ["file_read"], "resource_access": ["github/docs"], "max_scope_level": "minimal"}
    world.ask(UpdateAgent(by=access, client_id=mine.client_id, **less), AgentRecord)
    back = {"allowed_tools": ["file_read", "db_query"], "resource_access": ["github"]}
    for name, value in (back | {"max_scope_level": "standard"}).items():
        asked = UpdateAgent(by=access, client_id=mine.client_id, **{name: value})
        assert world.refusal(asked).reason == "more_than_registered"
    refused = world.refusal(Issue(by=client, scope="file_read:github"))
    assert refused.reason == "scope_exceeds_registration"
    assert world.root(client, scope="file_read:github/docs/a").level == "minimal"


def test_a_level_that_the_policy_gave_up_is_below_all_others(make_world: Any) -> None:
    world = make_world(levels=("low", "middle", "high"))
    mine, _, access = registered(world, max_scope_level="high")
    world.policy = world.policy.model_copy(update={"levels": ("low", "middle")})
    world.reopen()
    asked = UpdateAgent(by=access, client_id=mine.client_id, max_scope_level="low")
    assert world.refusal(asked).reason == "more_than_registered"


@pytest.mark.parametrize(
    "terms",
    [
        {"agent_name": ""},
        {"max_scope_level": "godlike"},
        {"grant_types": ["password"]},
        {"jwks": "{}"},
        {"allowed_tools": [f"t{n}" for n in range(200)], "resource_access": [f"r{n}" for n in range(200)]},
        {"allowed_tools": ["a:b"]},
        {"redirect_uris": ["http://example.org/"]},
        {"description": "two\nlines"},
    ],
)
def test_an_update_that_makes_no_sense_changes_nothing(world: Any, terms: dict[str, Any]) -> None:
    mine, _, _ = registered(world)
    before = world.rows(Agent)
    assert isinstance(
        world.refusal(UpdateAgent(by=world.admin, client_id=mine.client_id, **terms)), OAuthError
    )
    assert world.rows(Agent) == before


def test_an_update_cannot_choose_a_secret(world: Any) -> None:
    mine, client, access = registered(world)
    asked = UpdateAgent(
        by=access, client_id=mine.client_id, description="mine", client_secret="my own choice"
    )
    refused = world.refusal(asked)
    assert (refused.error, refused.reason) == ("invalid_client_metadata", "another_secret")
    assert read(world, mine.client_id).description != "mine"
    world.ask(replace(asked, client_secret=client.client_secret), AgentRecord)
    assert read(world, mine.client_id).description == "mine"


def test_too_many_products_are_found_though_one_half_is_registered(world: Any) -> None:
    mine, _, _ = registered(world, allowed_tools=[f"t{n}" for n in range(200)], resource_access=["r"])
    asked = UpdateAgent(
        by=world.admin, client_id=mine.client_id, resource_access=[f"r{n}" for n in range(200)]
    )
    assert world.refusal(asked).reason == "malformed_scope"


def test_an_update_within_a_batch_is_seen_by_what_follows(world: Any) -> None:
    mine, client, _ = registered(world)
    narrower = UpdateAgent(by=world.admin, client_id=mine.client_id, allowed_tools=["db_query"])
    ask = Issue(by=client, scope="file_read:github")
    before, _, after = world.server.execute([ask, narrower, ask])
    assert isinstance(before, TokenGrant)
    assert after.reason == "scope_exceeds_registration"


def test_a_whole_life_in_one_batch(new_world: Any) -> None:
    """The same seed and clock make the same registration, so a twin tells what the batch will be answered."""
    twin, world = new_world(), new_world()
    known = twin.register()
    access = RegistrationAccess(known.registration_access_token)
    register = Register(by=world.admin, agent_name="an agent", allowed_tools=TOOLS, resource_access=RESOURCES)
    answers = world.server.execute(
        [
            register,
            UpdateAgent(by=access, client_id=known.client_id, description="new"),
            Confirm(registration_token=known.registration_token),
            Issue(by=Client(known.client_id, known.client_secret), scope="file_read:github"),
            Disable(by=access, client_id=known.client_id),
        ]
    )
    assert not any(isinstance(answer, OAuthError) for answer in answers)
    profile = read(world, known.client_id)
    assert (profile.description, profile.status) == ("new", "disabled")
    assert world.why_not(answers[3]) == "revoked"
    twin.server.close()
    world.server.close()


def test_a_new_secret_ends_the_old_one_at_once(world: Any) -> None:
    mine, client, access = registered(world)
    ask = Issue(by=client, scope="file_read:github")
    first, rotated, refused = world.server.execute(
        [ask, RotateSecret(by=access, client_id=mine.client_id), ask]
    )
    assert isinstance(first, TokenGrant)
    assert isinstance(rotated, NewSecret)
    assert refused.reason == "invalid_client"
    again = Client(mine.client_id, rotated.client_secret)
    assert world.why_not(world.root(again)) is None
    # What was issued goes on: the agent is the same.
    assert world.why_not(first) is None
    assert world.refresh(again, first).grant_id == first.grant_id
    world.reopen()
    assert world.refusal(ask).reason == "invalid_client"


def test_an_agent_with_a_key_has_no_secret_to_rotate(world: Any, public_jwks: str) -> None:
    mine, _, access = registered(world, token_endpoint_auth_method="private_key_jwt", jwks=public_jwks)
    assert mine.client_secret is None
    assert world.refusal(RotateSecret(by=access, client_id=mine.client_id)).reason == "no_secret"


@pytest.mark.parametrize("by_itself", [True, False])
def test_disabling_ends_what_was_issued_and_all_below(world: Any, by_itself: bool) -> None:
    mine, client, access = registered(world)
    other = world.agent()
    above, beside = world.root(other), world.root(other, "beside")
    own = world.child(client, above, "own")
    below = world.child(other, own, "below")
    newer = world.refresh(client, own)
    by = access if by_itself else world.admin
    record = world.ask(Disable(by=by, client_id=mine.client_id, reason="stolen laptop"), AgentRecord)
    assert record.profile.status == "disabled"
    assert [world.why_not(grant) for grant in (own, newer, below)] == ["revoked"] * 3
    assert [world.why_not(grant) for grant in (above, beside)] == [None, None]
    assert world.refusal(Refresh(by=other, refresh_token=below.refresh_token)).reason == "refresh_revoked"
    assert world.refusal(Issue(by=client, scope="file_read:github")).reason == "agent_inactive"
    assert world.refusal(Confirm(registration_token=mine.registration_token)).error == "invalid_grant"
    (mark,) = world.rows(RevocationMark)
    by_whom = "registration_access_token" if by_itself else "acme"
    assert (mark["kind"], mark["owner"], mark["reason"], mark["revoked_by"]) == (
        "client",
        "acme",
        "stolen laptop",
        by_whom,
    )
    (row,) = world.audit(event_type="agent_disabled")
    assert json.loads(row["details"]) == {
        "by": by_whom,
        "revocation_id": mark["revocation_id"],
        "marks": [mark["revocation_id"]],
    }
    (closed,) = world.fill()
    assert (closed.affected_grants, closed.affected_tokens) == (2, 3)


@pytest.mark.parametrize("place", range(4))
def test_a_disabled_agent_does_not_manage_itself(world: Any, place: int) -> None:
    mine, _, access = registered(world)
    world.ask(Disable(by=access, client_id=mine.client_id), AgentRecord)
    before = world.rows(Agent)
    assert world.refusal(operations(mine.client_id, access)[place]).reason == "registration_access_invalid"
    assert world.rows(Agent) == before
    assert read(world, mine.client_id).status == "disabled"


def test_an_enabled_agent_acts_again_and_what_was_ended_stays_ended(world: Any) -> None:
    mine, client, _ = registered(world)
    old = world.root(client)
    world.ask(Disable(by=world.admin, client_id=mine.client_id), AgentRecord)
    record = world.ask(Enable(by=world.admin, client_id=mine.client_id), AgentRecord)
    assert record.profile.status == "active"
    new = world.root(client)
    assert (world.why_not(old), world.why_not(new)) == ("revoked", None)
    assert world.refusal(Enable(by=world.admin, client_id=mine.client_id)).reason == "not_disabled"
    world.ask(Disable(by=world.admin, client_id=mine.client_id), AgentRecord)
    assert world.why_not(new) == "revoked"


def test_disabling_between_issues_in_one_batch(world: Any) -> None:
    mine, client, _ = registered(world)
    other = world.agent()
    above = world.root(other)
    root = Issue(by=client, task_id="own", scope="file_read:github")
    child = IssueChild(by=client, parent_token=above.access_token, scope="file_read:github")
    off = Disable(by=world.admin, client_id=mine.client_id)
    on = Enable(by=world.admin, client_id=mine.client_id)
    answers = world.server.execute([root, child, off, root, child, on, root, child, off, on, root])
    born = [answer for answer in answers if isinstance(answer, TokenGrant)]
    assert [getattr(answer, "reason", None) for answer in answers[3:5]] == ["agent_inactive"] * 2
    assert [world.why_not(grant) for grant in born] == ["revoked"] * 4 + [None]


def test_disabling_twice_keeps_the_first_moment(world: Any) -> None:
    mine, _, _ = registered(world)
    for _ in range(2):
        world.ask(Disable(by=world.admin, client_id=mine.client_id), AgentRecord)
        world.clock.advance(7)
    (row,) = world.rows(Agent)
    assert row["disabled_at"] == world.clock.now() - 14


def test_an_agent_that_was_never_confirmed_is_pending_again_when_enabled(world: Any) -> None:
    mine = world.register()
    confirm = Confirm(registration_token=mine.registration_token)
    world.ask(Disable(by=world.admin, client_id=mine.client_id), AgentRecord)
    assert world.refusal(confirm).reason == "registration_token_invalid"
    record = world.ask(Enable(by=world.admin, client_id=mine.client_id), AgentRecord)
    assert record.profile.status == "pending"
    client = Client(mine.client_id, mine.client_secret)
    assert world.refusal(Issue(by=client, scope="file_read:github")).reason == "agent_inactive"
    world.ask(confirm, object)
    assert world.why_not(world.root(client)) is None


def test_an_administrator_of_all_owners_manages_any_agent(world: Any) -> None:
    mine, client, _ = registered(world)
    grant = world.root(client)
    world.ask(Disable(by=EVERYWHERE, client_id=mine.client_id), AgentRecord)
    assert world.why_not(grant) == "revoked"
    (mark,) = world.rows(RevocationMark)
    assert (mark["owner"], mark["revoked_by"]) == ("acme", "root")
