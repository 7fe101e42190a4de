"""Terms: what a grant is for, held against what bounds it."""

from dataclasses import dataclass
from typing import Any

from agentsim.server import scopes
from agentsim.server.batch import Batch, Row
from agentsim.server.checks import decide_audience, decide_level, within
from agentsim.server.claims import Claims
from agentsim.server.credentials import parse_client_name
from agentsim.server.errors import InvalidRequest, InvalidScope
from agentsim.server.operations.grants import Issue, IssueChild, Refresh
from agentsim.server.rules import check_rules, tools_within_rules, within_rules


@dataclass(slots=True, kw_only=True)
class Terms:
    """What a grant is for: canonical texts, the resource servers, and who else may take a child below it."""

    scope: str
    tools: str
    resources: str
    level: str
    audience: tuple[str, ...]
    may_act: int | None
    authorization_details: bool


def bounded_terms(batch: Batch, request: Issue | IssueChild, agent: Row, parent: Claims | None) -> Terms:
    """Hold what is asked for against the parent's token, where there is one, and the registration."""
    registered_tools, registered_resources = (
        agent["registered_allowed_tools"],
        agent["registered_allowed_res"],
    )
    registered = _registered_scope(agent)
    if isinstance(request, IssueChild) and request.scope_inheritance != "restricted":
        if request.scope_inheritance != "full" or parent is None:
            raise InvalidRequest(
                "invalid_request",
                "unknown scope_inheritance",
                asked=request.scope_inheritance[:80],
                allowed=["restricted", "full"],
            )
        scope = within_rules(batch.policy, agent["role"], scopes.overlap(parent.scope, registered))
        tools = tools_within_rules(
            batch.policy, agent["role"], scopes.overlap(parent.tools, registered_tools)
        )
        resources = scopes.overlap(parent.resources, registered_resources)
    else:
        scope, tools, resources = _asked_sets(request)
        if parent is not None:
            within("scope", scope, parent.scope, "parent")
            within("tools", tools, parent.tools, "parent")
            within("resources", resources, parent.resources, "parent")
        within("scope", scope, registered, "registration")
        within("tools", tools, registered_tools, "registration")
        within("resources", resources, registered_resources, "registration")
        check_rules(batch.policy, agent["role"], scope, tools)
    if not scope:
        raise InvalidScope("malformed_scope", "nothing was asked for: name a scope, or tools and resources")
    level = decide_level(
        batch,
        request.scope_level,
        agent["max_scope_level"],
        parent.level if parent else None,
        _needed_tools(tools, scope),
    )
    return Terms(
        scope=scope,
        tools=tools,
        resources=resources,
        level=level,
        audience=decide_audience(batch, request.resource, parent.audience if parent else None),
        may_act=_named_actor(request.may_act),
        authorization_details=request.authorization_details,
    )


def refreshed_terms(batch: Batch, first: Row, request: Refresh, agent: Row) -> Terms:
    """The grant's own terms, as far as they are registered still.

    A narrower scope takes the tools and resources along that only it named.
    """
    granted, registered = first["scope"], _registered_scope(agent)
    policy, role = batch.policy, agent["role"]
    tools = tools_within_rules(policy, role, _kept(first["granted_tools"], agent["registered_allowed_tools"]))
    resources = _kept(first["granted_resources"], agent["registered_allowed_res"])
    scope = within_rules(policy, role, _kept(granted, registered))
    if request.scope is not None:
        scope = scopes.canonical_scope(request.scope)
        if not scope:
            raise InvalidScope("malformed_scope", "nothing was asked for: name a scope, or leave it out")
        surplus = scopes.excess(scope, granted)
        if surplus:
            raise InvalidScope(
                "scope_widened", "a refresh may narrow the scope, never widen it", asked=list(surplus[:20])
            )
        within("scope", scope, registered, "registration")
        check_rules(policy, role, scope)
    elif not scope:
        within("scope", granted, registered, "registration")
        check_rules(policy, role, granted)
    if request.scope is not None or scope != granted:
        tools = _left(tools, scopes.actions(granted), scopes.actions(scope))
        resources = _left(resources, scopes.resources_of(granted), scopes.resources_of(scope))
    return Terms(
        scope=scope,
        tools=tools,
        resources=resources,
        level=decide_level(
            batch, None, agent["max_scope_level"], first["max_scope_level"], _needed_tools(tools, scope)
        ),
        audience=decide_audience(batch, request.resource, tuple(first["audience"].split())),
        may_act=first["may_act"],
        authorization_details=first["authorization_details"],
    )


def asked_details(request: Issue | IssueChild) -> dict[str, Any]:
    """What a refused request asked for, cut to a size that an audit row can hold."""
    return {
        "scope": None if request.scope is None else request.scope[:1024],
        "tools": None
        if request.required_tools is None
        else [name[:80] for name in request.required_tools[:50]],
        "resources": None
        if request.required_resources is None
        else [name[:80] for name in request.required_resources[:50]],
        "level": None if request.scope_level is None else request.scope_level[:80],
    }


def _registered_scope(agent: Row) -> str:
    """Each registered tool with each registered resource, and the scopes beside them."""
    product = scopes.product(agent["registered_allowed_tools"], agent["registered_allowed_res"])
    return scopes.union(product, agent["registered_scope"])


def _needed_tools(tools: str, scope: str) -> tuple[str, ...]:
    return scopes.members(scopes.union(tools, scopes.actions(scope)))


def _kept(granted: str, registered: str) -> str:
    """What was granted as far as it is registered still: mostly all of it, and then as it was written."""
    return scopes.overlap(granted, registered) if scopes.excess(granted, registered) else granted


def _named_actor(name: str | None) -> int | None:
    """The agent that ``may_act`` names.

    Raises
    ------
    InvalidRequest
        Where it is no agent's name.
    """
    if name is None:
        return None
    client_id = parse_client_name(name)
    if client_id is None:
        raise InvalidRequest("invalid_request", "may_act must be an agent's client_id", asked=name[:80])
    return client_id


def _asked_sets(request: Issue | IssueChild) -> tuple[str, str, str]:
    """Scope, tools and resources as asked for, each from the others where it is not named."""
    tools = None if request.required_tools is None else scopes.canonical_tools(request.required_tools)
    resources = (
        None if request.required_resources is None else scopes.canonical_resources(request.required_resources)
    )
    if request.scope is not None:
        scope = scopes.canonical_scope(request.scope)
    else:
        scope = scopes.product(tools or "", resources or "")
    return (
        scope,
        scopes.actions(scope) if tools is None else tools,
        scopes.resources_of(scope) if resources is None else resources,
    )


def _left(names: str, named: str, still_named: str) -> str:
    """What is left of granted names: those that the scope still names, and those that it never named."""
    never = " ".join(scopes.excess(names, named))
    return scopes.union(never, scopes.overlap(names, still_named))
