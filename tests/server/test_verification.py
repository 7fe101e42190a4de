"""Verification: each reason to say no, what is told with it, and what is remembered of it."""

import json
from typing import Any

import pytest

from agentsim.server import ExecutionReceipt, GrantState, RecordExecution
from agentsim.server.clock import SECOND
from agentsim.server.history import MOST_TOOLS, OTHERS
from agentsim.server.schema import GrantStateRow


def test_the_documents_verification(world: Any) -> None:
    agent = world.agent()
    world.root(agent, "Earlier Task")
    grant = world.root(agent, "Review PR", scope="file_read:github")
    answer = world.verify(
        grant,
        scope="file_read:github",
        task_id="Review PR",
        task_description="Review PR",
        required_tools=["file_read"],
        include_history=True,
    )
    assert answer.is_valid is True
    assert answer.scope == "file_read:github"
    assert answer.task_context_valid is True
    assert answer.historical_pattern_match is None
    assert answer.previous_tasks == ["Earlier Task"]
    assert answer.execution_patterns["verifications"] == 0
    assert answer.error is None
    again = world.verify(grant, include_history=True)
    assert again.execution_patterns["verifications"] == 1
    assert again.execution_patterns["tools"] == {"file_read": 1}


@pytest.mark.parametrize(
    ("asked", "reason", "code", "status"),
    [
        ({}, None, None, None),
        ({"scope": "file_read:github/docs"}, None, None, None),
        ({"required_tools": ["file_read"], "required_resources": ["github/x"]}, None, None, None),
        ({"task_id": "child task", "parent_task_id": "parent task"}, None, None, None),
        ({"task_id": "another"}, "task_mismatch", "invalid_token", 401),
        ({"task_id": ""}, "task_mismatch", "invalid_token", 401),
        ({"parent_task_id": "another"}, "parent_task_mismatch", "invalid_token", 401),
        ({"required_tools": ["db_query"]}, "tool_not_granted", "insufficient_scope", 403),
        ({"required_tools": ["file_read", "db_query"]}, "tool_not_granted", "insufficient_scope", 403),
        ({"required_resources": ["s3"]}, "resource_not_granted", "insufficient_scope", 403),
        ({"required_resources": ["github-evil"]}, "resource_not_granted", "insufficient_scope", 403),
        ({"scope": "file_read:github-evil"}, "insufficient_scope", "insufficient_scope", 403),
        ({"scope": "file_read:github email.read"}, "insufficient_scope", "insufficient_scope", 403),
        # Each is granted, but not the one for the other.
        (
            {"required_tools": ["file_write"], "required_resources": ["github"]},
            "insufficient_scope",
            "insufficient_scope",
            403,
        ),
        ({"scope": "file_read:github/../x"}, "malformed_scope", "invalid_scope", 400),
        ({"required_tools": ["file_read:github"]}, "malformed_scope", "invalid_scope", 400),
        ({"required_resources": ["github/../jira"]}, "malformed_scope", "invalid_scope", 400),
        ({"required_tools": ["file_read"] * 1_001}, "malformed_scope", "invalid_scope", 400),
    ],
)
def test_each_reason(
    world: Any, asked: dict[str, Any], reason: str | None, code: str | None, status: int | None
) -> None:
    agent = world.agent()
    terms = {"scope": "file_read:github file_write:jira", "required_resources": ["github", "jira"]}
    grant = world.child(agent, world.root(agent, "parent task", **terms), "child task", **terms)
    answer = world.verify(grant, caller="tool server", source_ip="192.0.2.1", **asked)
    assert answer.is_valid is (reason is None)
    row = world.audit()[-1]
    assert (row["event_type"], row["log_id"]) == ("token_verified", answer.log_id)
    assert (row["status"], row["reason"]) == ("granted" if reason is None else "refused", reason)
    assert (row["grant_id"], row["root_grant_id"], row["client_id"]) == (
        grant.grant_id,
        grant.root_grant_id,
        int(agent.client_id.removeprefix("agent_")),
    )
    assert (row["task_id"], row["source_ip"]) == ("child task", "192.0.2.1")
    details = json.loads(row["details"])
    assert details["caller"] == "tool server"
    assert details["tools"] == asked.get("required_tools", [])[:50]
    assert details.get("task_id") == (asked.get("task_id") if reason == "task_mismatch" else None)
    if reason is not None:
        assert (answer.error.reason, answer.error.error, answer.error.status) == (reason, code, status)
        assert answer.scope == grant.scope
        assert answer.task_context_valid is (not reason.endswith("task_mismatch"))


def test_a_token_dies_at_its_very_microsecond(world: Any) -> None:
    grant = world.root(world.agent())
    world.clock.set(grant.expires_at - 1)
    assert world.why_not(grant) is None
    world.clock.set(grant.expires_at)
    assert world.why_not(grant) == "expired"


def test_expiry_is_a_whole_second_and_never_late(world: Any) -> None:
    agent = world.agent()
    world.clock.advance(999_999)
    grant = world.root(agent)
    assert grant.expires_at % SECOND == 0
    assert grant.expires_at == world.clock.now() - 999_999 + 300 * SECOND
    assert grant.expires_in == 299


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_of_a_dead_token_nothing_is_told(world: Any, how: str) -> None:
    agent = world.agent()
    world.root(agent, "Earlier Task")
    grant = world.root(agent)
    if how == "expired":
        world.clock.set(grant.expires_at)
    else:
        world.revoke(grant)
    answer = world.verify(grant, include_history=True, required_tools=["db_query"])
    assert answer.error.reason == how
    assert (answer.scope, answer.task_context_valid, answer.previous_tasks, answer.execution_patterns) == (
        "",
        False,
        [],
        {},
    )


def test_revoked_is_told_before_expired(world: Any) -> None:
    grant = world.root(world.agent())
    world.revoke(grant)
    world.clock.set(grant.expires_at)
    assert world.why_not(grant) == "revoked"


def test_previous_tasks_are_the_newest_ten_of_the_same_agent(world: Any) -> None:
    agent, other = world.agent(), world.agent()
    oldest = world.root(agent, "task 0")
    for number in range(1, 13):
        world.clock.advance(1)
        grant = world.root(agent, f"task {number}")
        world.root(other, "not mine")
    world.refresh(agent, grant)
    expected = [f"task {number}" for number in range(12, 2, -1)]
    assert world.verify(oldest, include_history=True).previous_tasks == expected
    assert world.verify(grant, include_history=True).previous_tasks == [f"task {n}" for n in range(11, 1, -1)]


def test_the_state_of_a_grant_counts_and_stays_small(world: Any) -> None:
    names = [f"tool_{number}" for number in range(MOST_TOOLS + 10)]
    agent = world.agent(allowed_tools=[*names, "file_read"])
    grant = world.root(agent, scope=" ".join(f"{name}:github" for name in [*names, "file_read"]))
    world.clock.advance(1 * SECOND)
    first = world.clock.now()
    for name in names:
        assert world.verify(grant, required_tools=[name], required_resources=["github"]).is_valid
    world.clock.advance(2 * SECOND)
    assert world.why_not(grant, required_tools=["x" * 100_000]) == "malformed_scope"
    assert world.why_not(grant, required_tools=[f"{n}" for n in range(500)]) == "tool_not_granted"
    world.ask(RecordExecution(token=grant.access_token, tool="file_read"), ExecutionReceipt)
    world.child(agent, grant)
    world.refresh(agent, grant)
    row = world.rows(GrantStateRow)[0]
    state = GrantState.from_json(row["state"])
    assert (state.verifications, state.refusals) == (MOST_TOOLS + 12, 2)
    assert (state.executions, state.children, state.refreshes) == (1, 1, 1)
    assert (state.first_at, state.last_at) == (first, first + 2 * SECOND)
    assert len(state.tools) == MOST_TOOLS + 1
    assert (state.tools[OTHERS], state.refused) == (10, {"malformed_scope": 1, "tool_not_granted": 1})
    assert len(row["state"]) < 2_000


def test_an_execution_is_kept_with_its_sizes(world: Any) -> None:
    grant = world.root(world.agent())
    execution = RecordExecution(
        token=grant.access_token,
        tool="file_read",
        resource="github/docs",
        outcome="error",
        duration_us=1_500,
        args_digest="0f0f",
        n_args=2,
        arg_chars=10,
        result_chars=2**40,
    )
    receipt = world.ask(execution, ExecutionReceipt)
    row = world.audit()[-1]
    assert (row["log_id"], row["event_type"], row["status"]) == (receipt.log_id, "task_execution", "granted")
    assert json.loads(row["details"]) == {
        "tool": "file_read",
        "resource": "github/docs",
        "outcome": "error",
        "duration_us": 1_500,
        "args_digest": "0f0f",
        "n_args": 2,
        "arg_chars": 10,
        "result_chars": 2**40,
    }


def test_what_happened_is_recorded_even_of_a_dead_token(world: Any) -> None:
    grant = world.root(world.agent())
    world.revoke(grant)
    assert world.ask(RecordExecution(token=grant.access_token, tool="file_read"), ExecutionReceipt).log_id


@pytest.mark.parametrize(("token", "reason"), [("x", "token_malformed"), (None, "bad_signature")])
def test_an_execution_needs_a_token_of_ours(world: Any, token: str | None, reason: str) -> None:
    good = world.root(world.agent()).access_token
    presented = token or good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
    assert world.refusal(RecordExecution(token=presented, tool="file_read")).reason in (
        reason,
        "token_malformed",
    )


def test_an_outcome_is_success_or_error(world: Any) -> None:
    grant = world.root(world.agent())
    refused = world.refusal(RecordExecution(token=grant.access_token, tool="file_read", outcome="maybe"))
    assert (refused.reason, refused.allowed) == ("invalid_request", ["success", "error"])


def test_a_matcher_judges_role_and_state(world: Any, matcher: Any) -> None:
    world.reopen(matcher=matcher)
    reviewer, other = world.root(world.agent(role="reviewer")), world.root(world.agent(role="other"))
    assert world.verify(reviewer).historical_pattern_match is True
    assert world.verify(reviewer).historical_pattern_match is False
    assert world.verify(other).historical_pattern_match is False
    # The matcher advises; whether a token is valid is not its to say.
    assert world.verify(other).is_valid
    world.revoke(other)
    assert world.verify(other).historical_pattern_match is None
