"""The audit trail: one row per decision, each linked to the one before, and no secret in it or anywhere."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from agentsim.server import (
    Activation,
    Admin,
    Client,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
    RecordExecution,
    Refresh,
    Register,
    Revoke,
    Verify,
)
from agentsim.server.answers import NewSecret
from agentsim.server.audit import ABOUT, COLUMNS, GENESIS, Entry, Head, Trail, row_digest
from agentsim.server.ids import IdGenerator
from agentsim.server.operations.agents import Disable, ReadAgent, RotateSecret, UpdateAgent
from agentsim.server.parties import ClientAssertion, RegistrationAccess


def decisions(world: Any, agent: Client) -> list[tuple[Any, str, str | None]]:
    """Operations, the event of each, and the reason of those that are refused."""
    root = world.root(agent, "root")
    child = world.child(agent, root, "child")
    stranger, pending = Client("agent_1", "x"), world.register()
    below = {"by": agent, "parent_token": root.access_token, "task_id": "below"}
    return [
        (
            Register(by=world.admin, agent_name="a", allowed_tools=["t"], resource_access=["r"]),
            "agent_registered",
            None,
        ),
        (
            Register(by=Admin(""), agent_name="a", allowed_tools=[], resource_access=[]),
            "agent_registered",
            "invalid_client_metadata",
        ),
        (Confirm(registration_token=pending.registration_token), "agent_confirmed", None),
        (
            Confirm(registration_token=pending.registration_token),
            "agent_confirmed",
            "registration_token_invalid",
        ),
        (Issue(by=agent, task_id="new", scope="file_read:github"), "token_issued", None),
        (Issue(by=stranger, task_id="new", scope="file_read:github"), "token_issued", "invalid_client"),
        (Issue(by=agent, task_id="new", scope="s3:x"), "token_issued", "scope_exceeds_registration"),
        (IssueChild(scope="file_read:github", **below), "child_token_issued", None),
        (IssueChild(scope="db_query:jira", **below), "child_token_issued", "scope_exceeds_parent"),
        (Verify(token=child.access_token), "token_verified", None),
        (Verify(token="x"), "token_verified", "token_malformed"),
        (Verify(token=child.access_token, required_tools=["db_query"]), "token_verified", "tool_not_granted"),
        (RecordExecution(token=child.access_token, tool="file_read"), "task_execution", None),
        (RecordExecution(token="x", tool="file_read"), "task_execution", "token_malformed"),
        (Introspect(token=child.access_token), "token_introspected", None),
        (Introspect(token="x"), "token_introspected", "token_malformed"),
        (Refresh(by=agent, refresh_token=child.refresh_token), "token_refreshed", None),
        (Refresh(by=agent, refresh_token="x"), "token_refreshed", "refresh_invalid"),
        (Refresh(by=agent, refresh_token=child.refresh_token), "token_refreshed", "refresh_reused"),
        (Revoke(by=agent, token=root.access_token), "token_revoked", "unspecified"),
        (Revoke(by=agent, task_id="root"), "token_revoked", "not_entitled"),
        (Revoke(by=world.admin, token="x"), "token_revoked", "token_malformed"),
    ]


@pytest.mark.parametrize("together", [True, False])
def test_every_decision_has_exactly_one_row(world: Any, together: bool) -> None:
    agent = world.agent()
    asked = decisions(world, agent)
    before = len(world.audit())
    if together:
        answers = world.server.execute([operation for operation, _, _ in asked])
    else:
        answers = [world.server.execute([operation])[0] for operation, _, _ in asked]
    rows = world.audit()[before:]
    assert [row["log_id"] for row in rows] == [answer.log_id for answer in answers]
    assert [(row["event_type"], row["reason"]) for row in rows] == [
        (event, reason) for _, event, reason in asked
    ]
    granted = [row["status"] == "granted" for row in rows]
    assert granted == [reason in (None, "unspecified") for _, _, reason in asked]
    assert world.check_chain() == before + len(asked)


def test_a_refused_delegation_names_the_parent_and_what_was_too_much(world: Any) -> None:
    agent = world.agent()
    root = world.root(agent, "root")
    asked = IssueChild(
        by=agent,
        parent_token=root.access_token,
        task_id="below",
        scope="file_read:github db_query:jira",
        required_tools=["db_query"],
        scope_level="minimal",
    )
    refused = world.refusal(asked)
    row = world.audit()[-1]
    assert (row["grant_id"], row["root_grant_id"], row["token_id"]) == (root.grant_id,) * 3
    assert (row["task_id"], row["parent_task_id"], row["log_id"]) == ("below", "root", refused.log_id)
    assert json.loads(row["details"]) == {
        "scope": "file_read:github db_query:jira",
        "tools": ["db_query"],
        "resources": None,
        "level": "minimal",
        "by_parent": True,
        "excess": ["db_query:jira"],
    }


def test_a_replay_lists_the_mark_that_it_made_and_only_once(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent)
    world.refresh(agent, grant)
    use = Refresh(by=agent, refresh_token=grant.refresh_token)
    assert [world.refusal(use).reason for _ in range(2)] == ["refresh_reused", "refresh_revoked"]
    revoked = world.revoke(grant)
    reused, _ = world.audit(event_type="token_refreshed")[1:]
    details = json.loads(reused["details"])
    assert details == {"revocation_id": revoked.revocation_id, "marks": [revoked.revocation_id]}
    assert json.loads(world.audit(event_type="token_revoked")[0]["details"])["marks"] == []


def test_the_chain_goes_on_after_reopening(world: Any) -> None:
    agent = world.agent()
    before = world.check_chain()
    world.reopen()
    world.root(agent)
    assert world.check_chain() == before + 1


def test_a_refused_operation_costs_nobody_a_link(world: Any) -> None:
    for _ in range(3):
        world.refusal(Issue(by=Client("agent_1", "x"), task_id="t"))
    assert world.check_chain() == 3


@pytest.mark.parametrize("column", COLUMNS)
def test_no_column_can_be_changed_unnoticed(world: Any, column: str) -> None:
    world.why_not("garbage", source_ip="192.0.2.1")
    (row,) = world.audit()
    assert row["row_hash"] == row_digest(GENESIS, row)
    value = row[column]
    changed = {int: 5, str: "x", bytes: b"x", type(None): 7}[type(value)]
    assert row_digest(GENESIS, row | {column: changed}) != row["row_hash"]
    assert row_digest(b"\1" * 32, row) != row["row_hash"]


@pytest.mark.parametrize(
    "tamper",
    [
        "UPDATE task_audit_log SET status = 'granted' WHERE status = 'refused'",
        "DELETE FROM task_audit_log WHERE status = 'refused'",
        "UPDATE task_audit_log SET details = '{}' WHERE event_type = 'token_issued'",
        "DELETE FROM task_audit_log WHERE log_id = (SELECT max(log_id) FROM task_audit_log)",
    ],
)
def test_a_tampered_table_is_noticed(tmp_path: Any, make_world: Callable[..., Any], tamper: str) -> None:
    world = type(make_world())(tmp_path / "tampered.sqlite")
    world.root(world.agent())
    world.why_not("garbage")
    world.root(world.agent())
    world.check_chain()
    with world.server.store.transaction() as connection:
        connection.execute(text(tamper))
    with pytest.raises(AssertionError):
        world.check_chain()
    world.server.close()


def test_the_digest_is_what_the_page_says(world: Any) -> None:
    """Computed a second time with the standard library alone."""
    world.agent(agent_name="Prüfer")
    previous = GENESIS
    for row in world.audit():
        values = [value.hex() if isinstance(value := row[name], bytes) else value for name in COLUMNS]
        written = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
        previous = hashlib.sha256(previous + written).digest()
        assert row["row_hash"] == previous


def test_nothing_secret_is_in_the_database(world: Any, tmp_path: Path) -> None:
    """Every secret that was ever told or tried is looked for in the bytes of the files."""
    agent = world.agent()
    told = [agent.client_secret]
    registration = world.register()
    told += [registration.client_secret, registration.registration_token]
    told.append(registration.registration_access_token)
    rotate = RotateSecret(by=world.admin, client_id=registration.client_id)
    told.append(world.ask(rotate, NewSecret).client_secret)
    grants = [*world.chain(agent, depth=3)]
    grants.append(world.refresh(agent, grants[2]))
    for grant in grants:
        told += [grant.access_token, grant.refresh_token]
        world.verify(grant, include_history=True)
        world.ask(Introspect(token=grant.access_token, include_task_history=True), object)
    tried = [
        "a wrong but telling secret",
        "reg_1_tried",
        "rt_1_tried",
        "eyJ0cmllZA.tried.tried",
        "rat_1_tried",
        "e30.assertion.tried",
    ]
    world.server.execute(
        [
            Issue(by=Client(agent.client_id, tried[0]), task_id="t"),
            Confirm(registration_token=tried[1]),
            Confirm(registration_token=registration.registration_token),
            Confirm(registration_token=registration.registration_token),
            Refresh(by=agent, refresh_token=tried[2]),
            Refresh(by=agent, refresh_token=grants[2].refresh_token),
            Verify(token=tried[3]),
            Introspect(token=tried[3]),
            RecordExecution(token=tried[3], tool="file_read"),
            IssueChild(by=agent, parent_token=tried[3], task_id="t"),
            Revoke(by=world.admin, token=tried[3]),
            Revoke(by=agent, token=grants[0].refresh_token),
            ReadAgent(by=RegistrationAccess(tried[4]), client_id=agent.client_id),
            UpdateAgent(
                by=RegistrationAccess(registration.registration_access_token),
                client_id=registration.client_id,
                description="new",
            ),
            Issue(by=ClientAssertion(agent.client_id, tried[5]), task_id="t"),
            Verify(token=grants[1].access_token, by=Client(agent.client_id, tried[0])),
            Disable(by=RegistrationAccess(tried[4]), client_id=agent.client_id),
        ]
    )
    world.fill()
    # The part of a keyed token that matters is its secret, not the row number before it.
    secrets = [
        *told,
        *tried,
        *(token.split("_", 2)[-1] for token in told if token.startswith(("rt_", "reg_", "rat_"))),
    ]
    # Of a token, its signature is the secret part.
    secrets += [token.rsplit(".", 1)[1] for token in told if token.count(".") == 2]
    found = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"agent_registered" in found, "the right files are looked at"
    for secret in secrets:
        assert secret.encode() not in found
    assert [row["details"] for row in world.audit() if "secret" in row["details"]] == []


def test_an_activation_says_no_secret(world: Any) -> None:
    registration = world.register()
    activation = world.ask(Confirm(registration_token=registration.registration_token), Activation)
    assert registration.client_secret not in repr(activation)


def test_rows_that_are_added_together_are_those_that_are_added_one_by_one() -> None:
    tokens = [(7, 70 + n, 70, None if n == 0 else 60, 50, f"t{n}", None if n == 0 else "t") for n in range(3)]
    same = {"event_type": "token_ended", "timestamp": 1_790_000_000_000_000, "reason": "theft"}
    details = {"revocation_id": 9}
    one, all_at_once = (Trail(Head(3, 5, b"\7" * 32, 11), IdGenerator(3, last=5)) for _ in range(2))
    for token in tokens:
        one.append(Entry(**same, details=details, **dict(zip(ABOUT, token, strict=True))))
    all_at_once.extend(Entry(**same, details=details), tokens)
    assert all_at_once.rows == one.rows
    newest = all_at_once.of_grant(70)[0]
    assert [*newest] == [*COLUMNS, "row_hash"]
    assert (newest["task_id"], newest["row_hash"]) == ("t2", one.head.row_hash)
    assert all_at_once.head == one.head
    assert one.head.length == 14
    all_at_once.extend(Entry(**same), [])
    assert all_at_once.head == one.head
