"""Introspection (RFC 7662) with the document's task history for those whom it concerns."""

from typing import Any

import orjson

from agentsim.server import scopes
from agentsim.server.answers import Introspection
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row, about_grant
from agentsim.server.budgets import left_of
from agentsim.server.callers import check_concerned, identify, is_in_lineage
from agentsim.server.claims import Claims, actor_chain
from agentsim.server.clock import SECOND
from agentsim.server.credentials import client_name, digest, matches, parse_keyed_token
from agentsim.server.errors import AccessDenied, InvalidToken
from agentsim.server.holds import STEP_UP_REQUIRED, assess, told_reasons
from agentsim.server.lineage import unpack
from agentsim.server.operations.uses import Introspect
from agentsim.server.parties import Admin
from agentsim.server.rules import check_agents


def introspect(batch: Batch, request: Introspect, entry: Entry) -> Introspection:
    """Say what a token is; of one that is not active, or not the caller's to ask about, only that.

    Raises
    ------
    InvalidClient, UnauthorizedClient
        If the caller cannot be authenticated.
    """
    entry.details = {"caller": None if request.caller is None else request.caller[:256]}
    caller = identify(batch, request.by, entry)
    row = _refresh_token_row(batch, request.token)
    if row is not None:
        return _about_refresh_token(batch, request, entry, caller, row)
    try:
        claims: Claims = batch.codec.decode(request.token)
    except InvalidToken as error:
        entry.access_token_hash = digest(request.token)
        return _inactive(entry, error.reason)
    about_grant(entry, claims)
    try:
        check_concerned(caller, request.by, claims)
        check_agents(batch, claims.lineage)
    except AccessDenied as error:
        return _inactive(entry, error.reason)
    if batch.ended_by(claims.lineage, claims.owner, claims.principal) is not None:
        return _inactive(entry, "revoked")
    if entry.timestamp >= claims.expires_at:
        return _inactive(entry, "expired")
    if batch.grant_state(claims.grant_id).held_at:
        return _inactive(entry, STEP_UP_REQUIRED)
    if request.caller is not None and request.caller not in _servers(claims):
        entry.details["foreign"] = True
    entitled = request.by is None or isinstance(request.by, Admin) or is_in_lineage(caller, claims)
    return Introspection(
        log_id=0,
        active=True,
        scope=claims.scope,
        client_id=client_name(claims.client_id),
        sub=claims.principal,
        exp=claims.expires_at // SECOND,
        iat=claims.issued_at // SECOND,
        jti=str(claims.token_id),
        aud=list(claims.audience),
        act=actor_chain(claims.lineage),
        task_id=claims.task_id,
        parent_task_id=claims.parent_task_id,
        allowed_tools=list(scopes.members(claims.tools)),
        allowed_resources=list(scopes.members(claims.resources)),
        level=claims.level,
        token_type="Bearer",
        authorization_details=claims.authorization_details,
        budget=claims.budget,
        budget_left=None if claims.budget is None else left_of(batch, claims),
        task_history=_task_history(batch, request, claims, entry.timestamp)
        if request.include_task_history and entitled
        else None,
    )


def _servers(claims: Claims) -> set[str]:
    """The resource servers that a token is for: what its resources begin with."""
    return {resource.partition("/")[0] for resource in scopes.members(claims.resources)}


def _inactive(entry: Entry, reason: str) -> Introspection:
    entry.status, entry.reason = "refused", reason
    return Introspection(log_id=0, active=False)


def _refresh_token_row(batch: Batch, token: str) -> Row | None:
    token_id = parse_keyed_token("rt", token)
    row = None if token_id is None else batch.loaded.tokens.get(token_id)
    return row if row is not None and matches(token, row["refresh_token_hash"]) else None


def _about_refresh_token(
    batch: Batch, request: Introspect, entry: Entry, caller: Row | None, row: Row
) -> Introspection:
    """A refresh token concerns the client that it was issued to, and administrators, alone."""
    entry.client_id, entry.token_id, entry.grant_id = row["client_id"], row["token_id"], row["grant_id"]
    entry.parent_grant_id, entry.root_grant_id = row["parent_grant_id"], row["root_grant_id"]
    entry.task_id, entry.parent_task_id = row["task_id"], row["parent_task_id"]
    by = request.by
    if isinstance(by, Admin):
        concerned = by.everywhere or by.owner == row["owner"]
    else:
        concerned = by is None or (caller is not None and caller["client_id"] == row["client_id"])
    if not concerned:
        return _inactive(entry, "not_entitled")
    if batch.ended_by(unpack(row["lineage"]), row["owner"], row["principal"]) is not None:
        return _inactive(entry, "revoked")
    if row["refresh_consumed_at"] is not None:
        return _inactive(entry, "refresh_reused")
    if entry.timestamp >= row["grant_expires_at"]:
        return _inactive(entry, "expired")
    if batch.grant_state(row["grant_id"]).held_at:
        return _inactive(entry, STEP_UP_REQUIRED)
    try:
        check_agents(batch, unpack(row["lineage"]))
    except AccessDenied as error:
        return _inactive(entry, error.reason)
    return Introspection(
        log_id=0,
        active=True,
        scope=row["scope"],
        client_id=client_name(row["client_id"]),
        sub=row["principal"],
        exp=row["grant_expires_at"] // SECOND,
        iat=row["issued_at"] // SECOND,
        aud=row["audience"].split(),
        task_id=row["task_id"],
        parent_task_id=row["parent_task_id"],
        token_type="refresh_token",
    )


def _task_history(batch: Batch, request: Introspect, claims: Claims, now: int) -> dict[str, Any]:
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
        "risk_reasons": [],
    }
    assessment = assess(batch, claims, now)
    if assessment is not None:
        history["execution_pattern"] = assessment.execution_pattern
        history["risk_assessment"] = assessment.risk_assessment
        history["risk_reasons"] = told_reasons(request.by, assessment)
    return history
