"""Introspection (RFC 7662), revocation (RFC 7009) and verification: what may be asked about a token."""

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.answers import Introspection, Revocation, Verification
from agentsim.server.claims import authorization_details
from agentsim.server.closure import Closure
from agentsim.server.core import Server
from agentsim.server.errors import (
    InvalidClient,
    InvalidRequest,
    OAuthError,
    UnauthorizedClient,
)
from agentsim.server.http.bodies import checked, read_form, read_json
from agentsim.server.http.context import Context, context_of, source_of
from agentsim.server.http.models import (
    IntrospectionForm,
    RevocationForm,
    RevocationRequest,
    VerificationItem,
    VerificationRequest,
)
from agentsim.server.http.responses import error_members, json_response
from agentsim.server.operations.ends import Revoke
from agentsim.server.operations.uses import Introspect, Verify
from agentsim.server.parties import Admin, ClientAssertion, Credentials

#: How long a revocation waits for the rows below it to be filled in, and how often it looks, in seconds.
_LONGEST_WAIT = 1.0
_FIRST_LOOK = 0.005
#: The most task ids that an answer lists.
MOST_TASKS = 1_000
#: Introspection as a signed JWT (RFC 9701), which is not offered, and the media types that admit what is.
_SIGNED = "application/token-introspection+jwt"
_ADMIT_JSON = frozenset(("application/json", "application/*", "*/*"))


class NotAcceptable(InvalidRequest):
    """The caller takes nothing but what is not offered."""

    status = 406


async def introspect(request: Request) -> Response:
    """Say what a token is, to whom it concerns."""
    _refuse_signed_alone(request)
    parameters = await read_form(request)
    context = context_of(request)
    by = context.gate.admin_or_client(request, parameters)
    form = checked(IntrospectionForm, parameters)
    operation = Introspect(
        by=by,
        token=_needed(form.token),
        include_task_history=form.include_task_history == "true",
        source_ip=source_of(request),
    )
    answer = await context.gatherer.ask_one(operation, Introspection)
    return json_response(introspection_members(answer, context.server.policy.issuer))


def introspection_members(answer: Introspection, issuer: str) -> dict[str, Any]:
    """The members of RFC 7662 section 2.2 and the document's; of an inactive token one alone."""
    if not answer.active:
        return {"active": False}
    assert answer.aud is not None
    members: dict[str, Any] = {
        "active": True,
        "iss": issuer,
        "scope": answer.scope,
        "client_id": answer.client_id,
        "token_type": answer.token_type,
        "exp": answer.exp,
        "iat": answer.iat,
        "sub": answer.sub,
        "aud": answer.aud[0] if len(answer.aud) == 1 else answer.aud,
        "jti": answer.jti,
        "act": answer.act,
        "task_id": answer.task_id,
        "parent_task_id": answer.parent_task_id,
        "allowed_tools": answer.allowed_tools,
        "allowed_resources": answer.allowed_resources,
        "task_history": answer.task_history,
    }
    if answer.budget is not None:
        members |= {"budget": answer.budget, "budget_left": answer.budget_left}
    if answer.authorization_details:
        members["authorization_details"] = authorization_details(
            answer.task_id or "",
            answer.allowed_tools or [],
            answer.allowed_resources or [],
            answer.level or "",
            answer.budget,
        )
    return {name: value for name, value in members.items() if value is not None}


async def revoke(request: Request) -> Response:
    """End a client's own token, or one below its own, with all that hangs below (RFC 7009)."""
    parameters = await read_form(request)
    context = context_of(request)
    by = context.gate.admin_or_client(request, parameters)
    form = checked(RevocationForm, parameters)
    operation = Revoke(
        by=by, token=_needed(form.token), reason="revoked_by_client", source_ip=source_of(request)
    )
    return json_response(await _ended(context, operation))


async def revoke_by_name(request: Request) -> Response:
    """End a token, a task, an agent's or a principal's grants: an administrator's to do."""
    context = context_of(request)
    by = context.gate.admit(request)
    asked = await read_json(request, RevocationRequest)
    operation = Revoke(by=by, source_ip=source_of(request), **asked.model_dump())
    return json_response(await _ended(context, operation))


async def _ended(context: Context, operation: Revoke) -> dict[str, Any]:
    """The document's answer, as soon as the rows below are filled in, or without waiting any longer."""
    answer = await context.gatherer.ask_one(operation, Revocation)
    members: dict[str, Any] = {
        "revoked": answer.revoked,
        "affected_tasks_terminated": answer.affected_tasks_terminated,
        "affected_task_chain": answer.affected_task_chain,
        "count": answer.count,
        "closure": answer.closure,
    }
    if answer.revocation_ids:
        members |= await wait_for_closure(context, answer)
    return members


async def wait_for_closure(context: Context, answer: Revocation) -> dict[str, Any]:
    """How far the fill has come within a second: tasks (at most a thousand), grants, and ``closure``."""
    pause, waited = _FIRST_LOOK, 0.0
    while True:
        closures = await asyncio.to_thread(_closures, context.server, answer.revocation_ids)
        closed = all(each.closure == "closed" for each in closures)
        if closed or waited >= _LONGEST_WAIT:
            break
        await asyncio.sleep(pause)
        waited += pause
        pause = min(2 * pause, 0.1)
    tasks = dict.fromkeys([*answer.affected_task_chain, *(task for each in closures for task in each.tasks)])
    return {
        "revocation_id": str(answer.revocation_id),
        "affected_task_chain": list(tasks)[:MOST_TASKS],
        "count": sum(each.affected_grants for each in closures),
        "closure": "closed" if closed else "pending",
    }


def _closures(server: Server, revocation_ids: Sequence[int]) -> list[Closure]:
    found = (server.closure(revocation_id, MOST_TASKS) for revocation_id in revocation_ids)
    return [closure for closure in found if closure is not None]


async def verify(request: Request) -> Response:
    """Say whether a token, or each of up to a thousand, may be used for what is asked, and why not."""
    asked = await read_json(request, VerificationRequest)
    context = context_of(request)
    by = context.gate.admin_or_client(request, asked.model_dump(exclude_none=True))
    source = source_of(request)
    if asked.requests is None:
        item = checked(VerificationItem, asked.model_dump(exclude={"requests"}, exclude_none=True))
        visit = context.door.token(by, item.token)
        async with context.door.open(visit):
            answer = await context.gatherer.ask_one(
                _verification(item, by, source), Verification, first=visit.first
            )
        return json_response(_verified(answer))
    if isinstance(by, ClientAssertion):
        raise InvalidRequest(
            "assertion_with_batch", "an assertion holds for one question: ask one, or use a secret"
        )
    operations = [_verification(item, by, source) for item in asked.requests]
    answers = await _verify_each(context, by, operations)
    return json_response({"responses": [_verified(answer) for answer in answers]})


async def _verify_each(context: Context, by: Admin | Credentials, asked: Sequence[Verify]) -> list[Any]:
    """An answer to each; those that are refused at the door are not asked, and nobody learns that without credentials."""
    visits = [context.door.token(by, each.token) for each in asked]
    answers = await context.door.open_for_each(
        visits, lambda places: context.gatherer.ask([asked[place] for place in places])
    )
    _refuse_strangers(answers)
    refusals = [visit.refusal for visit in visits if visit.refusal is not None]
    if len(refusals) == len(asked):
        raise refusals[0]
    for refusal in refusals:
        context.refusals.add("verify", refusal.reason, asked[0].source_ip)
    return answers


def _verification(item: VerificationItem, by: Admin | Credentials, source: str | None) -> Verify:
    return Verify(by=by, source_ip=source, **item.model_dump())


def _refuse_strangers(answers: Sequence[Any]) -> None:
    """Whoever does not authenticate is refused as elsewhere, not answered: one caller asks all these questions."""
    for answer in answers:
        if isinstance(answer, InvalidClient | UnauthorizedClient):
            raise answer


def _verified(answer: Any) -> dict[str, Any]:
    """The document's members of a verification, and the error where there is one."""
    if isinstance(answer, OAuthError):
        return {"is_valid": False, **error_members(answer)}
    members = {
        "is_valid": answer.is_valid,
        "scope": answer.scope,
        "task_context_valid": answer.task_context_valid,
        "historical_pattern_match": answer.historical_pattern_match,
        "previous_tasks": answer.previous_tasks,
        "execution_patterns": answer.execution_patterns,
    }
    if answer.risk_assessment is not None:
        members |= {
            "execution_pattern": answer.execution_pattern,
            "risk_assessment": answer.risk_assessment,
            "risk_reasons": answer.risk_reasons,
        }
    if answer.cost is not None:
        members |= {"cost": answer.cost, "budget_left": answer.budget_left}
    return members if answer.error is None else {**members, **error_members(answer.error)}


def _refuse_signed_alone(request: Request) -> None:
    """Whoever wants evidence that can be checked later must not be handed an answer without a signature."""
    ranges = request.headers.get("accept", "*/*").lower().split(",")
    accepted = {media.partition(";")[0].strip() for media in ranges}
    if _SIGNED in accepted and not accepted & _ADMIT_JSON:
        raise NotAcceptable("signed_response_not_offered", "introspection is answered in application/json")


def _needed(token: str | None) -> str:
    if token is None:
        raise InvalidRequest("missing_parameter", "token is missing")
    return token
