"""Signing in and out."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.answers import Noted
from agentsim.server.http.bodies import query_of, read_form
from agentsim.server.http.context import context_of, source_of
from agentsim.server.http.discovery import base_path
from agentsim.server.http.pages.rendering import page, redirect
from agentsim.server.http.pages.visits import (
    Visit,
    check_own_form,
    own_destination,
    remember,
    set_cookie,
    visit_of,
)
from agentsim.server.operations.notes import NoteSignIn


async def show(request: Request) -> Response:
    """The page to sign in; whoever is signed in goes on."""
    issuer = context_of(request).server.policy.issuer
    following = own_destination(query_of(request).get("next", ""), issuer)
    visit = await visit_of(request)
    if visit.person is not None:
        return redirect(following)
    return remember(_page(issuer, visit, following), context_of(request), visit)


async def sign_in(request: Request) -> Response:
    """Sign in by account and password."""
    context = context_of(request)
    issuer = context.server.policy.issuer
    form = await read_form(request)
    visit = await visit_of(request)
    check_own_form(request, form, visit)
    account, password = str(form.get("account", ""))[:64], str(form.get("password", ""))
    following = own_destination(str(form.get("next", "")), issuer)
    context.attempts.count(account, source_of(request))
    async with context.attempts.turn:
        person = await asyncio.to_thread(context.accounts.sign_in, account, password)
    # What an unknown name says is nobody's account, and may be a password in the wrong field.
    note = NoteSignIn(
        account=person.account if person else "", granted=person is not None, source_ip=source_of(request)
    )
    if person is None:
        (_,) = await context.gatherer.ask([note], first=True)
        fault = "Account and password do not belong together."
        return _page(issuer, visit, following, account, fault, status=403)
    context.attempts.forgive(account, source_of(request))
    await context.gatherer.ask_one(note, Noted, first=True)
    response = redirect(following)
    # A value of its own: what the browser brought along may have been put there by somebody else.
    set_cookie(response, context, await asyncio.to_thread(context.accounts.begin_session, person))
    return response


async def sign_out(request: Request) -> Response:
    """End the session."""
    context = context_of(request)
    visit = await visit_of(request)
    check_own_form(request, await read_form(request), visit)
    await asyncio.to_thread(context.accounts.end_session, visit.cookie)
    return redirect(f"{base_path(context.server.policy.issuer)}/signin")


def _page(
    issuer: str, visit: Visit, following: str, account: str = "", fault: str = "", status: int = 200
) -> Response:
    return page(
        "signin",
        issuer,
        status=status,
        csrf=visit.csrf,
        next=following,
        asking="/authorize?" in following,
        account=account,
        fault=fault,
    )
