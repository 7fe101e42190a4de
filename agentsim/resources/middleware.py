"""The middleware, and what routes ask for.

issuer, files = Issuer("https://auth.example"), "https://files.example"
guard = ResourceServer(issuer.url, files, Offline(issuer, files, period=5))
app = Starlette(routes=[...], middleware=[Middleware(Protect, guard=guard)])

may_read = guard.require(scope="file_read:github", tool="file_read")

async def read(request):            # in FastAPI: Annotated[Facts, Depends(may_read)]
facts = await may_read(request)
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentsim.resources.checking import Checker, Facts, Wanted
from agentsim.resources.refusals import Refusal, malformed, no_token
from agentsim.server.scopes import canonical_scope, canonical_tools, members

#: The header in which an agent names its task.
TASK_HEADER = "task-id"
_WELL_KNOWN = "/.well-known/oauth-protected-resource"


class ResourceServer:
    """One resource server: who it is, whose tokens it takes, how it checks them.

    Parameters
    ----------
    issuer : of the tokens.
    resource : its own URL: the ``aud`` that tokens for it have (RFC 8707).
    checker : how tokens are checked.
    """

    def __init__(self, issuer: str, resource: str, checker: Checker) -> None:
        self.issuer = issuer
        self.resource = resource
        self._checker = checker
        self._scopes: set[str] = set()
        parts = urlsplit(resource)
        #: Where its metadata are: the path comes after the well-known one (RFC 9728 section 3.1).
        self.metadata_path = _WELL_KNOWN + parts.path.rstrip("/")
        self.metadata_url = urlunsplit((parts.scheme, parts.netloc, self.metadata_path, "", ""))

    def require(
        self, *, scope: str | None = None, tool: str | None = None
    ) -> Callable[[Request], Awaitable[Facts]]:
        """What a route awaits before it does anything: the facts of the request's token, or a refusal.

        Parameters
        ----------
        scope : space-delimited; the token must have all of it.
        tool : the tool that the route stands for; its cost is counted where the token has a budget.

        Raises
        ------
        InvalidScope
            If either is malformed: at once, not at the first request.
        """
        if scope is not None:
            self._scopes.update(members(canonical_scope(scope)))
        if tool is not None:
            canonical_tools([tool])

        async def required(request: Request) -> Facts:
            wanted = Wanted(scope=scope, tool=tool, task_id=request.headers.get(TASK_HEADER))
            return await self._checker.check(_bearer(request), wanted)

        return required

    def metadata(self) -> dict[str, Any]:
        """What the world may know of it (RFC 9728 section 2)."""
        return {
            "resource": self.resource,
            "authorization_servers": [self.issuer],
            "bearer_methods_supported": ["header"],
            "scopes_supported": sorted(self._scopes),
            "authorization_details_types_supported": ["agent_task"],
        }


class Protect:
    """ASGI middleware: serves the metadata, and turns refusals of what is required into challenges."""

    def __init__(self, app: ASGIApp, guard: ResourceServer) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == self._guard.metadata_path and scope["method"] == "GET":
            body = orjson.dumps(self._guard.metadata())
            await Response(body, media_type="application/json")(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except Refusal as refusal:
            # A route that has begun to answer has let somebody in before it asked.
            if begun:
                raise
            await self._told(refusal)(scope, receive, send)

    def _told(self, refusal: Refusal) -> Response:
        headers = {"Cache-Control": "no-store"}
        if refusal.status in (400, 401, 403):
            headers["WWW-Authenticate"] = refusal.challenge(self._guard.metadata_url)
        if refusal.retry_after is not None:
            headers["Retry-After"] = str(refusal.retry_after)
        body = orjson.dumps(refusal.members())
        return Response(body, refusal.status, headers, media_type="application/json")


def _bearer(request: Request) -> str:
    """The one token of a request, from its header (RFC 6750 section 2.1)."""
    found = request.headers.getlist("authorization")
    if len(found) > 1:
        raise malformed("two_authentications", "one Authorization header, please")
    scheme, _, token = (found[0] if found else "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise no_token()
    return token.strip()
