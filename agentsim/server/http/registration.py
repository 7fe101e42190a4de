"""Registration over HTTP: RFC 7591 for an administrator, RFC 7592 for whoever holds the registration access token."""

from typing import Any
from urllib.parse import quote

import jwt
import orjson
from starlette.requests import Request
from starlette.responses import Response

from agentsim.server.answers import Activation, AgentProfile, AgentRecord, NewSecret, Registration
from agentsim.server.clock import SECOND
from agentsim.server.errors import (
    InvalidClientMetadata,
    InvalidSoftwareStatement,
    UnapprovedSoftwareStatement,
)
from agentsim.server.http.bodies import read_json
from agentsim.server.http.callers import bearer_of
from agentsim.server.http.context import context_of, source_of
from agentsim.server.http.models import (
    ConfirmationRequest,
    ReasonRequest,
    RegistrationRequest,
    UpdateRequest,
)
from agentsim.server.http.responses import NO_STORE, json_response
from agentsim.server.operations.agents import (
    Confirm,
    Disable,
    Enable,
    ReadAgent,
    Register,
    RotateSecret,
    UpdateAgent,
)
from agentsim.server.parties import Admin, RegistrationAccess

#: Seconds; 0 says never (RFC 7591 section 3.2.1).
_NEVER = 0


async def register(request: Request) -> Response:
    """Register an agent; it stays pending until its registration token is redeemed."""
    context = context_of(request)
    by = context.gate.admit(request)
    asked = await read_json(request, RegistrationRequest)
    _refuse_statements(asked)
    operation = Register(
        by=by,
        agent_name=_name_of(asked.client_name, asked.agent_name) or "",
        jwks=_keys_of(asked.jwks),
        source_ip=source_of(request),
        **asked.model_dump(exclude={"client_name", "agent_name", "jwks", "jwks_uri", "software_statement"}),
    )
    answer = await context.gatherer.ask_one(operation, Registration)
    members = profile_members(answer.profile) | {
        "registration_token": answer.registration_token,
        "registration_expires_at": answer.registration_expires_at // SECOND,
        "registration_access_token": answer.registration_access_token,
        "registration_client_uri": _client_uri(context.server.policy.issuer, answer.client_id),
    }
    if answer.client_secret is not None:
        members |= {"client_secret": answer.client_secret, "client_secret_expires_at": _NEVER}
    return json_response(members, 201)


async def confirm(request: Request) -> Response:
    """Activate an agent with its registration token, which is authentication enough."""
    asked = await read_json(request, ConfirmationRequest)
    operation = Confirm(registration_token=asked.registration_token, source_ip=source_of(request))
    answer = await context_of(request).gatherer.ask_one(operation, Activation)
    return json_response({"client_id": answer.client_id, "status": answer.status})


async def read_agent(request: Request) -> Response:
    """What is registered of an agent (RFC 7592 section 2.1)."""
    by = _manager(request)
    operation = ReadAgent(by=by, client_id=_named(request), source_ip=source_of(request))
    return _record(request, await context_of(request).gatherer.ask_one(operation, AgentRecord), by)


async def update_agent(request: Request) -> Response:
    """Replace what is registered of an agent (RFC 7592 section 2.2)."""
    by = _manager(request)
    asked = await read_json(request, UpdateRequest)
    if asked.client_id != _named(request):
        raise InvalidClientMetadata("another_client", "client_id is not that of the address")
    operation = UpdateAgent(
        by=by,
        client_id=_named(request),
        agent_name=_name_of(asked.client_name, asked.agent_name),
        jwks=_keys_of(asked.jwks),
        source_ip=source_of(request),
        **asked.model_dump(exclude={"client_id", "client_name", "agent_name", "jwks"}),
    )
    return _record(request, await context_of(request).gatherer.ask_one(operation, AgentRecord), by)


async def delete_agent(request: Request) -> Response:
    """Deregister an agent (RFC 7592 section 2.3): it is disabled, and what was issued to it ends."""
    operation = Disable(
        by=_manager(request), client_id=_named(request), reason="deregistered", source_ip=source_of(request)
    )
    await context_of(request).gatherer.ask_one(operation, AgentRecord)
    return Response(status_code=204, headers=NO_STORE)


async def rotate_secret(request: Request) -> Response:
    """Give an agent a new secret; the old one ends at once."""
    operation = RotateSecret(by=_manager(request), client_id=_named(request), source_ip=source_of(request))
    answer = await context_of(request).gatherer.ask_one(operation, NewSecret)
    return json_response(
        {
            "client_id": answer.client_id,
            "client_secret": answer.client_secret,
            "client_secret_expires_at": _NEVER,
        }
    )


async def disable_agent(request: Request) -> Response:
    """Let an agent do nothing any more: an administrator's to do."""
    context = context_of(request)
    by = context.gate.admit(request)
    asked = await read_json(request, ReasonRequest)
    operation = Disable(by=by, client_id=_named(request), reason=asked.reason, source_ip=source_of(request))
    return _record(request, await context.gatherer.ask_one(operation, AgentRecord), by)


async def enable_agent(request: Request) -> Response:
    """Let a disabled agent act again; what was ended stays ended."""
    context = context_of(request)
    by = context.gate.admit(request)
    operation = Enable(by=by, client_id=_named(request), source_ip=source_of(request))
    return _record(request, await context.gatherer.ask_one(operation, AgentRecord), by)


def profile_members(profile: AgentProfile) -> dict[str, Any]:
    """What is registered, in the words of RFC 7591 and of the document."""
    members: dict[str, Any] = {
        "client_id": profile.client_id,
        "client_id_issued_at": profile.created_at // SECOND,
        "client_name": profile.agent_name,
        "agent_name": profile.agent_name,
        "description": profile.description,
        "status": profile.status,
        "allowed_tools": profile.allowed_tools,
        "resource_access": profile.resource_access,
        "allowed_scopes": profile.allowed_scopes,
        "scope": profile.scope,
        "max_scope_level": profile.max_scope_level,
        "role": profile.role,
        "owner": profile.owner,
        "actor_class": profile.actor_class,
        "grant_types": profile.grant_types,
        "redirect_uris": profile.redirect_uris,
        "token_endpoint_auth_method": profile.token_endpoint_auth_method,
    }
    if profile.jwks is not None:
        members["jwks"] = orjson.loads(profile.jwks)
    return members


def _record(request: Request, answer: AgentRecord, by: Admin | RegistrationAccess) -> Response:
    """A client information response (RFC 7592 section 3); the token in it is the one that was presented."""
    uri = _client_uri(context_of(request).server.policy.issuer, answer.profile.client_id)
    members = {**profile_members(answer.profile), "registration_client_uri": uri}
    if isinstance(by, RegistrationAccess):
        members["registration_access_token"] = by.token
    return json_response(members)


def _manager(request: Request) -> Admin | RegistrationAccess:
    """The administrator, or whoever holds the agent's registration access token."""
    token = bearer_of(request)
    gate = context_of(request).gate
    return gate.admit(request) if gate.is_admin(token) else RegistrationAccess(token)


def _named(request: Request) -> str:
    return str(request.path_params["client_id"])


def _client_uri(issuer: str, client_id: str) -> str:
    return f"{issuer.rstrip('/')}/register/{quote(client_id)}"


def _name_of(client_name: str | None, agent_name: str | None) -> str | None:
    if client_name is not None and agent_name is not None and client_name != agent_name:
        raise InvalidClientMetadata("two_names", "client_name and agent_name are the same and must agree")
    return client_name if client_name is not None else agent_name


def _keys_of(jwks: dict[str, Any] | None) -> str | None:
    try:
        return None if jwks is None else orjson.dumps(jwks).decode()
    except orjson.JSONEncodeError:
        raise InvalidClientMetadata("invalid_client_metadata", "jwks: nested too deeply") from None


def _refuse_statements(asked: RegistrationRequest) -> None:
    """What RFC 7591 knows and this server does not take on trust."""
    if asked.jwks_uri is not None:
        raise InvalidClientMetadata("jwks_uri", "keys are not fetched from elsewhere; give them as jwks")
    if asked.software_statement is None:
        return
    try:
        jwt.decode(asked.software_statement, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise InvalidSoftwareStatement("invalid_software_statement", "it is not a JWT") from None
    raise UnapprovedSoftwareStatement(
        "unapproved_software_statement", "no issuer of software statements is trusted here"
    )
