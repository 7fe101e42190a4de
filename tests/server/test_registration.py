"""Registration: credentials are told once, the registration token works once and for a time."""

from collections.abc import Callable
from typing import Any

import pytest

from agentsim.server import Activation, Admin, Client, Confirm, Issue, IssueChild, Refresh, Register, Revoke
from agentsim.server.clock import SECOND
from agentsim.server.credentials import digest
from agentsim.server.schema import Agent, IssuedToken

pytestmark = pytest.mark.on_both


def test_the_documents_registration(world: Any) -> None:
    registration = world.register(
        agent_name="Review Agent",
        description="Reviews pull requests",
        allowed_tools=["file_read", "db_query", "api_call"],
        resource_access=["github", "jira", "s3"],
        max_scope_level="restricted",
        scope="email.read",
    )
    assert registration.client_id.startswith("agent_")
    assert len(registration.client_secret) == 43
    tools, resources = ("file_read", "db_query", "api_call"), ("github", "jira", "s3")
    pairs = {f"{tool}:{resource}" for tool in tools for resource in resources}
    assert set(registration.allowed_scopes) == {*pairs, "email.read"}
    activation = world.ask(Confirm(registration_token=registration.registration_token), Activation)
    assert (activation.client_id, activation.status) == (registration.client_id, "active")
    grant = world.root(
        Client(registration.client_id, registration.client_secret), scope="api_call:s3 email.read"
    )
    assert grant.scope == "api_call:s3 email.read"


def test_an_agent_that_was_never_confirmed_gets_nothing(world: Any) -> None:
    parent = world.agent()
    root = world.root(parent)
    registration = world.register()
    agent = Client(registration.client_id, registration.client_secret)
    for asked in (
        Issue(by=agent, task_id="t", scope="file_read:github"),
        IssueChild(by=agent, parent_token=root.access_token, task_id="t", scope="file_read:github"),
        Refresh(by=agent, refresh_token=root.refresh_token),
        Revoke(by=agent, token=root.access_token),
    ):
        refused = world.refusal(asked)
        assert (refused.error, refused.reason) == ("unauthorized_client", "agent_inactive")
    assert len(world.rows(IssuedToken)) == 1
    assert world.why_not(root) is None


def test_a_registration_token_works_once(world: Any) -> None:
    registration = world.register()
    confirm = Confirm(registration_token=registration.registration_token)
    world.ask(confirm, Activation)
    assert world.refusal(confirm).reason == "registration_token_invalid"
    another = Confirm(registration_token=world.register().registration_token)
    first, second = world.server.execute([another, another])
    assert isinstance(first, Activation)
    assert second.reason == "registration_token_invalid"


def test_a_registration_token_expires(make_world: Callable[..., Any]) -> None:
    world = make_world(registration_ttl_us=60 * SECOND)
    late, in_time = world.register(), world.register()
    assert late.registration_expires_at == world.clock.now() + 60 * SECOND
    world.clock.advance(60 * SECOND - 1)
    world.ask(Confirm(registration_token=in_time.registration_token), Activation)
    world.clock.advance(1)
    refused = world.refusal(Confirm(registration_token=late.registration_token))
    assert (refused.error, refused.reason) == ("invalid_grant", "registration_token_expired")
    assert not world.rows(Agent)[0]["is_active"]


def test_only_hashes_of_credentials_are_kept(world: Any) -> None:
    registration = world.register()
    (row,) = world.rows(Agent)
    assert row["client_secret_hash"] == digest(registration.client_secret)
    assert row["registration_token"] == digest(registration.registration_token)
    world.ask(Confirm(registration_token=registration.registration_token), Activation)
    assert world.rows(Agent)[0]["registration_token"] is None


@pytest.mark.parametrize("token", ["", "reg_", "reg_1_x", "reg_99999999999999999999_x", "rt_1_x", "reg_-1_x"])
def test_an_unknown_registration_token_is_refused(world: Any, token: str) -> None:
    assert world.refusal(Confirm(registration_token=token)).reason == "registration_token_invalid"


def test_a_registration_token_of_one_agent_does_not_confirm_another(world: Any) -> None:
    mine, yours = world.register(), world.register()
    number = yours.client_id.removeprefix("agent_")
    secret = mine.registration_token.split("_", 2)[2]
    assert (
        world.refusal(Confirm(registration_token=f"reg_{number}_{secret}")).reason
        == "registration_token_invalid"
    )


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"agent_name": ""}, "invalid_client_metadata"),
        ({"max_scope_level": "godlike"}, "invalid_client_metadata"),
        ({"actor_class": "alien"}, "invalid_client_metadata"),
        ({"allowed_tools": ["file_read", "a:b"]}, "malformed_scope"),
        ({"resource_access": ["github/../x"]}, "malformed_scope"),
        ({"scope": "a  b"}, "malformed_scope"),
        (
            {
                "allowed_tools": [f"t{n}" for n in range(101)],
                "resource_access": [f"r{n}" for n in range(100)],
            },
            "malformed_scope",
        ),
    ],
)
def test_a_profile_that_makes_no_sense_is_refused(world: Any, terms: dict[str, Any], reason: str) -> None:
    profile = {"agent_name": "a", "allowed_tools": ["file_read"], "resource_access": ["github"]} | terms
    assert world.refusal(Register(by=world.admin, **profile)).reason == reason
    assert world.rows(Agent) == []


@pytest.mark.parametrize("name", ["agent_1", "agent_0", "agent_9223372036854775807"])
def test_no_person_and_no_organisation_is_named_like_an_agent(world: Any, name: str) -> None:
    """RFC 9700 section 4.15: whoever reads ``sub`` must be able to tell people and agents apart."""
    asked = Register(by=Admin(name), agent_name="a", allowed_tools=[], resource_access=[])
    assert world.refusal(asked).reason == "invalid_request"
    agent = world.agent()
    assert (
        world.refusal(Issue(by=agent, task_id="t", scope="file_read:github", principal=name)).reason
        == "invalid_request"
    )


def test_an_agent_without_tools_can_have_atoms_only(world: Any) -> None:
    agent = world.agent(allowed_tools=[], resource_access=[], scope="email.read")
    assert world.root(agent, scope="email.read").scope == "email.read"
    refused = world.refusal(Issue(by=agent, task_id="t", scope="email.send"))
    assert (refused.reason, refused.asked) == ("scope_exceeds_registration", ["email.send"])


@pytest.mark.parametrize(
    "client_id", ["", "agent_", "agent_0", "agent_1", "agent_x", "agent_٣", "1", "agent_-1", "agent_1e3"]
)
def test_unknown_clients_and_wrong_secrets_look_the_same(world: Any, client_id: str) -> None:
    known = world.agent()
    refusals = {
        str(world.refusal(Issue(by=by, task_id="t", scope="file_read:github")))
        for by in (
            Client(client_id, known.client_secret),
            Client(known.client_id, "wrong"),
            Client(known.client_id, ""),
        )
    }
    assert len(refusals) == 1
    assert "invalid_client" in refusals.pop()


def test_a_secret_does_not_open_another_agents_door(world: Any) -> None:
    mine, yours = world.agent(), world.agent()
    crossed = Client(mine.client_id, yours.client_secret)
    assert world.refusal(Issue(by=crossed, task_id="t", scope="file_read:github")).reason == "invalid_client"
