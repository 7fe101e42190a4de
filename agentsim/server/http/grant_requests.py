"""From a token request's parameters to the operation that it asks for; pure, so that forms and batches share it."""

from typing import Any

from agentsim.server.errors import (
    InvalidAuthorizationDetails,
    InvalidRequest,
    UnsupportedGrantType,
)
from agentsim.server.http.models import TaskForm, TokenForm
from agentsim.server.http.rich import AskedDetails, read_details
from agentsim.server.metadata import CLIENT_CREDENTIALS, GRANT_TYPES, REFRESH_TOKEN, TOKEN_EXCHANGE
from agentsim.server.operations.consent import Redeem
from agentsim.server.operations.grants import Issue, IssueChild, Refresh
from agentsim.server.parties import Credentials

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"
JWT_TYPE = "urn:ietf:params:oauth:token-type:jwt"
_SUBJECT_TYPES = (ACCESS_TOKEN_TYPE, JWT_TYPE)

#: What a token request may become.
GrantOperation = Issue | IssueChild | Redeem | Refresh


def grant_operation(form: TokenForm, by: Credentials, source_ip: str | None) -> GrantOperation:
    """The operation that a token request asks for.

    Raises
    ------
    InvalidRequest, UnsupportedGrantType, InvalidAuthorizationDetails, InvalidScope
        If the parameters do not make up a request of any grant that is offered.
    """
    match form.grant_type:
        case None:
            raise InvalidRequest("missing_parameter", "grant_type is missing", allowed=list(GRANT_TYPES))
        case "client_credentials" if form.parent_token is None:
            return Issue(by=by, may_act=form.may_act, source_ip=source_ip, **terms_of(form))
        case "client_credentials":
            # As the document has it: the child names its parent's token.
            return _child(form, by, form.parent_token, source_ip)
        case "authorization_code":
            return _redemption(form, by, source_ip)
        case "refresh_token":
            if form.refresh_token is None:
                raise InvalidRequest("missing_parameter", "refresh_token is missing")
            if form.authorization_details is not None:
                # Left unread, they would be taken for a narrowing that did not happen.
                raise InvalidAuthorizationDetails(
                    "not_with_refresh", "a refresh is narrowed by scope and resource, not by these"
                )
            return Refresh(
                by=by,
                refresh_token=form.refresh_token,
                scope=form.scope,
                resource=_targets(form),
                source_ip=source_ip,
            )
        case _ if form.grant_type == TOKEN_EXCHANGE:
            return _child(form, by, _subject_token(form), source_ip)
        case _:
            raise UnsupportedGrantType(
                "unsupported_grant_type",
                "no such grant is offered",
                asked=form.grant_type[:80],
                allowed=[CLIENT_CREDENTIALS, REFRESH_TOKEN, TOKEN_EXCHANGE],
            )


def _child(form: TokenForm, by: Credentials, parent_token: str | None, source_ip: str | None) -> IssueChild:
    assert parent_token is not None
    return IssueChild(
        by=by,
        parent_token=parent_token,
        parent_task_id=form.parent_task_id,
        scope_inheritance=form.scope_inheritance,
        may_act=form.may_act,
        source_ip=source_ip,
        **terms_of(form),
    )


def _subject_token(form: TokenForm) -> str:
    """The parent's token, by the rules of RFC 8693 section 2.1; the actor is the client that asks."""
    if form.subject_token is None or form.subject_token_type is None:
        raise InvalidRequest("missing_parameter", "subject_token and subject_token_type are needed")
    if form.subject_token_type not in _SUBJECT_TYPES:
        raise InvalidRequest(
            "unsupported_token_type",
            "the subject_token must be an access token",
            asked=form.subject_token_type[:80],
            allowed=list(_SUBJECT_TYPES),
        )
    if form.actor_token_type is not None and form.actor_token is None:
        raise InvalidRequest("missing_parameter", "actor_token_type goes with actor_token only")
    if form.actor_token is not None:
        raise InvalidRequest(
            "unsupported_actor_token", "the actor is the client that authenticates; leave actor_token out"
        )
    if form.requested_token_type not in (None, *_SUBJECT_TYPES):
        raise InvalidRequest(
            "unsupported_token_type",
            "only access tokens are issued",
            asked=form.requested_token_type[:80],
            allowed=list(_SUBJECT_TYPES),
        )
    return form.subject_token


def terms_of(form: TaskForm) -> dict[str, Any]:
    """What both kinds of grant say of their task and scope."""
    terms: dict[str, Any] = {
        "task_id": form.task_id,
        "task_description": form.task_description,
        "scope": form.scope,
        "required_tools": form.required_tools,
        "required_resources": form.required_resources,
        "scope_level": form.scope_level,
        "budget": form.budget,
        "resource": _targets(form),
    }
    if form.authorization_details is not None:
        terms |= _detailed_terms(form, read_details(form.authorization_details))
    return terms


def _redemption(form: TokenForm, by: Credentials, source_ip: str | None) -> Redeem:
    if form.code is None or form.redirect_uri is None or form.code_verifier is None:
        raise InvalidRequest("missing_parameter", "code, redirect_uri and code_verifier are needed")
    return Redeem(
        by=by,
        code=form.code,
        redirect_uri=form.redirect_uri,
        code_verifier=form.code_verifier,
        source_ip=source_ip,
    )


def _detailed_terms(form: TaskForm, details: AskedDetails) -> dict[str, Any]:
    """The same, said with authorization details; nothing may be said twice and differently."""
    if any(said is not None for said in (form.scope, form.required_tools, form.required_resources)):
        raise InvalidAuthorizationDetails(
            "said_twice", "authorization_details stand for scope, required_tools and required_resources"
        )
    for name, told, said in (
        ("task_id", form.task_id, details.task_id),
        ("scope_level", form.scope_level, details.level),
        ("budget", form.budget, details.budget),
    ):
        if told is not None and said is not None and told != said:
            raise InvalidAuthorizationDetails("said_twice", f"authorization_details and {name} differ")
    return {
        "scope": details.scope,
        "required_tools": details.tools,
        "required_resources": details.resources,
        "task_id": form.task_id or details.task_id,
        "scope_level": form.scope_level or details.level,
        "budget": details.budget if form.budget is None else form.budget,
        "authorization_details": True,
    }


def _targets(form: TaskForm) -> list[str]:
    """The resource servers that are named, by RFC 8707 or RFC 8693."""
    return [*(form.resource or ()), *(form.audience or ())]
