"""What a person has consented to, and taking it back."""

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.answers import Revocation
from agentsim.server.http.bodies import query_of, read_form
from agentsim.server.http.context import context_of, source_of
from agentsim.server.http.discovery import base_path
from agentsim.server.http.pages.rendering import page, permissions, redirect
from agentsim.server.http.pages.visits import check_own_form, visit_of
from agentsim.server.operations.consent import Withdraw
from agentsim.server.overview import parse_id

_NOTICES = {
    "one": "Withdrawn. The agent, and all it had handed this on to, can do nothing with it any more.",
    "all": "All withdrawn. No agent acts for you any more.",
}


async def show(request: Request) -> Response:
    """The living grants of whoever is signed in, newest first."""
    context = context_of(request)
    issuer = context.server.policy.issuer
    visit = await visit_of(request)
    if visit.person is None:
        return redirect(f"{base_path(issuer)}/signin?next={base_path(issuer)}/account/grants")
    query = query_of(request)
    before = parse_id(query["before"], "before") if "before" in query else None
    found = await asyncio.to_thread(context.overview.consents, visit.person, before=before)
    return page(
        "grants",
        issuer,
        person=visit.person,
        csrf=visit.csrf,
        grants=[_told(grant) for grant in found["grants"]],
        more=found["next"],
        notice=_NOTICES.get(query.get("withdrawn", "")),
    )


async def withdraw(request: Request) -> Response:
    """Take one grant back, or all of them."""
    context = context_of(request)
    form = await read_form(request)
    visit = await visit_of(request)
    check_own_form(request, form, visit)
    base = base_path(context.server.policy.issuer)
    if visit.person is None:
        return redirect(f"{base}/signin?next={base}/account/grants")
    grant_id = parse_id(form["grant_id"], "grant_id") if "grant_id" in form else None
    operation = Withdraw(by=visit.person, grant_id=grant_id, source_ip=source_of(request))
    await context.gatherer.ask_one(operation, Revocation, first=True)
    return redirect(f"{base}/account/grants?withdrawn={'all' if grant_id is None else 'one'}")


async def home(request: Request) -> Response:
    """The account: its grants are all there is to it."""
    return redirect(f"{base_path(context_of(request).server.policy.issuer)}/account/grants")


def _told(grant: dict[str, Any]) -> dict[str, Any]:
    last = grant["usage"]["last_at"]
    return {
        **grant,
        "permissions": permissions(grant["scope"]),
        "since": _minute(grant["issued_at"]),
        "until": _minute(grant["grant_expires_at"]),
        "last_used": None if last is None else _minute(last),
    }


def _minute(moment: str) -> str:
    """``2026-11-24T10:30:00.000Z`` for people."""
    return f"{moment[:10]} {moment[11:16]} UTC"
