"""The checks that every mode shares; pure, so that all of them decide alike and as the server would."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from agentsim.resources.refusals import insufficient, invalid, malformed
from agentsim.server import scopes
from agentsim.server.claims import Claims
from agentsim.server.clock import SECOND


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a route needs of a token.

    ``scope`` is a space-delimited string, ``task_id`` the task that the caller says it works on.
    """

    scope: str | None = None
    tool: str | None = None
    task_id: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a token that holds; ``expires_at`` in microseconds."""

    client_id: str
    subject: str
    scope: str
    tools: str
    task_id: str
    audience: tuple[str, ...]
    expires_at: int
    #: Whether its uses cost something: only the token server can count them.
    budgeted: bool
    #: The token's claims, or what introspection has told.
    members: Mapping[str, Any]


class Checker(Protocol):
    """One way to check a token."""

    async def check(self, token: str, wanted: Wanted) -> Facts:
        """What is known of a token that may be used for this.

        Raises
        ------
        Refusal
            If it may not, or nobody can say.
        """


def facts_of(claims: Claims, payload: Mapping[str, Any]) -> Facts:
    """What a token says of itself."""
    return Facts(
        client_id=str(payload["client_id"]),
        subject=claims.principal,
        scope=claims.scope,
        tools=claims.tools,
        task_id=claims.task_id,
        audience=claims.audience,
        expires_at=claims.expires_at,
        budgeted=claims.budget is not None,
        members=payload,
    )


def told_facts(members: Mapping[str, Any]) -> Facts:
    """What introspection tells of an active token (RFC 7662 section 2.2)."""
    audience = members["aud"]
    return Facts(
        client_id=str(members["client_id"]),
        subject=str(members["sub"]),
        scope=str(members.get("scope", "")),
        tools=scopes.canonical_tools(members.get("allowed_tools", ())),
        task_id=str(members["task_id"]),
        audience=(audience,) if isinstance(audience, str) else tuple(audience),
        expires_at=int(members["exp"]) * SECOND,
        budgeted="budget" in members,
        members=members,
    )


def check_use(facts: Facts, wanted: Wanted, audience: str, now: int) -> None:
    """Hold what is known of a token against what is wanted, in the order in which the server does.

    Raises
    ------
    Refusal
        Expired, for another resource server, of another task, without the tool or the scope.
    """
    if now >= facts.expires_at:
        raise invalid("expired", "the token has expired")
    if audience not in facts.audience:
        raise invalid("wrong_audience", "the token is not for this resource server")
    if wanted.task_id is None:
        raise malformed("no_task", "the header Task-Id must name the task")
    if wanted.task_id != facts.task_id:
        raise invalid("task_mismatch", "the token is bound to another task")
    if wanted.tool is not None and scopes.excess(wanted.tool, facts.tools):
        raise insufficient(
            "tool_not_granted", f"the token does not have the tool {wanted.tool}", wanted.scope
        )
    if wanted.scope is not None and scopes.excess(scopes.canonical_scope(wanted.scope), facts.scope):
        raise insufficient("insufficient_scope", "the token does not have this scope", wanted.scope)
