"""From values to a page, with the headers that keep others' scripts, frames and caches away from it."""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

from agentsim.server import scopes
from agentsim.server.errors import OAuthError, TooManyRequests
from agentsim.server.http.discovery import base_path
from agentsim.server.http.responses import NO_STORE, RETRY_AFTER
from agentsim.server.parties import Person

_HEADERS = {
    **NO_STORE,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    # Not "no-referrer": then browsers leave the origin out of form posts, too, and it is looked at.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
#: What a fault is called to a person.
_HEADINGS = {
    403: "This cannot be done",
    404: "There is no such page",
    429: "Too many attempts",
    503: "Not at present",
}


@lru_cache(1)
def _templates() -> Environment:
    loader = PackageLoader("agentsim.server.http.pages")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def page(
    name: str,
    issuer: str,
    *,
    status: int = 200,
    person: Person | None = None,
    csrf: str = "",
    form_target: str = "",
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """A page made from a template.

    Parameters
    ----------
    person, csrf : who is signed in, and what the page's forms must bring back.
    form_target : where else than here a form's answer may lead: browsers hold redirects against it, too.
    """
    body = (
        _templates()
        .get_template(f"{name}.html")
        .render(base=base_path(issuer), host=urlsplit(issuer).netloc, person=person, csrf=csrf, **values)
    )
    policy = (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; "
        f"form-action 'self' {form_target}".strip()
    )
    return Response(
        body,
        status,
        {**_HEADERS, "Content-Security-Policy": policy, **(headers or {})},
        media_type="text/html",
    )


def fault_page(error: OAuthError, issuer: str, person: Person | None = None, csrf: str = "") -> Response:
    """A refusal, in words for a person."""
    status = error.status if error.status in _HEADINGS else 400
    headers = {}
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.retry_after)
    elif status == 503:
        headers["Retry-After"] = str(RETRY_AFTER)
    return page(
        "fault",
        issuer,
        status=status,
        person=person,
        csrf=csrf,
        headers=headers,
        heading=_HEADINGS.get(status, "This request cannot be understood"),
        text=f"{error.description[:1].upper()}{error.description[1:]}.",
        hint=error.hint,
        reason=error.reason,
    )


def redirect(url: str) -> Response:
    """To another page, by GET."""
    return RedirectResponse(url, 303, {**_HEADERS, "Content-Security-Policy": "default-src 'none'"})


@lru_cache(1)
def stylesheet() -> bytes:
    """The one style of all pages."""
    return (files("agentsim.server.http.pages") / "templates" / "pages.css").read_bytes()


def permissions(scope: str) -> list[tuple[str, list[str]]]:
    """A scope for people: each tool with the resources that it may be used on; none for an atom."""
    found: dict[str, list[str]] = {}
    for member in scopes.members(scope):
        tool, _, resource = member.partition(":")
        found.setdefault(tool, [])
        if resource:
            found[tool].append(resource)
    return list(found.items())
