"""Whose browser it is, by a cookie, and whether a form comes from one of our own pages."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.accounts import SESSION_US
from agentsim.server.clock import SECOND
from agentsim.server.credentials import SystemSecrets
from agentsim.server.errors import AccessDenied
from agentsim.server.http.context import Context, context_of
from agentsim.server.http.discovery import base_path
from agentsim.server.parties import Person

#: Pages that somebody may be sent on to after signing in, below our own base.
_DESTINATIONS = ("/authorize", "/account/grants")


@dataclass(frozen=True, slots=True)
class Visit:
    """One browser: its cookie, and who is signed in there. Without a person the cookie only ties forms to it."""

    cookie: str
    person: Person | None
    is_new: bool

    @property
    def csrf(self) -> str:
        """What our forms bring back: nobody who cannot read the cookie can make it."""
        return hashlib.sha256(b"agentsim form " + self.cookie.encode()).hexdigest()


async def visit_of(request: Request) -> Visit:
    """The browser that asks; one that is not known is given a cookie."""
    context = context_of(request)
    cookie = request.cookies.get(_name(context))
    if not cookie or len(cookie) > 64 or not cookie.isascii():
        return Visit(SystemSecrets().new(), None, is_new=True)
    return Visit(cookie, await asyncio.to_thread(context.accounts.person_of, cookie), is_new=False)


def remember(response: Response, context: Context, visit: Visit) -> Response:
    """Let a browser that is new keep its cookie."""
    if visit.is_new:
        set_cookie(response, context, visit.cookie)
    return response


def set_cookie(response: Response, context: Context, value: str) -> None:
    """Give a browser its cookie: out of the reach of scripts, and of requests that other sites make."""
    response.set_cookie(
        _name(context),
        value,
        max_age=SESSION_US // SECOND,
        path="/" if _is_secure(context) else base_path(context.server.policy.issuer) or "/",
        secure=_is_secure(context),
        httponly=True,
        samesite="lax",
    )


def check_own_form(request: Request, form: Mapping[str, Any], visit: Visit) -> None:
    """Refuse a form that another site has sent, or that belongs to another session.

    Raises
    ------
    AccessDenied
        ``foreign_form``.
    """
    issuer = context_of(request).server.policy.issuer
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "same-origin")
    is_ours = origin is None or origin == "{0.scheme}://{0.netloc}".format(urlsplit(issuer))
    sent = str(form.get("csrf", ""))
    if not is_ours or site not in ("same-origin", "none") or not _equal(sent, visit.csrf):
        raise AccessDenied(
            "foreign_form",
            "this form is not from this session",
            hint="Go back, load the page anew, and try again.",
        )


def own_destination(path: str, issuer: str) -> str:
    """Where to go on after signing in: one of our own pages, whatever is asked for."""
    base = base_path(issuer)
    try:
        parts = urlsplit(path)
    except ValueError:
        return f"{base}/account/grants"
    is_plain = path.isascii() and path.isprintable() and "\\" not in path
    is_ours = not parts.scheme and not parts.netloc and parts.path in [base + each for each in _DESTINATIONS]
    return path if is_plain and is_ours else f"{base}/account/grants"


def _name(context: Context) -> str:
    # The prefix makes browsers refuse it over plain HTTP, and from any host but this.
    return "__Host-agentsim" if _is_secure(context) else "agentsim"


def _is_secure(context: Context) -> bool:
    return context.server.policy.issuer.startswith("https:")


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
