"""The organisation's rules on scopes, roles and agents: patterns, and what they say of a set of scopes.

A pattern of scopes is ``*``, an atom, or ``action:resource[/path]`` in which a star stands for any action or any
resource; it covers by whole path segments, as scopes do. What is blocked is refused also where it is only a part of
what is asked for: with ``file_read:github/secret`` blocked, ``file_read:github`` is refused and
``file_read:github/public`` is not. A pattern of agents is a client_id or an agent_name with stars.
"""

import re
from collections.abc import Callable
from functools import lru_cache

from agentsim.server import scopes
from agentsim.server.batch import Batch, Row
from agentsim.server.credentials import client_name
from agentsim.server.errors import AccessDenied, InvalidClientMetadata, InvalidScope
from agentsim.server.lineage import Lineage
from agentsim.server.policy import Policy

_CACHE = 16_384
_Patterns = tuple[str, ...]


@lru_cache(_CACHE)
def covers(pattern: str, scope: str) -> bool:
    """Whether all that a scope allows lies within a pattern."""
    return _compare(pattern, scope, _within)


@lru_cache(_CACHE)
def touches(pattern: str, scope: str) -> bool:
    """Whether anything that a scope allows lies within a pattern."""
    return _compare(pattern, scope, lambda one, other: _within(one, other) or _within(other, one))


def allows(policy: Policy, role: str, scope: str) -> bool:
    """Whether the rules let an agent of this role have a scope."""
    return not _excess(policy, role, scope) and not _forbidden(policy, scope)


def check_rules(policy: Policy, role: str, scope: str, tools: str = "", resources: str = "") -> None:
    """Refuse what the organisation's rules do not let an agent of this role have.

    Parameters
    ----------
    scope, tools, resources : canonical texts. A tool is allowed where the role has it on any resource, a resource
        where the role has any tool on it or on a part of it.

    Raises
    ------
    InvalidScope
        ``scope_exceeds_role``, ``tools_exceed_role``, ``resources_exceed_role``, ``scope_blocked``.
    """
    if not _rules_scopes(policy):
        return
    for what, surplus in (
        ("scope_exceeds_role", _excess(policy, role, scope)),
        ("tools_exceed_role", _without(policy, role, tools, lambda name: f"{name}:*")),
        ("resources_exceed_role", _without(policy, role, resources, lambda name: f"*:{name}")),
    ):
        if surplus:
            raise InvalidScope(
                what,
                "the organisation's policy does not give this to the agent's role",
                asked=list(surplus[:20]),
                allowed=list(policy.role_scopes.get(role, ())[:20]),
            )
    if blocked := _forbidden(policy, scope):
        raise InvalidScope(
            "scope_blocked", "the organisation's policy does not allow this scope", asked=list(blocked[:20])
        )


def within_rules(policy: Policy, role: str, scope: str) -> str:
    """The part of a scope that the rules let an agent of this role have."""
    if not _rules_scopes(policy):
        return scope
    return " ".join(member for member in scopes.members(scope) if allows(policy, role, member))


def tools_within_rules(policy: Policy, role: str, tools: str) -> str:
    """The tools that the rules let an agent of this role have on any resource."""
    surplus = _without(policy, role, tools, lambda name: f"{name}:*")
    return " ".join(name for name in scopes.members(tools) if name not in surplus)


def check_role(policy: Policy, role: str) -> None:
    """Refuse a role that the policy does not name, where it names any.

    Raises
    ------
    InvalidClientMetadata
        ``role_unknown``.
    """
    if policy.role_scopes and role not in policy.role_scopes:
        raise InvalidClientMetadata(
            "role_unknown",
            "the organisation's policy has no such role",
            asked=role[:80],
            allowed=sorted(policy.role_scopes)[:50],
        )


def lists_agents(policy: Policy) -> bool:
    """Whether the policy has lists of agents, so that those of a token's lineage must be looked at."""
    return policy.allowed_agents != ("*",) or bool(policy.blocked_agents)


def check_listed(policy: Policy, name: str, client_id: int | None = None) -> None:
    """Refuse an agent that the policy blocks, or does not allow.

    Raises
    ------
    AccessDenied
        ``agent_blocked``.
    """
    if not lists_agents(policy):
        return
    names = (name,) if client_id is None else (name, client_name(client_id))
    if any(_matches(policy.blocked_agents, each) for each in names) or not any(
        _matches(policy.allowed_agents, each) for each in names
    ):
        raise AccessDenied("agent_blocked", "the organisation's policy does not let this agent act")


def check_agents(batch: Batch, lineage: Lineage) -> None:
    """Refuse what was issued to an agent that the policy blocks, or below one.

    Raises
    ------
    AccessDenied
        ``agent_blocked``.
    """
    # Not even a loop where there is nothing to find: every use of a token comes by here.
    if lists_agents(batch.policy):
        for _, client_id, _ in lineage:
            agent: Row | None = batch.loaded.agents.get(client_id)
            check_listed(batch.policy, "" if agent is None else agent["agent_name"], client_id)


def _rules_scopes(policy: Policy) -> bool:
    return bool(policy.role_scopes or policy.blocked_scopes) or policy.allowed_scopes != ("*",)


def _excess(policy: Policy, role: str, scope: str) -> _Patterns:
    return _uncovered(policy.role_scopes.get(role, ()), scope) if policy.role_scopes else ()


def _without(policy: Policy, role: str, names: str, wide: Callable[[str], str]) -> _Patterns:
    """Names on which the role has nothing at all."""
    if not policy.role_scopes:
        return ()
    patterns = policy.role_scopes.get(role, ())
    return tuple(
        name for name in scopes.members(names) if not any(_meet(pattern, wide(name)) for pattern in patterns)
    )


def _forbidden(policy: Policy, scope: str) -> _Patterns:
    return _uncovered(policy.allowed_scopes, scope) or _touched(policy.blocked_scopes, scope)


@lru_cache(_CACHE)
def _uncovered(patterns: _Patterns, scope: str) -> _Patterns:
    return tuple(
        member for member in scopes.members(scope) if not any(covers(pattern, member) for pattern in patterns)
    )


@lru_cache(_CACHE)
def _touched(patterns: _Patterns, scope: str) -> _Patterns:
    return tuple(
        member for member in scopes.members(scope) if any(touches(pattern, member) for pattern in patterns)
    )


@lru_cache(_CACHE)
def _meet(pattern: str, wide: str) -> bool:
    """Whether two patterns have a scope in common."""
    if pattern == "*":
        return True
    (action, colon, resource), (other_action, _, other_resource) = pattern.partition(":"), wide.partition(":")
    if not colon:
        return False
    together = "*" in (action, other_action) or action == other_action
    return together and (
        "*" in (resource, other_resource)
        or _within(resource, other_resource)
        or _within(other_resource, resource)
    )


def _compare(pattern: str, scope: str, related: Callable[[str, str], bool]) -> bool:
    if pattern == "*":
        return True
    (action, colon, resource), (asked, asked_colon, target) = pattern.partition(":"), scope.partition(":")
    if not colon or not asked_colon:
        return pattern == scope
    return action in ("*", asked) and (resource == "*" or related(resource, target))


def _within(outer: str, inner: str) -> bool:
    return inner == outer or inner.startswith(f"{outer}/")


@lru_cache(_CACHE)
def _matches(patterns: _Patterns, name: str) -> bool:
    return any(_compiled(pattern).fullmatch(name) for pattern in patterns)


@lru_cache(_CACHE)
def _compiled(pattern: str) -> re.Pattern[str]:
    # A star alone is special: brackets and question marks stand for themselves.
    return re.compile(".*".join(map(re.escape, pattern.split("*"))))
