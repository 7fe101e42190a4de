"""Introspection (RFC 7662) with the document's task history."""

from typing import Any

import orjson

from agentsim.server.answers import Introspection
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, about_grant
from agentsim.server.claims import Claims
from agentsim.server.clock import SECOND
from agentsim.server.credentials import client_name, digest
from agentsim.server.errors import InvalidToken
from agentsim.server.operations import Introspect


def introspect(batch: Batch, request: Introspect, entry: Entry) -> Introspection:
    """Say what an access token is; of one that is not active, only that."""
    entry.details = {"caller": None if request.caller is None else request.caller[:256]}
    try:
        claims: Claims = batch.codec.decode(request.token)
    except InvalidToken as error:
        entry.access_token_hash = digest(request.token)
        entry.status, entry.reason = "refused", error.reason
        return Introspection(log_id=0, active=False)
    about_grant(entry, claims)
    ended = batch.ended_by(claims.lineage, claims.owner, claims.principal) is not None
    if ended or entry.timestamp >= claims.expires_at:
        entry.status, entry.reason = "refused", "revoked" if ended else "expired"
        return Introspection(log_id=0, active=False)
    return Introspection(
        log_id=0,
        active=True,
        scope=claims.scope,
        client_id=client_name(claims.client_id),
        sub=claims.principal,
        exp=claims.expires_at // SECOND,
        iat=claims.issued_at // SECOND,
        jti=str(claims.token_id),
        task_id=claims.task_id,
        task_history=_task_history(batch, claims) if request.include_task_history else None,
    )


def _task_history(batch: Batch, claims: Claims) -> dict[str, Any]:
    """Task chain, execution logs and, where a matcher is at work, its judgement."""
    state = batch.grant_state(claims.grant_id)
    history = {
        "current_task": claims.task_id,
        "parent_tasks": list(claims.tasks[:-1]),
        "task_chain": [
            {"task_id": task, "status": batch.task_status(key)}
            for task, (_, _, key) in zip(claims.tasks, claims.lineage, strict=True)
        ],
        "execution_logs": [
            {
                "log_id": row["log_id"],
                "event_type": row["event_type"],
                "timestamp": row["timestamp"],
                "status": row["status"],
                "reason": row["reason"],
                "details": orjson.loads(row["details"]),
            }
            for row in batch.logs(claims.grant_id)
        ],
        "execution_patterns": state.patterns(),
        "execution_pattern": None,
        "risk_assessment": None,
    }
    if batch.matcher is not None:
        assessment = batch.matcher.assess(batch.loaded.agents[claims.client_id]["role"], state, None)
        history["execution_pattern"] = assessment.execution_pattern
        history["risk_assessment"] = assessment.risk_assessment
    return history
