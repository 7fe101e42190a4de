"""Malformed operations: each is a refusal of its own and costs nobody else an answer."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from agentsim.server import (
    Admin,
    Client,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
    Operation,
    Policy,
    RecordExecution,
    Refresh,
    Register,
    Revoke,
    TokenGrant,
    Verify,
)
from agentsim.server.admission import find_fault
from agentsim.server.errors import InvalidRequest
from agentsim.server.ids import END_OF_TIME
from agentsim.server.operations.agents import Disable, Enable, ReadAgent, RotateSecret, UpdateAgent
from agentsim.server.operations.ends import Grounds, Hold, Reauthorize
from agentsim.server.operations.notes import NoteKeyRotation, NoteRefusal
from agentsim.server.parties import RegistrationAccess

LONE_SURROGATE = "\ud800"


def well_formed(agent: Client, grant: TokenGrant) -> list[Operation]:
    """One of each operation, each with every field filled in."""
    token = grant.access_token
    return [
        Register(
            by=Admin("acme"), agent_name="a", allowed_tools=["t"], resource_access=["r"], source_ip="::1"
        ),
        Confirm(registration_token="reg_1_x", source_ip="::1"),
        Issue(
            by=agent,
            task_id="t",
            scope="file_read:github",
            required_tools=["file_read"],
            required_resources=["github"],
            scope_level="minimal",
            principal="alice",
            source_ip="::1",
        ),
        IssueChild(
            by=agent,
            parent_token=token,
            task_id="c",
            parent_task_id="t",
            scope="file_read:github",
            required_tools=["file_read"],
            required_resources=["github"],
            scope_level="minimal",
            source_ip="::1",
        ),
        Refresh(by=agent, refresh_token="rt_1_x", scope="file_read:github", source_ip="::1"),
        Verify(
            token=token,
            scope="file_read:github",
            task_id="t",
            parent_task_id="p",
            task_description="words",
            required_tools=["file_read"],
            required_resources=["github"],
            caller="tool server",
            source_ip="::1",
            include_history=True,
        ),
        Introspect(token=token, include_task_history=True, caller="admin console", source_ip="::1"),
        Revoke(by=agent, token="unknown", reason="test", source_ip="::1"),
        Revoke(by=Admin("acme"), owner="acme", client_id="agent_1", reason="test", affected_task_chain=["x"]),
        ReadAgent(by=RegistrationAccess("rat_1_x"), client_id="agent_1", source_ip="::1"),
        UpdateAgent(
            by=Admin("acme"),
            client_id="agent_1",
            agent_name="a",
            description="words",
            allowed_tools=["t"],
            resource_access=["r"],
            max_scope_level="standard",
            scope="mail.read",
            grant_types=["refresh_token"],
            redirect_uris=["https://a.example/"],
            jwks="{}",
            source_ip="::1",
        ),
        RotateSecret(by=RegistrationAccess("rat_1_x"), client_id="agent_1", source_ip="::1"),
        Disable(by=Admin("acme"), client_id="agent_1", reason="test", source_ip="::1"),
        Enable(by=Admin("acme"), client_id="agent_1", source_ip="::1"),
        Hold(by=Admin("acme"), grant_id=1, grounds=Grounds("step_up", 2.0, ["odd"]), source_ip="::1"),
        Reauthorize(by=Admin("acme"), grant_id=1, source_ip="::1"),
        Revoke(by=Admin("acme"), grant_id=1, grounds=Grounds("revoke_task", 2.0, ["odd"]), source_ip="::1"),
        NoteRefusal(endpoint="/token", reason="no_credentials", count=3, source_ip="::1"),
        NoteKeyRotation(by=Admin("acme"), kid="k", alg="EdDSA", source_ip="::1"),
        RecordExecution(
            token=token,
            tool="file_read",
            resource="github",
            duration_us=1,
            args_digest="0f",
            n_args=1,
            source_ip="::1",
        ),
    ]


def odd_values(value: Any) -> Iterator[Any]:
    """What no field of this kind can hold."""
    yield from (LONE_SURROGATE, object(), b"bytes", {"a": 1}, 1.5, 1 << 80, -1)
    if not isinstance(value, list | tuple):
        yield from ([LONE_SURROGATE], ["x"])
    if not isinstance(value, str):
        yield "text"
    else:
        yield from (True, 5)
    if isinstance(value, list | tuple):
        yield from ([5], [None], [["x"]], [b"x"], {"set"}, iter(["x"]))


def test_whatever_a_field_holds_the_batch_is_answered(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent)
    good = Verify(token=grant.access_token)
    before = len(world.audit())
    tried: list[Operation] = []
    for operation in well_formed(agent, grant):
        assert find_fault(operation) is None
        for field in fields(operation):
            value = getattr(operation, field.name)
            if value is not None:
                tried += [replace(operation, **{field.name: odd}) for odd in odd_values(value)]
    answers = world.server.execute([good, *tried, good])
    assert [answers[0].is_valid, answers[-1].is_valid] == [True, True]
    for operation, answer in zip(tried, answers[1:-1], strict=True):
        assert isinstance(answer, InvalidRequest), f"{operation} was answered by {answer}"
        assert answer.reason == "invalid_request"
    assert len(world.audit()) == before + len(answers)


@pytest.mark.parametrize(
    "value", [Client(5, "x"), Client("agent_1", None), Client("agent_1", LONE_SURROGATE), None]
)
def test_credentials_of_the_wrong_form_are_refused(world: Any, value: Any) -> None:
    assert world.refusal(Issue(by=value, task_id="t")).reason == "invalid_request"
    assert world.refusal(Revoke(by=value, token="x")).reason == "invalid_request"


@pytest.mark.parametrize("owner", ["", LONE_SURROGATE, None, 5, "a\nb"])
def test_an_administrators_organisation_must_have_a_name(world: Any, owner: Any) -> None:
    asked = Register(by=Admin(owner), agent_name="a", allowed_tools=[], resource_access=[])
    assert world.refusal(asked).reason == ("invalid_client_metadata" if owner == "" else "invalid_request")


@pytest.mark.parametrize("text", ["a\0b", "a\nb", "\x1b[31m", "\u202eevil", "x" * 1025])
def test_control_characters_and_endless_texts_are_refused(world: Any, text: str) -> None:
    agent = world.agent()
    grant = world.root(agent)
    for asked in (
        Register(by=world.admin, agent_name=text, allowed_tools=[], resource_access=[]),
        Register(by=world.admin, agent_name="a", description=text, allowed_tools=[], resource_access=[]),
        Register(by=world.admin, agent_name="a", role=text, allowed_tools=[], resource_access=[]),
        Issue(by=agent, task_id=text, scope="file_read:github"),
        Issue(by=agent, task_id="t", task_description=text, scope="file_read:github"),
        Issue(by=agent, task_id="t", principal=text, scope="file_read:github"),
        IssueChild(by=agent, parent_token=grant.access_token, task_id=text, scope="file_read:github"),
        Revoke(by=world.admin, token=grant.access_token, reason=text),
        Revoke(by=world.admin, token=grant.access_token, affected_task_chain=[text]),
        Revoke(by=world.admin, task_id=text),
        RecordExecution(token=grant.access_token, tool=text),
    ):
        assert world.refusal(asked).reason == "invalid_request"
    assert world.why_not(grant) is None


def test_other_scripts_are_welcome(world: Any) -> None:
    agent = world.agent(agent_name="Prüfer 検査 🤖")
    grant = world.root(agent, "課題", task_description="Überprüfe den Quelltext")
    assert world.why_not(grant, task_id="課題", caller="Werkzeug-Dienst ✓") is None


def test_a_very_long_caller_is_cut_in_the_audit_row(world: Any) -> None:
    grant = world.root(world.agent())
    assert world.why_not(grant, caller="é" * 100_000) is None
    assert len(world.audit()[-1]["details"]) < 2_000


@pytest.mark.parametrize("thing", ["verify", None, 5, Admin("acme")])
def test_what_is_no_operation_is_the_programmers_mistake(world: Any, thing: Any) -> None:
    before = world.audit()
    with pytest.raises(TypeError, match="not an operation"):
        world.server.execute([thing])
    assert world.audit() == before


def test_each_operation_needs_its_moment(world: Any) -> None:
    grant = world.root(world.agent())
    before = world.audit()
    for moments in ([], [1, 2]):
        with pytest.raises(ValueError, match="zip"):
            world.server.execute([Verify(token=grant.access_token)], at=moments)
    assert world.audit() == before


def test_an_empty_batch_leaves_nothing(world: Any) -> None:
    assert world.server.execute([]) == []
    assert world.audit() == []


def test_a_clock_gone_mad_costs_its_own_batch_only(world: Any) -> None:
    agent = world.agent()
    ask = Issue(by=agent, task_id="t", scope="file_read:github")
    before = world.audit()
    for now in (END_OF_TIME, 1 << 62, 1 << 80):
        with pytest.raises(ValueError, match="ids end"):
            world.server.execute([ask], at=[now])
    assert world.audit() == before
    assert isinstance(world.ask(ask, TokenGrant), TokenGrant)
    assert isinstance(world.server.execute([ask], at=[END_OF_TIME - 1])[0], TokenGrant)


def test_times_before_the_epoch_are_times(world: Any) -> None:
    agent = world.agent()
    (grant,) = world.server.execute([Issue(by=agent, task_id="t", scope="file_read:github")], at=[-5_500_000])
    (used,) = world.server.execute([Verify(token=grant.access_token)], at=[-5_000_000])
    assert used.is_valid
    assert world.why_not(grant) == "expired"


@pytest.mark.parametrize("lifetime", ["access_ttl_us", "grant_ttl_us", "registration_ttl_us"])
@pytest.mark.parametrize("value", [0, -1, 999_999, 1 << 63])
def test_a_policy_has_lifetimes_that_can_be_kept(lifetime: str, value: int) -> None:
    with pytest.raises(ValueError, match=lifetime):
        Policy(**{lifetime: value})
