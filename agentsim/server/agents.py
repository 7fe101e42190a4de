"""Agents after registration: read, updated, given a new secret, disabled and enabled (RFC 7592)."""

from typing import Any

from agentsim.server import scopes
from agentsim.server.answers import AgentRecord, NewSecret
from agentsim.server.audit import Entry
from agentsim.server.batch import Batch, Row, told_grounds
from agentsim.server.checks import check_text
from agentsim.server.credentials import digest, matches, parse_client_name, parse_keyed_token
from agentsim.server.errors import AccessDenied, InvalidClientMetadata, InvalidToken
from agentsim.server.metadata import (
    check_grant_types,
    check_keys,
    check_level,
    check_redirect_uris,
    profile_of,
)
from agentsim.server.operations.agents import Disable, Enable, ReadAgent, RotateSecret, UpdateAgent
from agentsim.server.parties import Admin, RegistrationAccess
from agentsim.server.revocation import end_client
from agentsim.server.rules import check_listed, check_rules


def read_agent(batch: Batch, request: ReadAgent, entry: Entry) -> AgentRecord:
    """What is registered of an agent."""
    return AgentRecord(log_id=0, profile=profile_of(_agent_of(batch, request.by, request.client_id, entry)))


def update_agent(batch: Batch, request: UpdateAgent, entry: Entry) -> AgentRecord:
    """Replace what was given; an agent itself may not give itself more."""
    agent = _agent_of(batch, request.by, request.client_id, entry)
    if request.client_secret is not None and not matches(request.client_secret, agent["client_secret_hash"]):
        raise InvalidClientMetadata(
            "another_secret", "client_secret is not the present one", hint="leave it out, or have it rotated"
        )
    changes = _changes(batch, request, agent)
    if not isinstance(request.by, Admin):
        _refuse_more(batch, agent, changes)
    entry.details["changed"] = sorted(name for name, value in changes.items() if value != agent[name])
    if "registered_allowed_tools" in entry.details["changed"]:
        entry.details["tools"] = scopes.members(changes["registered_allowed_tools"])
    return AgentRecord(log_id=0, profile=profile_of(_change(batch, agent, entry.timestamp, changes)))


def rotate_secret(batch: Batch, request: RotateSecret, entry: Entry) -> NewSecret:
    """A new secret; the old one is refused from the next operation on."""
    agent = _agent_of(batch, request.by, request.client_id, entry)
    if agent["client_secret_hash"] is None:
        raise InvalidClientMetadata(
            "no_secret", "the agent authenticates itself with its own key", hint="replace its jwks instead"
        )
    secret = batch.secrets.new()
    _change(batch, agent, entry.timestamp, {"client_secret_hash": digest(secret)})
    return NewSecret(log_id=0, client_id=request.client_id, client_secret=secret)


def disable(batch: Batch, request: Disable, entry: Entry) -> AgentRecord:
    """End what was issued to an agent and all that hangs below, and let it ask for nothing more."""
    check_text(reason=request.reason)
    agent = _agent_of(batch, request.by, request.client_id, entry)
    entry.reason = request.reason[:80]
    if request.grounds is not None:
        entry.details["risk"] = told_grounds(request.grounds)
    changes: dict[str, Any] = {"is_active": False}
    if agent["disabled_at"] is None:
        changes["disabled_at"] = entry.timestamp
    revocation_id = end_client(
        batch, agent, reason=request.reason, revoked_by=entry.details["by"], now=entry.timestamp
    )
    entry.details |= {"revocation_id": revocation_id, "marks": [revocation_id]}
    return AgentRecord(log_id=0, profile=profile_of(_change(batch, agent, entry.timestamp, changes)))


def enable(batch: Batch, request: Enable, entry: Entry) -> AgentRecord:
    """Let a disabled agent act again; one that was never confirmed waits for that as before."""
    agent = _agent_of(batch, request.by, request.client_id, entry)
    if agent["disabled_at"] is None:
        raise InvalidClientMetadata("not_disabled", "the agent is not disabled")
    changes = {"is_active": agent["registration_token"] is None, "disabled_at": None}
    return AgentRecord(log_id=0, profile=profile_of(_change(batch, agent, entry.timestamp, changes)))


def _agent_of(batch: Batch, by: Admin | RegistrationAccess, client_id: str, entry: Entry) -> Row:
    """The agent, if the caller may manage it; which of unknown and forbidden it was is not told.

    Raises
    ------
    InvalidToken
        ``registration_access_invalid``: no such agent, a disabled one, or another's registration access token (RFC
        7592 section 2.1).
    AccessDenied
        ``not_entitled``: the administrator of another organisation.
    """
    entry.details = {"by": by.owner[:80] if isinstance(by, Admin) else "registration_access_token"}
    number = parse_client_name(client_id)
    agent = None if number is None else batch.loaded.agents.get(number)
    if isinstance(by, Admin):
        if agent is None or not (by.everywhere or by.owner == agent["owner"]):
            raise AccessDenied("not_entitled", "no such agent of yours")
    elif (
        agent is None
        or agent["disabled_at"] is not None
        or parse_keyed_token("rat", by.token) != number
        or not matches(by.token, agent["registration_access_hash"])
    ):
        raise InvalidToken("registration_access_invalid", "not the registration access token of this client")
    entry.client_id = agent["client_id"]
    return agent


def _changes(batch: Batch, request: UpdateAgent, agent: Row) -> dict[str, Any]:
    """New values of the columns that the request names, checked."""
    check_text(agent_name=request.agent_name, description=request.description)
    if request.agent_name == "":
        raise InvalidClientMetadata("invalid_client_metadata", "the agent's name must not be empty")
    changes: dict[str, Any] = {}
    if request.agent_name is not None:
        changes["agent_name"] = request.agent_name
    if request.description is not None:
        changes["description"] = request.description
    if request.allowed_tools is not None:
        changes["registered_allowed_tools"] = scopes.canonical_tools(request.allowed_tools)
    if request.resource_access is not None:
        changes["registered_allowed_res"] = scopes.canonical_resources(request.resource_access)
    if request.scope is not None:
        changes["registered_scope"] = scopes.canonical_scope(request.scope)
    if request.max_scope_level is not None:
        changes["max_scope_level"] = check_level(batch, request.max_scope_level)
    if request.redirect_uris is not None:
        changes["redirect_uris"] = check_redirect_uris(request.redirect_uris)
    if request.grant_types is not None or request.redirect_uris is not None:
        grant_types = agent["grant_types"].split() if request.grant_types is None else request.grant_types
        redirect_uris = (agent | changes)["redirect_uris"].split()
        changes["grant_types"] = check_grant_types(grant_types, redirect_uris)
    if request.jwks is not None:
        changes["jwks"] = check_keys(agent["token_endpoint_auth_method"], request.jwks)
    after = agent | changes
    tools, resources = after["registered_allowed_tools"], after["registered_allowed_res"]
    scopes.product(tools, resources)
    check_listed(batch.policy, after["agent_name"], agent["client_id"])
    if changes.keys() & {"registered_allowed_tools", "registered_allowed_res", "registered_scope"}:
        check_rules(batch.policy, agent["role"], after["registered_scope"], tools, resources)
    return changes


def _refuse_more(batch: Batch, agent: Row, changes: dict[str, Any]) -> None:
    for name in ("registered_allowed_tools", "registered_allowed_res", "registered_scope", "grant_types"):
        surplus = scopes.excess(changes.get(name, ""), agent[name])
        if surplus:
            raise InvalidClientMetadata(
                "more_than_registered",
                "an agent may give up what is registered for it, not add to it",
                asked=list(surplus[:20]),
                allowed=list(scopes.members(agent[name])[:20]),
                hint="ask an administrator",
            )
    level, registered = changes.get("max_scope_level"), batch.policy.rank(agent["max_scope_level"])
    if level is not None and (batch.policy.rank(level) or 0) > (-1 if registered is None else registered):
        raise InvalidClientMetadata(
            "more_than_registered",
            "an agent may lower its level, not raise it",
            asked=level,
            allowed=agent["max_scope_level"],
            hint="ask an administrator",
        )


def _change(batch: Batch, agent: Row, now: int, changes: dict[str, Any]) -> Row:
    changed = {**agent, **changes, "updated_at": now}
    batch.change_agent(changed)
    return changed
