"""Registration: an administrator makes an agent known, the registration token activates it, once."""

from agentsim.server import scopes
from agentsim.server.answers import Activation, Registration
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row
from agentsim.server.checks import check_principal, check_text
from agentsim.server.credentials import client_name, digest, keyed_token, matches, parse_keyed_token
from agentsim.server.errors import AccessDenied, InvalidClientMetadata, InvalidGrant
from agentsim.server.metadata import (
    ACTOR_CLASSES,
    AUTH_METHODS,
    check_grant_types,
    check_keys,
    check_level,
    check_redirect_uris,
    one_of,
    profile_of,
)
from agentsim.server.operations.agents import Confirm, Register
from agentsim.server.rules import check_listed, check_role, check_rules


def register(batch: Batch, request: Register, entry: Entry) -> Registration:
    """Store an agent's profile and make its credentials; it stays inactive until confirmed (RFC 7591)."""
    now = entry.timestamp
    row = _checked_row(batch, request)
    client_id = batch.ids.next(now)
    client_secret = None
    if row["token_endpoint_auth_method"] != "private_key_jwt":
        client_secret = batch.secrets.new()
    registration_token = keyed_token("reg", client_id, batch.secrets.new())
    access_token = keyed_token("rat", client_id, batch.secrets.new())
    row |= {
        "client_id": client_id,
        "client_secret_hash": None if client_secret is None else digest(client_secret),
        "registration_token": digest(registration_token),
        "registration_expires_at": now + batch.policy.registration_ttl_us,
        "registration_access_hash": digest(access_token),
        "is_active": False,
        "disabled_at": None,
        "created_at": now,
        "updated_at": now,
    }
    batch.inserts["agents"].append(row)
    batch.loaded.agents[client_id] = row
    entry.client_id = client_id
    entry.details = {
        "agent_name": row["agent_name"],
        "role": row["role"],
        "tools": scopes.members(row["registered_allowed_tools"]),
        "resources": scopes.members(row["registered_allowed_res"]),
        "level": row["max_scope_level"],
    }
    profile = profile_of(row)
    return Registration(
        log_id=0,
        client_id=profile.client_id,
        client_secret=client_secret,
        allowed_scopes=profile.allowed_scopes,
        registration_token=registration_token,
        registration_expires_at=row["registration_expires_at"],
        registration_access_token=access_token,
        profile=profile,
    )


def _checked_row(batch: Batch, request: Register) -> Row:
    """The columns that the request decides, checked."""
    owner = request.by.owner if request.owner is None else request.owner
    check_text(agent_name=request.agent_name, description=request.description, role=request.role, owner=owner)
    check_principal(owner=owner)
    if not request.agent_name or not owner:
        raise InvalidClientMetadata("invalid_client_metadata", "the agent's name and owner must not be empty")
    # An owner's agents may ask about its tokens and work below its grants.
    if owner != request.by.owner and not request.by.everywhere:
        raise AccessDenied("not_entitled", "another owner's agents are not yours to register")
    method = one_of("token_endpoint_auth_method", request.token_endpoint_auth_method, AUTH_METHODS)
    tools = scopes.canonical_tools(request.allowed_tools)
    resources = scopes.canonical_resources(request.resource_access)
    scope = scopes.canonical_scope(request.scope)
    # Refused here rather than at the first token: too many tools with too many resources.
    scopes.product(tools, resources)
    check_listed(batch.policy, request.agent_name)
    check_role(batch.policy, request.role)
    check_rules(batch.policy, request.role, scope, tools, resources)
    return {
        "agent_name": request.agent_name,
        "description": request.description,
        "registered_allowed_tools": tools,
        "registered_allowed_res": resources,
        "registered_scope": scope,
        "max_scope_level": check_level(batch, request.max_scope_level),
        "grant_types": check_grant_types(request.grant_types, request.redirect_uris),
        "redirect_uris": check_redirect_uris(request.redirect_uris),
        "token_endpoint_auth_method": method,
        "jwks": check_keys(method, request.jwks),
        "owner": owner,
        "role": request.role,
        "actor_class": one_of("actor_class", request.actor_class, ACTOR_CLASSES),
    }


def confirm(batch: Batch, request: Confirm, entry: Entry) -> Activation:
    """Redeem a registration token; a second use, or one too late, is refused."""
    now = entry.timestamp
    client_id = parse_keyed_token("reg", request.registration_token)
    agent = None if client_id is None else batch.loaded.agents.get(client_id)
    if (
        client_id is None
        or agent is None
        or agent["disabled_at"] is not None
        or not matches(request.registration_token, agent["registration_token"])
    ):
        raise InvalidGrant("registration_token_invalid", "the registration token is unknown or has been used")
    entry.client_id = client_id
    if now >= agent["registration_expires_at"]:
        raise InvalidGrant(
            "registration_token_expired",
            "the registration token has expired",
            hint="register the agent again",
        )
    # A row of this batch is inserted before it is updated: inserted rows and loaded rows are confirmed alike.
    batch.loaded.agents[client_id] = {
        **agent,
        "is_active": True,
        "registration_token": None,
        "updated_at": now,
    }
    batch.confirmed.append((client_id, now))
    entry.details = {"agent_name": agent["agent_name"], "role": agent["role"]}
    return Activation(log_id=0, client_id=client_name(client_id))
