"""The application: endpoints on routes, a server behind them for as long as it runs."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route

from agentsim.server.accounts import Accounts
from agentsim.server.announcements import Announcer
from agentsim.server.checkpoints import Notary
from agentsim.server.clock import Clock, SystemClock
from agentsim.server.core import Server
from agentsim.server.errors import OAuthError
from agentsim.server.following import Follower
from agentsim.server.http.attempts import Attempts
from agentsim.server.http.callers import AdminGate
from agentsim.server.http.context import Context, answering, refusing
from agentsim.server.http.discovery import base_path, metadata, metadata_path
from agentsim.server.http.door import Door
from agentsim.server.http.endpoints import ENDPOINTS
from agentsim.server.http.gather import Gatherer
from agentsim.server.http.observer import AccessLog, Observer
from agentsim.server.http.openapi import describe
from agentsim.server.http.pages.routes import page_routes
from agentsim.server.http.reload import PolicySource, PolicyWatch
from agentsim.server.http.responses import Manner, json_response
from agentsim.server.http.upkeep import Upkeep
from agentsim.server.operations import Operation
from agentsim.server.overview import Overview
from agentsim.server.watch import Watcher

#: How often refusals at the door and lines of the access log are written, in seconds.
_TICK = 0.5

_log = logging.getLogger("agentsim.serve")


def make_app(
    issuer: str,
    open_server: Callable[[], Server],
    admin_token_hash: bytes,
    *,
    policy_source: PolicySource | None = None,
    watcher: Watcher | None = None,
    keep_us: int | None = None,
    clock: Clock | None = None,
    log: AccessLog | None = None,
) -> Starlette:
    """The ASGI application of a token server.

    Parameters
    ----------
    issuer : the server's name; endpoints are below its path.
    open_server : makes the server when the application starts up; it is closed when the application shuts down, after
        everything that was asked has been answered.
    admin_token_hash : SHA-256 of the administrator's bearer token.
    policy_source : where the rules come from, and are read again when they change.
    watcher : follows what is decided; what it and the server's matcher ask for is carried out at each tick.
    keep_us : how long trees are kept after their end; None: for ever.
    clock, log : time for views and log lines, and where those go; by default the system's and standard error.
    """
    ticking = clock or SystemClock()
    access_log = log or AccessLog(ticking.now)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        server = await asyncio.to_thread(open_server)
        context = app.state.context = Context(
            server=server,
            gatherer=Gatherer(server),
            door=Door(server),
            gate=AdminGate(admin_token_hash),
            overview=Overview(server.store, ticking),
            accounts=Accounts(server.store, ticking),
            attempts=Attempts(ticking),
            announcer=Announcer(server.store, server.keyring, issuer, ticking),
        )
        watch = None if policy_source is None else PolicyWatch(policy_source, server)
        follower = _follower(server, watcher, ticking.now())
        notary = Notary(server.store, server.keyring, issuer, ticking, server.chain)
        upkeep = Upkeep(server, notary, context.gatherer, keep_us)
        ending = asyncio.Event()
        ticker = asyncio.create_task(_tick(context, access_log, watch, follower, upkeep, ticking, ending))
        # What is there now stays: the collector need not go through it again and again.
        gc.collect()
        gc.freeze()
        try:
            yield
        finally:
            ending.set()
            # What a thread has begun is done with the database before that is closed.
            await asyncio.wait([ticker])
            await _write_down(context, access_log)
            await context.gatherer.stop()
            await upkeep.close()
            await asyncio.to_thread(server.close)

    return Starlette(
        routes=_routes(issuer),
        middleware=[Middleware(Observer, log=access_log)],
        exception_handlers={HTTPException: _http_error},
        lifespan=lifespan,
    )


def _routes(issuer: str) -> list[Route]:
    base = base_path(issuer)
    description = orjson.dumps(describe(issuer))

    async def openapi(_request: Request) -> Response:
        return Response(description, media_type="application/json")

    routes = [
        Route(
            base + endpoint.path,
            answering(endpoint.name, endpoint.handler, refusing(endpoint.manner)),
            methods=[endpoint.method],
            name=endpoint.name,
        )
        for endpoint in ENDPOINTS
    ]
    bearer = refusing(Manner.BEARER)
    return [
        *routes,
        *page_routes(issuer),
        Route(metadata_path(issuer), answering("metadata", metadata, bearer), name="metadata"),
        Route(f"{base}/openapi.json", answering("openapi", openapi, bearer), name="openapi"),
    ]


def _follower(server: Server, watcher: Watcher | None, now: int) -> Follower | None:
    """What lets the server be watched, where anything watches; grants that may still live are what a watcher must know of."""
    if watcher is None and server.matcher is None:
        return None
    since = now - server.policy.grant_ttl_us
    return Follower(server, watcher, leads=server.store.try_watch, since=since)


async def _tick(
    context: Context,
    log: AccessLog,
    watch: PolicyWatch | None,
    follower: Follower | None,
    upkeep: Upkeep,
    clock: Clock,
    ending: asyncio.Event,
) -> None:
    while True:
        if watch is not None:
            await watch.look()
        with suppress(TimeoutError):
            await asyncio.wait_for(ending.wait(), _TICK)
            return
        # Another worker may have rotated: sign with its key, too.
        context.server.keyring.reload()
        await _write_down(context, log)
        await upkeep.look()
        if follower is not None:
            await asyncio.to_thread(_follow, follower, clock.now())


def _follow(follower: Follower, now: int) -> None:
    try:
        done = follower.step(now)
    except Exception:
        # The database may be away, and a watcher is somebody else's: the next tick tries again.
        _log.exception("what was asked for about agents could not be carried out")
        return
    for operation, answer in done:
        outcome = answer.reason if isinstance(answer, OAuthError) else "done"
        _log.warning("%s of %s: %s", type(operation).__name__, _subject(operation), outcome)


def _subject(operation: Operation) -> str:
    return str(getattr(operation, "grant_id", None) or getattr(operation, "client_id", None))


async def _write_down(context: Context, log: AccessLog) -> None:
    log.flush()
    refused = context.refusals.take()
    if refused:
        try:
            await context.gatherer.ask(refused, first=True)
        except OAuthError:
            # The database is away. Those rows are lost; the access log has the requests.
            return


async def _http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, as JSON."""
    assert isinstance(error, HTTPException)
    members = {"error": "invalid_request", "error_description": error.detail}
    headers = dict(error.headers or {})
    if "Allow" in headers:
        # Each method has a route of its own, and one route knows of itself alone.
        headers["Allow"] = ", ".join(sorted(_methods_at(request)))
    return json_response(members, error.status_code, headers)


def _methods_at(request: Request) -> set[str]:
    """The methods of all routes of a request's path; a path that is a pattern says nothing of names in its place."""
    routes: list[Route] = request.app.routes
    found = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in found if route.path == found[0].path for method in route.methods or ()}
