"""The token endpoint (RFC 6749 section 3.2, RFC 8693) and its batch form."""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.answers import TokenGrant
from agentsim.server.claims import authorization_details
from agentsim.server.errors import AccessDenied, InvalidGrant, InvalidRequest, OAuthError
from agentsim.server.http.bodies import checked, read_form, read_json
from agentsim.server.http.callers import client_of, credentials_in
from agentsim.server.http.context import context_of, source_of
from agentsim.server.http.grant_requests import ACCESS_TOKEN_TYPE, GrantOperation, grant_operation
from agentsim.server.http.models import TokenBatch, TokenForm
from agentsim.server.http.responses import error_members, json_response, recast
from agentsim.server.metadata import TOKEN_EXCHANGE


async def token(request: Request) -> Response:
    """Grant tokens to one client."""
    parameters = await read_form(request)
    by = client_of(request, parameters)
    request.scope["agentsim.client"] = by.client_id
    context = context_of(request)
    async with context.door.open(context.door.client(by)):
        form = checked(TokenForm, parameters)
        operation = grant_operation(form, by, source_of(request))
        exchanged = form.grant_type == TOKEN_EXCHANGE
        try:
            grant = await context.gatherer.ask_one(operation, TokenGrant)
        except OAuthError as error:
            raise _refusal(error, exchanged=exchanged) from None
    return json_response(grant_members(grant, exchanged=exchanged))


async def token_batch(request: Request) -> Response:
    """Grant tokens to many agents of one owner; each request is authenticated, decided and answered by itself."""
    batch = await read_json(request, TokenBatch)
    context, source = context_of(request), source_of(request)
    prepared = [_prepare(item, batch.owner, source) for item in batch.requests]
    operations = [each for each in prepared if not isinstance(each, OAuthError)]
    visits = [context.door.client(operation.by) for operation in operations]
    answers = iter(
        await context.door.open_for_each(
            visits, lambda places: context.gatherer.ask([operations[place] for place in places])
        )
    )
    results = [each if isinstance(each, OAuthError) else next(answers) for each in prepared]
    for result in results:
        if isinstance(result, OAuthError) and result.log_id is None:
            context.refusals.add("token_batch", result.reason, source)
    return json_response({"responses": _responses(batch.requests, results)})


def grant_members(grant: TokenGrant, *, exchanged: bool) -> dict[str, Any]:
    """The members of a token response (RFC 6749 section 5.1, RFC 8693 section 2.2.1) and the document's."""
    members: dict[str, Any] = {
        "access_token": grant.access_token,
        "token_type": grant.token_type,
        "expires_in": grant.expires_in,
        "scope": grant.scope,
        "task_id": grant.task_id,
        "task_bound": grant.task_bound,
        "allowed_tools": grant.allowed_tools,
        "allowed_resources": grant.allowed_resources,
    }
    if grant.refresh_token is not None:
        members["refresh_token"] = grant.refresh_token
    if grant.budget is not None:
        members["budget"] = grant.budget
    if grant.parent_task_id is not None:
        members["parent_task_id"] = grant.parent_task_id
        members["scope_inheritance"] = grant.scope_inheritance
    if exchanged:
        members["issued_token_type"] = ACCESS_TOKEN_TYPE
    if grant.authorization_details:
        members["authorization_details"] = authorization_details(
            grant.task_id, grant.allowed_tools, grant.allowed_resources, grant.level, grant.budget
        )
    return members


def _prepare(item: dict[str, Any], owner: str, source: str | None) -> GrantOperation | OAuthError:
    try:
        form = checked(TokenForm, item)
        return grant_operation(form, credentials_in(item, owner), source)
    except OAuthError as error:
        return error.with_traceback(None)


def _responses(items: Sequence[dict[str, Any]], results: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        _response(result, exchanged=item.get("grant_type") == TOKEN_EXCHANGE)
        for item, result in zip(items, results, strict=True)
    ]


def _response(result: Any, *, exchanged: bool) -> dict[str, Any]:
    if isinstance(result, OAuthError):
        return error_members(_refusal(result, exchanged=exchanged))
    return grant_members(result, exchanged=exchanged)


def _refusal(error: OAuthError, *, exchanged: bool) -> OAuthError:
    """A subject token that does not hold, or is not acceptable, is an invalid request (RFC 8693 section 2.2.2)."""
    recasts = exchanged and isinstance(error, InvalidGrant | AccessDenied)
    return recast(error, InvalidRequest) if recasts else error
