"""Verification: may this token be used for this, now? With the agent's history, as the document has it."""

from contextlib import suppress

from agentsim.server import scopes
from agentsim.server.answers import ExecutionReceipt, Verification
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, about_grant
from agentsim.server.budgets import Charge, spend
from agentsim.server.callers import check_concerned, identify
from agentsim.server.checks import check_text
from agentsim.server.claims import Claims
from agentsim.server.credentials import digest
from agentsim.server.errors import (
    InsufficientScope,
    InsufficientUserAuthentication,
    InvalidRequest,
    InvalidToken,
    OAuthError,
)
from agentsim.server.holds import assess, check_held, heed, told_reasons
from agentsim.server.operations.uses import RecordExecution, Verify
from agentsim.server.rules import check_agents
from agentsim.server.throttling import charge
from agentsim.server.watch import Assessment

OUTCOMES = ("success", "error")


def verify(batch: Batch, request: Verify, entry: Entry) -> Verification:
    """Decide on a token's use. A refusal is an answer with ``is_valid`` false and the reason in ``error``.

    Raises
    ------
    InvalidClient, UnauthorizedClient
        If the caller cannot be authenticated.
    """
    tools, resources = tuple(request.required_tools), tuple(request.required_resources)
    entry.details = {
        "tools": [tool[:80] for tool in tools[:50]],
        "resources": [resource[:80] for resource in resources[:50]],
        "scope": None if request.scope is None else request.scope[:1024],
        "caller": None if request.caller is None else request.caller[:256],
    }
    caller = identify(batch, request.by, entry)
    claims = assessment = None
    try:
        claims = _decode(batch, request.token, entry)
        check_concerned(caller, request.by, claims)
        if request.task_id is not None and request.task_id != claims.task_id:
            entry.details["task_id"] = request.task_id[:80]
        _check_active(batch, claims, entry.timestamp)
        check_agents(batch, claims.lineage)
        agent = batch.loaded.agents.get(claims.client_id)
        if agent is not None:
            batch.met[claims.client_id] = agent
        charge(batch, entry, claims.client_id, agent, tree=claims.root_grant_id)
        check_audience(request, claims)
        check_task(request, claims)
        check_held(batch, claims.grant_id)
        check_use(request, claims, tools, resources)
        assessment = assess(batch, claims, entry.timestamp, entry)
        heed(batch, entry, claims, assessment)
        # Last: what is refused costs nothing.
        charged = spend(batch, claims, scopes.canonical_tools(tools))
    except OAuthError as error:
        refusal = error.with_traceback(None)
        entry.status, entry.reason = "refused", refusal.reason
        if claims is not None and assessment is None and _is_told(refusal):
            assessment = _assess_refused(batch, entry, claims)
        return _answer(batch, request, claims, Charge(), assessment, refusal)
    if charged.cost is not None:
        entry.details["cost"] = charged.cost
    return _answer(batch, request, claims, charged, assessment, None)


def record_execution(batch: Batch, request: RecordExecution, entry: Entry) -> ExecutionReceipt:
    """Keep how a tool call went. The token may have expired or been revoked since: what happened, happened."""
    _decode(batch, request.token, entry)
    check_text(tool=request.tool, resource=request.resource, args_digest=request.args_digest)
    if request.outcome not in OUTCOMES:
        raise InvalidRequest(
            "invalid_request", "unknown outcome", asked=request.outcome[:80], allowed=list(OUTCOMES)
        )
    measured = {
        "tool": request.tool,
        "resource": request.resource,
        "outcome": request.outcome,
        "duration_us": request.duration_us,
        "args_digest": request.args_digest,
        "n_args": request.n_args,
        "arg_chars": request.arg_chars,
        "result_chars": request.result_chars,
    }
    entry.details = {name: value for name, value in measured.items() if value is not None}
    return ExecutionReceipt(log_id=0)


def _decode(batch: Batch, token: str, entry: Entry) -> Claims:
    """The claims of a token with a good signature; the audit row names its grant from here on."""
    try:
        claims: Claims = batch.codec.decode(token)
    except InvalidToken:
        entry.access_token_hash = digest(token)
        raise
    about_grant(entry, claims)
    return claims


def _check_active(batch: Batch, claims: Claims, now: int) -> None:
    if batch.ended_by(claims.lineage, claims.owner, claims.principal) is not None:
        raise InvalidToken("revoked", "the token, or a grant above it, has been revoked")
    if now >= claims.expires_at:
        raise InvalidToken("expired", "the token has expired", hint="refresh it")


def check_audience(request: Verify, claims: Claims) -> None:
    """Refuse (``InvalidToken``) a token that is not meant for the resource server that asks."""
    if request.audience is not None and request.audience not in claims.audience:
        raise InvalidToken("wrong_audience", "the token is not for this resource server")


def check_task(request: Verify, claims: Claims) -> None:
    """Refuse (``InvalidToken``) a token that is bound to another task than the request names."""
    if request.task_id is not None and request.task_id != claims.task_id:
        raise InvalidToken("task_mismatch", "the token is bound to another task", asked=request.task_id[:80])
    if request.parent_task_id is not None and request.parent_task_id != claims.parent_task_id:
        raise InvalidToken("parent_task_mismatch", "the token is bound to another parent task")


def check_use(request: Verify, claims: Claims, tools: tuple[str, ...], resources: tuple[str, ...]) -> None:
    """Refuse (``InsufficientScope``) what the token does not hold: tools, resources, each with each, and scopes."""
    asked_tools, asked_resources = scopes.canonical_tools(tools), scopes.canonical_resources(resources)
    _covered("tool_not_granted", "tools", asked_tools, claims.tools)
    _covered("resource_not_granted", "resources", asked_resources, claims.resources)
    # A tool and a resource may each be granted without being granted together.
    asked = scopes.product(asked_tools, asked_resources)
    if request.scope is not None:
        asked = scopes.union(asked, scopes.canonical_scope(request.scope))
    _covered("insufficient_scope", "scope", asked, claims.scope)


def _covered(reason: str, what: str, asked: str, allowed: str) -> None:
    surplus = scopes.excess(asked, allowed)
    if surplus:
        raise InsufficientScope(
            reason,
            f"the token does not have these {what}",
            asked=list(surplus[:20]),
            allowed=list(scopes.members(allowed)[:20]),
        )


def _assess_refused(batch: Batch, entry: Entry, claims: Claims) -> Assessment | None:
    """What is made of a use that is refused anyway: the refusal stays, but the grant may be held for it."""
    assessment = assess(batch, claims, entry.timestamp, entry)
    with suppress(InsufficientUserAuthentication):
        heed(batch, entry, claims, assessment)
    return assessment


def _is_told(error: OAuthError | None) -> bool:
    """Whether what was true of the token is told: not of one that is no longer active, not to strangers, not to a flood."""
    return error is None or error.reason not in ("revoked", "expired", "not_entitled", "rate_limited")


def _answer(
    batch: Batch,
    request: Verify,
    claims: Claims | None,
    charged: Charge,
    assessment: Assessment | None,
    error: OAuthError | None,
) -> Verification:
    answer = Verification(
        log_id=0, is_valid=error is None, cost=charged.cost, budget_left=charged.left, error=error
    )
    if claims is None:
        return answer
    is_told = _is_told(error)
    if error is None or error.reason != "not_entitled":
        answer.grant_id = claims.grant_id
    if is_told:
        answer.scope = claims.scope
        answer.task_context_valid = error is None or not error.reason.endswith("task_mismatch")
        if assessment is not None:
            answer.historical_pattern_match = assessment.historical_pattern_match
    if request.include_history and is_told:
        answer.previous_tasks = batch.previous_tasks(claims)
        answer.execution_patterns = batch.grant_state(claims.grant_id).patterns()
        if assessment is not None:
            answer.execution_pattern = assessment.execution_pattern
            answer.risk_assessment = assessment.risk_assessment
            answer.risk_reasons = told_reasons(request.by, assessment)
    return answer
