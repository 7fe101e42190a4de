"""What administrators see and do over HTTP; all of it wants their bearer token."""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.answers import Noted
from agentsim.server.errors import InvalidRequest
from agentsim.server.http.bodies import query_of, read_json
from agentsim.server.http.context import context_of, source_of
from agentsim.server.http.models import KeyRequest
from agentsim.server.http.responses import json_response
from agentsim.server.keyring import KeyFileError
from agentsim.server.keys import ALGORITHMS, SigningKey
from agentsim.server.operations.ends import Reauthorize
from agentsim.server.operations.notes import NoteKeyRotation
from agentsim.server.overview import as_ids, parse_id


async def agents(request: Request) -> Response:
    """Registered agents, by page."""
    return await _view(request, context_of(request).overview.agents, ("owner", "status"), ("after", "limit"))


async def grants(request: Request) -> Response:
    """Who was granted what, by whom, and how it is used."""
    texts = ("client_id", "owner", "principal", "task_id")
    return await _view(request, context_of(request).overview.grants, texts, ("before", "limit"))


async def tree(request: Request) -> Response:
    """The tree that a grant stands in."""
    overview = context_of(request).overview
    return await _view(
        request,
        lambda **asked: overview.tree(parse_id(request.path_params["grant_id"], "grant_id"), **asked),
        (),
        ("after", "limit"),
    )


async def audit(request: Request) -> Response:
    """The audit trail, newest first."""
    texts = ("client_id", "event_type", "status")
    ids = ("grant_id", "before", "limit")
    return await _view(request, context_of(request).overview.audit, texts, ids)


async def reauthorize(request: Request) -> Response:
    """Let a grant that is held be used again."""
    context = context_of(request)
    by = context.gate.admit(request)
    grant_id = parse_id(request.path_params["grant_id"], "grant_id")
    operation = Reauthorize(by=by, grant_id=grant_id, source_ip=source_of(request))
    await context.gatherer.ask_one(operation, Noted)
    return json_response({"grant_id": str(grant_id), "status": "reauthorized"})


async def policy(request: Request) -> Response:
    """The rules that stand, and their digest as the audit trail names it."""
    context = context_of(request)
    context.gate.admit(request)
    rules = context.server.policy
    return json_response({"digest": rules.digest, "policy": rules.model_dump(mode="json")})


async def rotate_key(request: Request) -> Response:
    """Let a new key sign; the old one is served until the last token that it signed has expired."""
    context = context_of(request)
    by = context.gate.admit(request)
    alg = (await read_json(request, KeyRequest)).alg
    if alg not in ALGORITHMS:
        raise InvalidRequest("invalid_request", "unknown alg", asked=alg[:80], allowed=list(ALGORITHMS))

    def note(key: SigningKey) -> None:
        # Before it signs: a key of which the audit trail does not tell would be somebody's secret.
        noting = NoteKeyRotation(by=by, kid=key.kid, alg=key.alg, source_ip=source_of(request))
        context.server.ask(noting, Noted)

    try:
        key = await asyncio.to_thread(context.server.rotate_key, alg, note)
    except KeyFileError as exc:
        raise InvalidRequest("keys_not_rotated", str(exc)) from None
    return json_response({"kid": key.kid, "alg": key.alg}, 201)


async def _view(
    request: Request, look: Callable[..., dict[str, Any]], texts: tuple[str, ...], numbers: tuple[str, ...]
) -> Response:
    """A page of what ``look`` finds, for an administrator, in a thread beside the event loop."""
    context_of(request).gate.admit(request)
    query = query_of(request)
    unknown = sorted(query.keys() - {*texts, *numbers})
    if unknown:
        raise InvalidRequest(
            "unknown_parameter", f"unknown parameters: {', '.join(unknown)[:256]}", allowed=[*texts, *numbers]
        )
    asked = {name: query[name] for name in texts if name in query} | as_ids(query, numbers)
    return json_response(await asyncio.to_thread(look, **asked))
