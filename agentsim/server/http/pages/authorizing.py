"""The authorization endpoint: an agent asks a person (RFC 6749 section 3.1), PKCE and ``iss`` included (RFC 9207)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.admission import is_text
from agentsim.server.answers import Consent, Noted
from agentsim.server.clock import SECOND
from agentsim.server.errors import InvalidRequest, OAuthError
from agentsim.server.http.bodies import REPEATABLE, checked, pairs_of_query, read_form
from agentsim.server.http.context import context_of, source_of
from agentsim.server.http.discovery import base_path
from agentsim.server.http.grant_requests import terms_of
from agentsim.server.http.models import AuthorizationForm
from agentsim.server.http.pages.rendering import page, permissions, redirect
from agentsim.server.http.pages.visits import check_own_form, visit_of
from agentsim.server.http.responses import error_members
from agentsim.server.operations.consent import AskConsent, Authorize, Deny
from agentsim.server.parties import Person

_LIFETIMES = ((900, "15 minutes"), (3600, "1 hour"), (8 * 3600, "8 hours"), (24 * 3600, "1 day"))


async def show(request: Request) -> Response:
    """Show a person what an agent asks for."""
    context = context_of(request)
    issuer = context.server.policy.issuer
    parameters = _query(request)
    form = _checked(parameters)
    visit = await visit_of(request)
    if visit.person is None:
        here = f"{base_path(issuer)}/authorize?{request.url.query}"
        return redirect(f"{base_path(issuer)}/signin?next={quote(here, safe='')}")
    asked = _operation(AskConsent, request, form, visit.person)
    try:
        consent = await context.gatherer.ask_one(asked, Consent, first=True)
        _check_response_type(form)
    except OAuthError as error:
        return _refused(error, form, issuer)
    return page(
        "consent",
        issuer,
        person=visit.person,
        csrf=visit.csrf,
        form_target=_origin(form.redirect_uri or ""),
        consent=consent,
        client_id=form.client_id,
        permissions=permissions(consent.scope),
        lifetimes=_lifetimes(consent.lifetime_us // SECOND),
        request=[(name, each) for name, value in parameters.items() for each in _each(value)],
        destination=_origin(form.redirect_uri or ""),
    )


async def decide(request: Request) -> Response:
    """What the person decides: a code for the agent, or none."""
    context = context_of(request)
    issuer = context.server.policy.issuer
    parameters = await read_form(request)
    visit = await visit_of(request)
    check_own_form(request, parameters, visit)
    form = _checked(parameters)
    if visit.person is None:
        raise InvalidRequest("not_signed_in", "nobody is signed in any more", hint="Sign in and try again.")
    allowed = parameters.get("decision") == "allow"
    # The same checks either way: nobody is sent to an address that is not registered.
    asked = _operation(Authorize if allowed else AskConsent, request, form, visit.person)
    try:
        consent = await context.gatherer.ask_one(asked, Consent, first=True)
    except OAuthError as error:
        return _refused(error, form, issuer)
    if allowed:
        return _answered(form, issuer, {"code": consent.code})
    denial = Deny(by=visit.person, client_id=form.client_id or "", source_ip=source_of(request))
    await context.gatherer.ask_one(denial, Noted, first=True)
    return _answered(form, issuer, {"error": "access_denied", "error_description": "the person said no"})


def _query(request: Request) -> dict[str, Any]:
    """The parameters; only those of RFC 8707 may come again."""
    found: dict[str, Any] = {}
    for name, value in pairs_of_query(request):
        if name in REPEATABLE:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise InvalidRequest("repeated_parameter", f"{name[:80]} is given twice")
        elif value:
            found[name] = value
    return found


def _checked(parameters: Mapping[str, Any]) -> AuthorizationForm:
    """The request, in form: what is not can only be told to the person, since nobody knows yet who asks."""
    if not all(is_text(each) for value in parameters.values() for each in _each(value)):
        raise InvalidRequest("malformed_query", "a parameter holds characters that no name has")
    form = checked(AuthorizationForm, dict(parameters))
    if form.client_id is None or form.redirect_uri is None:
        raise InvalidRequest("missing_parameter", "client_id and redirect_uri are needed")
    return form


def _operation(
    kind: type[AskConsent], request: Request, form: AuthorizationForm, person: Person
) -> AskConsent:
    return kind(
        by=person,
        client_id=form.client_id or "",
        redirect_uri=form.redirect_uri or "",
        code_challenge=form.code_challenge or "",
        code_challenge_method=form.code_challenge_method or "plain",
        lifetime_us=None if form.lifetime is None else form.lifetime * SECOND,
        source_ip=source_of(request),
        **terms_of(form),
    )


def _check_response_type(form: AuthorizationForm) -> None:
    if form.response_type != "code":
        raise UnsupportedResponseType("unsupported_response_type", "response_type must be code")


class UnsupportedResponseType(OAuthError):
    """Nothing but codes is given here."""

    error, status = "unsupported_response_type", 400
    # Asked after the address.
    answerable = True


def _refused(error: OAuthError, form: AuthorizationForm, issuer: str) -> Response:
    """Tell the agent, where it is known that it is the agent that is told; else the person: no open redirects."""
    if not error.answerable:
        raise error
    members = error_members(error)
    return _answered(form, issuer, {name: members[name] for name in ("error", "error_description")})


def _answered(form: AuthorizationForm, issuer: str, members: dict[str, str]) -> Response:
    """Back to the agent, with its state and who we are."""
    parts = urlsplit(form.redirect_uri or "")
    more = {**members, "iss": issuer} | ({} if form.state is None else {"state": form.state})
    query = "&".join(filter(None, (parts.query, urlencode(more))))
    return redirect(urlunsplit(parts._replace(query=query)))


def _origin(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def _lifetimes(longest: int) -> list[tuple[int, str]]:
    """Seconds and words, the longest that the policy allows last."""
    shorter = [(seconds, words) for seconds, words in _LIFETIMES if seconds < longest]
    words = dict(_LIFETIMES).get(
        longest, f"{longest // 3600} hours" if longest >= 7200 else f"{longest} seconds"
    )
    return [*shorter, (longest, f"{words}, the longest")]


def _each(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
