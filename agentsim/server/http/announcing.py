"""Endpoints of announcements: the feed of marks, and Token Status Lists."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.announcements import LIST_TTL, MARKS_TYPE, STATUS_TYPE
from agentsim.server.errors import InvalidRequest
from agentsim.server.http.bodies import query_of
from agentsim.server.http.context import context_of
from agentsim.server.http.inspection import NotAcceptable
from agentsim.server.overview import as_ids, parse_id


class NoSuchList(InvalidRequest):
    """No token has a place in that list."""

    status = 404


async def marks(request: Request) -> Response:
    """The marks after a place, signed: what offline verifiers hold lineages against."""
    query = query_of(request)
    if query.keys() - {"after"}:
        raise InvalidRequest("unknown_parameter", "after is the one parameter", allowed=["after"])
    after = as_ids(query, ("after",)).get("after", 0)
    token = await asyncio.to_thread(context_of(request).announcer.marks, after)
    return Response(
        token, media_type=f"application/{MARKS_TYPE}", headers={"Cache-Control": "public, max-age=1"}
    )


async def status_list(request: Request) -> Response:
    """A Token Status List, as the fill has left it (draft-ietf-oauth-status-list)."""
    if _wants_another_type(request.headers.get("accept", "*/*")):
        raise NotAcceptable("cwt_not_offered", f"status lists are served as application/{STATUS_TYPE}")
    context = context_of(request)
    number = parse_id(request.path_params["number"], "number")
    async with context.lists.turn:
        token = context.lists.get(number)
        if token is None:
            token = await asyncio.to_thread(context.announcer.status_list, number)
            if token is None:
                raise NoSuchList("no_such_list", "no token has a place in this list")
            context.lists.put(number, token)
    return Response(
        token,
        media_type=f"application/{STATUS_TYPE}",
        headers={"Cache-Control": f"public, max-age={LIST_TTL}"},
    )


def _wants_another_type(accept: str) -> bool:
    accepted = {each.partition(";")[0].strip().lower() for each in accept.split(",")}
    return not accepted & {"*/*", "application/*", f"application/{STATUS_TYPE}"}
