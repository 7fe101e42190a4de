"""Responses: JSON that nobody caches, and errors in the form that each kind of endpoint owes its callers."""

import re
from enum import Enum
from typing import Any

import orjson
from starlette.responses import Response

from agentsim.server.errors import (
    AccessDenied,
    InvalidClient,
    InvalidClientMetadata,
    InvalidRequest,
    InvalidScope,
    InvalidToken,
    OAuthError,
    TemporarilyUnavailable,
    TooManyRequests,
)
from agentsim.server.http.callers import NoCredentials

REALM = "agentsim"
#: What no cache is to keep (RFC 6749 section 5.1).
NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
_HEADERS = [
    (name.encode(), value.encode())
    for name, value in {"content-type": "application/json", **NO_STORE}.items()
]
#: Seconds after which a request that could not be served may come again.
RETRY_AFTER = 1
#: What RFC 6749 section 5.2 allows in an ``error_description``.
_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class Manner(Enum):
    """Whose rules an endpoint's errors follow."""

    #: RFC 6749 section 5.2: 400 for all but an unauthenticated client.
    TOKEN = "token"
    #: RFC 6750 section 3: the status says who may come back with what.
    BEARER = "bearer"
    #: RFC 7591 section 3.2.2: faults of the metadata have one code.
    REGISTRATION = "registration"


class _Json(Response):
    """A response whose headers are written down as they go out: making them from texts costs more than the JSON."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), *headers]


def json_response(members: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response that is not to be stored."""
    more = [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    return _Json(orjson.dumps(members), status, [*_HEADERS, *more])


def error_members(error: OAuthError) -> dict[str, Any]:
    """The members of an error response."""
    members = error.as_dict()
    description = members["error_description"].replace('"', "'").replace("\\", "/")
    return {**members, "error_description": _NOT_ALLOWED.sub("?", description)}


def error_response(error: OAuthError, manner: Manner) -> Response:
    """An error as the endpoint's manner has it."""
    if manner is Manner.REGISTRATION and isinstance(error, InvalidRequest | InvalidScope):
        error = recast(error, InvalidClientMetadata)
    members = error_members(error)
    if isinstance(error, NoCredentials):
        del members["error"]
    status = error.status
    headers: dict[str, str] = {}
    if isinstance(error, InvalidClient):
        headers["WWW-Authenticate"] = f'Basic realm="{REALM}", charset="UTF-8"'
    elif isinstance(error, InvalidToken):
        headers["WWW-Authenticate"] = _challenge(error, members["error_description"])
    elif isinstance(error, TemporarilyUnavailable):
        headers["Retry-After"] = str(RETRY_AFTER)
    elif isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, AccessDenied):
        if manner is Manner.TOKEN:
            status = 400
        else:
            headers["WWW-Authenticate"] = _challenge(error, members["error_description"])
    return json_response(members, status, headers)


def recast(error: OAuthError, kind: type[OAuthError]) -> OAuthError:
    """The same refusal, under the code that one RFC has for what another calls otherwise."""
    same = kind(error.reason, error.description, asked=error.asked, allowed=error.allowed, hint=error.hint)
    same.log_id = error.log_id
    return same


def _challenge(error: OAuthError, description: str) -> str:
    """A bearer challenge; whoever came without credentials is told no error (RFC 6750 section 3.1)."""
    if isinstance(error, NoCredentials):
        return f'Bearer realm="{REALM}"'
    code = "insufficient_scope" if isinstance(error, AccessDenied) else error.error
    return f'Bearer realm="{REALM}", error="{code}", error_description="{description}"'
