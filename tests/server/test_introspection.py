"""Introspection: what a token is, with its task history; of an inactive one, only that it is inactive."""

from dataclasses import asdict
from typing import Any

import pytest

from agentsim.server import ExecutionReceipt, Introspect, Introspection, RecordExecution, Verify
from agentsim.server.clock import SECOND
from agentsim.server.schema import IssuedToken


def introspect(world: Any, token: str, **asked: Any) -> Introspection:
    return world.ask(Introspect(token=token, **asked), Introspection)


def test_the_documents_introspection(world: Any) -> None:
    agent, helper = world.agent(), world.agent()
    root = world.root(agent, "Code Review", principal="alice")
    child = world.child(helper, root, "Review PR")
    world.verify(child, required_tools=["file_read"], required_resources=["github"])
    world.ask(RecordExecution(token=child.access_token, tool="file_read"), ExecutionReceipt)
    answer = introspect(world, child.access_token, include_task_history=True)
    assert answer.active is True
    assert (answer.scope, answer.client_id, answer.sub) == ("file_read:github", helper.client_id, "alice")
    assert (answer.exp, answer.iat) == (child.expires_at // SECOND, world.clock.now() // SECOND)
    assert (answer.jti, answer.task_id) == (str(child.grant_id), "Review PR")
    history = answer.task_history
    assert (history["current_task"], history["parent_tasks"]) == ("Review PR", ["Code Review"])
    assert history["task_chain"] == [
        {"task_id": "Code Review", "status": "active"},
        {"task_id": "Review PR", "status": "active"},
    ]
    logs = history["execution_logs"]
    assert [log["event_type"] for log in logs] == ["task_execution", "token_verified", "child_token_issued"]
    assert logs[0]["details"] == {"tool": "file_read", "outcome": "success"}
    assert history["execution_patterns"]["executions"] == 1
    assert (history["execution_pattern"], history["risk_assessment"]) == (None, None)


def test_history_is_told_where_it_is_wanted(world: Any) -> None:
    assert introspect(world, world.root(world.agent()).access_token).task_history is None


def test_a_matcher_gives_pattern_and_risk(world: Any, matcher: Any) -> None:
    world.reopen(matcher=matcher)
    for role, told in (("reviewer", ("normal", "low")), ("other", ("unusual", "high"))):
        grant = world.root(world.agent(role=role))
        history = introspect(world, grant.access_token, include_task_history=True).task_history
        assert (history["execution_pattern"], history["risk_assessment"]) == told


@pytest.mark.parametrize("how", ["expired", "revoked", "garbage"])
def test_an_inactive_token_says_nothing_but_that(world: Any, how: str) -> None:
    """RFC 7662 section 2.2."""
    grant = world.root(world.agent())
    token = grant.access_token
    if how == "expired":
        world.clock.set(grant.expires_at)
    elif how == "revoked":
        world.revoke(grant)
    else:
        token = "garbage"
    answer = introspect(world, token, include_task_history=True, caller="console")
    assert asdict(answer) == asdict(Introspection(log_id=answer.log_id, active=False))
    row = world.audit()[-1]
    expected = how if how in ("expired", "revoked") else "token_malformed"
    assert (row["event_type"], row["status"], row["reason"]) == ("token_introspected", "refused", expected)


def test_the_newest_ten_logs_across_batches(world: Any) -> None:
    grant = world.root(world.agent())
    for number in range(8):
        world.verify(grant, caller=f"first {number}")
    asked = Introspect(token=grant.access_token, include_task_history=True)
    batch = [Verify(token=grant.access_token, caller=f"second {number}") for number in range(5)]
    *_, answer = world.server.execute([*batch, asked])
    callers = [log["details"]["caller"] for log in answer.task_history["execution_logs"]]
    assert callers == [f"second {n}" for n in (4, 3, 2, 1, 0)] + [f"first {n}" for n in (7, 6, 5, 4, 3)]


def test_a_refresh_token_tells_what_it_stands_for(world: Any) -> None:
    agent = world.agent()
    grant = world.root(agent, "job", principal="ana", resource=["https://resources.agentsim.example"])
    narrowed = world.refresh(agent, grant)
    answer = introspect(world, narrowed.refresh_token, include_task_history=True)
    (row, *_) = world.rows(IssuedToken, token_id=grant.grant_id)
    assert (answer.active, answer.token_type, answer.client_id) == (True, "refresh_token", agent.client_id)
    assert (answer.scope, answer.sub, answer.task_id) == ("file_read:github", "ana", "job")
    assert answer.exp == row["grant_expires_at"] // SECOND
    # It is no access token: nobody may take it for one.
    assert (answer.allowed_tools, answer.jti, answer.act, answer.task_history) == (None,) * 4
    assert world.why_not(narrowed.refresh_token) == "token_malformed"
    audited = world.audit(event_type="token_introspected")[-1]
    assert (audited["status"], audited["grant_id"]) == ("granted", grant.grant_id)


@pytest.mark.parametrize("how", ["refresh_reused", "revoked", "expired", "token_malformed"])
def test_a_refresh_token_that_leads_to_nothing_says_nothing_but_that(world: Any, how: str) -> None:
    agent = world.agent()
    grant = world.root(agent)
    token = grant.refresh_token
    if how == "refresh_reused":
        world.refresh(agent, grant)
    elif how == "revoked":
        world.revoke(client_id=agent.client_id)
    elif how == "expired":
        world.clock.advance(world.policy.grant_ttl_us)
    else:
        token = f"rt_{grant.grant_id}_guessed"
    answer = introspect(world, token)
    assert asdict(answer) == asdict(Introspection(log_id=answer.log_id, active=False))
    assert world.audit()[-1]["reason"] == how
