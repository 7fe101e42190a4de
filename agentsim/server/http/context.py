"""What endpoints work with: the server behind its gatherer, and who may pass."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.accounts import Accounts
from agentsim.server.announcements import Announcer
from agentsim.server.core import Server
from agentsim.server.errors import OAuthError, database_away
from agentsim.server.http.attempts import Attempts
from agentsim.server.http.callers import AdminGate
from agentsim.server.http.door import Door
from agentsim.server.http.gather import Gatherer
from agentsim.server.http.responses import Manner, error_response
from agentsim.server.operations import Operation
from agentsim.server.operations.notes import NoteRefusal
from agentsim.server.overview import Overview
from agentsim.server.store import ConflictError

#: Different refusals that are kept apart between two notes; what comes beyond is counted under ``other``.
_MOST_KINDS = 1_000
#: Seconds for which a status list that was made is served again, and how many are kept.
KEPT = 5.0
_MOST_LISTS = 64
Handler = Callable[[Request], Awaitable[Response]]
#: Makes a refusal into a response.
Refuse = Callable[[Request, OAuthError], Awaitable[Response]]

_log = logging.getLogger("agentsim.serve")


class Refusals:
    """Counts requests that were refused at the door, until they are written into the audit trail.

    Anybody may send such requests, so like ones become one row with a count: a flood costs the audit trail no more
    than a row a second for each endpoint, reason and address.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str | None]] = Counter()

    def add(self, endpoint: str, reason: str, source_ip: str | None) -> None:
        """Count one."""
        key = (endpoint, reason, source_ip)
        if key not in self._counts and len(self._counts) >= _MOST_KINDS:
            key = ("other", "other", None)
        self._counts[key] += 1

    def take(self) -> list[Operation]:
        """What has come together, as operations."""
        counts, self._counts = self._counts, Counter()
        return [
            NoteRefusal(endpoint=endpoint, reason=reason, count=count, source_ip=source_ip)
            for (endpoint, reason, source_ip), count in counts.items()
        ]


class Kept:
    """Status lists that were made a moment ago: making one reads all that it ended."""

    def __init__(self) -> None:
        self._lists: dict[int, tuple[float, str]] = {}
        self.turn = asyncio.Lock()

    def get(self, number: int) -> str | None:
        """A list that is new enough."""
        made, text = self._lists.get(number, (float("-inf"), ""))
        return text if monotonic() - made < KEPT else None

    def put(self, number: int, text: str) -> None:
        """Keep a list; of too many the oldest go."""
        self._lists.pop(number, None)
        self._lists[number] = (monotonic(), text)
        while len(self._lists) > _MOST_LISTS:
            del self._lists[next(iter(self._lists))]


@dataclass(slots=True, kw_only=True)
class Context:
    """One per process that serves; endpoints find it at ``request.app.state.context``."""

    server: Server
    gatherer: Gatherer
    door: Door
    gate: AdminGate
    overview: Overview
    accounts: Accounts
    announcer: Announcer
    lists: Kept = field(default_factory=Kept)
    attempts: Attempts
    refusals: Refusals = field(default_factory=Refusals)


def context_of(request: Request) -> Context:
    """The context of the process that serves this request."""
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


def source_of(request: Request) -> str | None:
    """The address that a request came from."""
    return request.client.host if request.client else None


@contextmanager
def told_while_away() -> Iterator[None]:
    """Let whoever asks learn that the database is away, where something is read or written beside the writer.

    Raises
    ------
    TemporarilyUnavailable
        Instead of what the database raised.
    """
    try:
        yield
    except (SQLAlchemyError, ConflictError) as exc:
        _log.error("the database did not answer: %s", str(exc).partition("\n")[0])
        raise database_away() from None


def answering(name: str, handler: Handler, refuse: Refuse) -> Handler:
    """A handler whose refusals become responses, and audit rows where the server has not written any yet."""

    async def endpoint(request: Request) -> Response:
        request.scope["agentsim.endpoint"] = name
        try:
            with told_while_away():
                return await handler(request)
        except OAuthError as error:
            # Error, traceback and frames hold each other: a flood of refusals would be the garbage collector's to undo.
            error.__traceback__ = error.__context__ = None
            request.scope["agentsim.error"] = error.reason
            if error.log_id is None:
                context_of(request).refusals.add(name, error.reason, source_of(request))
            return await refuse(request, error)

    return endpoint


def refusing(manner: Manner) -> Refuse:
    """Refusals in the words that an endpoint's RFC has for them."""

    async def refuse(_request: Request, error: OAuthError) -> Response:
        return error_response(error, manner)

    return refuse
