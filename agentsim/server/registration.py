"""Registration: an administrator makes an agent known, the registration token activates it, once."""

from agentsim.server import scopes
from agentsim.server.answers import Activation, Registration
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row
from agentsim.server.checks import check_not_an_agent, check_text
from agentsim.server.credentials import client_name, digest, keyed_token, matches, parse_keyed_token
from agentsim.server.errors import InvalidGrant, InvalidRequest
from agentsim.server.operations import Confirm, Register

ACTOR_CLASSES = ("agent", "human")


def register(batch: Batch, request: Register, entry: Entry) -> Registration:
    """Store an agent's profile and make its credentials; it stays inactive until confirmed."""
    now = entry.timestamp
    check_text(
        agent_name=request.agent_name,
        description=request.description,
        role=request.role,
        owner=request.by.owner,
    )
    check_not_an_agent(owner=request.by.owner)
    if not request.agent_name or not request.by.owner:
        raise InvalidRequest("invalid_request", "agent_name and owner must not be empty")
    if batch.policy.rank(request.max_scope_level) is None:
        raise InvalidRequest(
            "invalid_request",
            "unknown max_scope_level",
            asked=request.max_scope_level,
            allowed=list(batch.policy.levels),
        )
    if request.actor_class not in ACTOR_CLASSES:
        raise InvalidRequest(
            "invalid_request", "unknown actor_class", asked=request.actor_class, allowed=list(ACTOR_CLASSES)
        )
    tools = scopes.canonical_tools(request.allowed_tools)
    resources = scopes.canonical_resources(request.resource_access)
    extra = scopes.canonical_scope(request.scope)
    allowed = scopes.union(scopes.product(tools, resources), extra)

    client_id = batch.ids.next(now)
    client_secret = batch.secrets.new()
    registration_token = keyed_token("reg", client_id, batch.secrets.new())
    row: Row = {
        "client_id": client_id,
        "client_secret_hash": digest(client_secret),
        "agent_name": request.agent_name,
        "description": request.description,
        "registered_allowed_tools": tools,
        "registered_allowed_res": resources,
        "registered_scope": extra,
        "max_scope_level": request.max_scope_level,
        "registration_token": digest(registration_token),
        "registration_expires_at": now + batch.policy.registration_ttl_us,
        "is_active": False,
        "created_at": now,
        "updated_at": now,
        "owner": request.by.owner,
        "role": request.role,
        "actor_class": request.actor_class,
    }
    batch.inserts["agents"].append(row)
    batch.loaded.agents[client_id] = row
    entry.client_id = client_id
    entry.details = {
        "agent_name": request.agent_name,
        "role": request.role,
        "tools": scopes.members(tools),
        "resources": scopes.members(resources),
        "level": request.max_scope_level,
    }
    return Registration(
        log_id=0,
        client_id=client_name(client_id),
        client_secret=client_secret,
        allowed_scopes=list(scopes.members(allowed)),
        registration_token=registration_token,
        registration_expires_at=row["registration_expires_at"],
    )


def confirm(batch: Batch, request: Confirm, entry: Entry) -> Activation:
    """Redeem a registration token; a second use, or one too late, is refused."""
    now = entry.timestamp
    client_id = parse_keyed_token("reg", request.registration_token)
    agent = None if client_id is None else batch.loaded.agents.get(client_id)
    if (
        client_id is None
        or agent is None
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
