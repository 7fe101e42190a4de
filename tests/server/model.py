"""What a token server must answer, in a page: written from the design and the document, not from the server's code.

Everything that ends is ended one by one and at once; nothing is packed, marked, cached or filled in. Each question is
answered by the reasons for which it must be refused, and where there are none it must be granted, with these values.
Which of several reasons it tells is the server's to choose. Times are microseconds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

LEVELS = ("minimal", "restricted", "standard", "elevated", "admin")
SECOND = 1_000_000
#: What is said of a parent's token instead.
_OF_PARENTS = {"revoked": "parent_revoked", "expired": "parent_expired", "token_malformed": "parent_invalid"}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The part of a policy that the stories change."""

    access_ttl: int = 100 * SECOND
    grant_ttl: int = 300 * SECOND
    registration_ttl: int = 200 * SECOND
    depth: int = 3
    fanout: int = 3
    budget: int | None = 6
    share: float = 0.5
    cost: int = 1


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asks a grant for; what is None is left to the server."""

    scope: str | None
    task: str
    level: str | None = None
    budget: int | None = None

    @property
    def members(self) -> frozenset[str]:
        return frozenset((self.scope or "").split())


@dataclass(eq=False, kw_only=True)
class Agent:
    owner: str
    tools: frozenset[str]
    #: Each tool with each resource that it may have.
    scope: frozenset[str]
    level: str
    confirm_by: int
    confirmed: bool = False
    disabled: bool = False


@dataclass(eq=False, kw_only=True)
class Grant:
    agent: Agent
    parent: "Grant | None"
    task: str
    principal: str
    scope: frozenset[str]
    tools: frozenset[str]
    level: str
    ends_at: int
    #: What it may spend or give to children still; None: it is not budgeted.
    left: int | None
    children: int = 0
    ended: bool = False
    ended_alone: bool = False
    given_back: bool = False

    def line(self) -> Iterator["Grant"]:
        """The grant and all above it."""
        yield self
        if self.parent:
            yield from self.parent.line()


@dataclass(eq=False, kw_only=True)
class Token:
    """An access token with its refresh token."""

    grant: Grant
    scope: frozenset[str]
    tools: frozenset[str]
    expires_at: int
    used: bool = False


@dataclass
class Expected:
    """The reasons against it; where there are none, what the answer says, and the token that it holds."""

    reasons: set[str]
    values: dict[str, Any] = field(default_factory=dict)
    token: Token | None = None


@dataclass
class Model:
    """A token server."""

    rules: Rules
    grants: list[Grant] = field(default_factory=list)
    dead_tasks: set[tuple[str, str]] = field(default_factory=set)

    def confirm(self, agent: Agent, now: int) -> Expected:
        reasons = {"registration_token_invalid"} if agent.confirmed or agent.disabled else set()
        reasons |= {"registration_token_expired"} if now >= agent.confirm_by else set()
        agent.confirmed |= not reasons
        return Expected(reasons)

    def enable(self, agent: Agent) -> Expected:
        reasons = set() if agent.disabled else {"not_disabled"}
        agent.disabled = False
        return Expected(reasons)

    def disable(self, agent: Agent) -> Expected:
        agent.disabled = True
        return self.end_agent(agent)

    def issue(self, agent: Agent, asked: Asked, principal: str, now: int) -> Expected:
        most = self.rules.budget
        reasons = may_not_ask(agent) | self._bounded(agent, None, asked)
        reasons |= (
            {"budget_exceeds_policy"} if None not in (asked.budget, most) and asked.budget > most else set()
        )
        if reasons:
            return Expected(reasons)
        grant = Grant(
            agent=agent,
            parent=None,
            task=asked.task,
            principal=principal,
            scope=asked.members,
            tools=actions(asked.members),
            level=asked.level or agent.level,
            ends_at=whole(now + self.rules.grant_ttl),
            left=most if asked.budget is None else asked.budget,
        )
        return self._give(grant, whole(now + self.rules.access_ttl), now)

    def exchange(self, agent: Agent, above: Token, asked: Asked, now: int) -> Expected:
        """A child; without a scope it takes all that its parent has and its agent may have."""
        parent, left = above.grant, above.grant.left
        tools = actions(asked.members)
        if asked.scope is None:
            asked = replace(asked, scope=" ".join(common(above.scope, agent.scope)))
            tools = above.tools & agent.tools
        reasons = may_not_ask(agent) | self._bounded(agent, above, asked)
        reasons |= {_OF_PARENTS[reason] for reason in self.inactive(above, now)}
        reasons |= {"not_delegated"} if parent.agent.owner != agent.owner else set()
        reasons |= {"depth_exceeded"} if len([*parent.line()]) > self.rules.depth else set()
        reasons |= {"fanout_exceeded"} if parent.children >= self.rules.fanout else set()
        reasons |= (
            {"budget_exceeds_parent"} if None not in (asked.budget, left) and asked.budget > left else set()
        )
        if reasons:
            return Expected(reasons)
        parent.children += 1
        given = int(left * self.rules.share) if left is not None and asked.budget is None else asked.budget
        if left is not None:
            parent.left = left - given
        grant = Grant(
            agent=agent,
            parent=parent,
            task=asked.task,
            principal=parent.principal,
            scope=asked.members,
            tools=tools,
            level=asked.level or min(agent.level, parent.level, key=LEVELS.index),
            ends_at=min(whole(now + self.rules.grant_ttl), parent.ends_at),
            left=given,
        )
        return self._give(grant, min(whole(now + self.rules.access_ttl), above.expires_at), now)

    def refresh(self, agent: Agent, old: Token, *, scope: str | None, now: int) -> Expected:
        """Once; whoever comes a second time, if only it is its agent, ends the grant."""
        grant = old.grant
        reasons = may_not_ask(agent)
        reasons |= {"wrong_client"} if agent is not grant.agent else set()
        reasons |= {"refresh_revoked"} if self.is_dead(grant) else set()
        if old.used and not reasons:
            grant.ended = True
            return Expected({"refresh_reused"})
        asked = grant.scope if scope is None else frozenset(scope.split())
        reasons |= {"refresh_expired"} if now >= grant.ends_at else set()
        reasons |= malformed(asked) | ({"scope_widened"} if not covered(asked, grant.scope) else set())
        if reasons:
            return Expected(reasons)
        old.used = True
        # What only a scope that was left out has named goes with it.
        tools = grant.tools - (actions(grant.scope) - actions(asked))
        expires_at = min(whole(now + self.rules.access_ttl), grant.ends_at)
        return self._answer(Token(grant=grant, scope=asked, tools=tools, expires_at=expires_at), now)

    def verify(self, token: Token, *, scope: str, tools: Iterable[str], now: int) -> Expected:
        """A refused use costs nothing."""
        asked, cost, left = frozenset(scope.split()), len(set(tools)) * self.rules.cost, token.grant.left
        reasons = self.inactive(token, now)
        reasons |= {"tool_not_granted"} if not token.tools >= set(tools) else set()
        reasons |= {"insufficient_scope"} if not covered(asked, token.scope) else set()
        reasons |= {"budget_exhausted"} if left is not None and cost > left else set()
        if not reasons and left is not None:
            token.grant.left = left - cost
        return Expected(reasons, {"left": token.grant.left})

    def introspect(self, token: Token, now: int) -> Expected:
        active = {"active": True, "exp": token.expires_at // SECOND, "scope": " ".join(sorted(token.scope))}
        return Expected(set(), {"active": False} if self.inactive(token, now) else active)

    def revoke(self, token: Token, by: Agent | None, *, cascade: bool = True) -> Expected:
        """By an administrator (None), or by an agent in whose hands the grant or one above it is."""
        reasons = set() if by is None else may_not_ask(by)
        if by is not None and by not in [grant.agent for grant in token.grant.line()]:
            reasons |= {"not_entitled"}
        if not reasons:
            token.grant.ended |= cascade
            token.grant.ended_alone = True
        return Expected(reasons)

    def end_task(self, owner: str, task: str) -> Expected:
        """For good: nothing is issued for it any more."""
        self.dead_tasks.add((owner, task))
        return Expected(set())

    def end_agent(self, agent: Agent) -> Expected:
        return self._end(grant for grant in self.grants if grant.agent is agent)

    def end_principal(self, owner: str, principal: str) -> Expected:
        whose = (owner, principal)
        return self._end(grant for grant in self.grants if (grant.agent.owner, grant.principal) == whose)

    def settle(self, now: int) -> None:
        """What a grant has left that is over goes to the nearest above it that is not."""
        over = [grant for grant in self.grants if self.is_dead(grant) or now >= grant.ends_at]
        for grant in over:
            if grant.left is not None and not grant.given_back:
                going_on = [each for each in grant.line() if each not in over and each.left is not None]
                if going_on:
                    going_on[0].left += grant.left
                grant.left, grant.given_back = 0, True

    def is_dead(self, grant: Grant) -> bool:
        return grant.ended_alone or any(
            each.ended or (each.agent.owner, each.task) in self.dead_tasks for each in grant.line()
        )

    def inactive(self, token: Token, now: int) -> set[str]:
        """Why a token is not active. What its key has signed need not be known any more once it has expired."""
        reasons = {"revoked"} if self.is_dead(token.grant) else set()
        return reasons | ({"expired", "token_malformed"} if now >= token.expires_at else set())

    def _bounded(self, agent: Agent, above: Token | None, asked: Asked) -> set[str]:
        """What stands against the terms that are asked for."""
        reasons = malformed(asked.members)
        reasons |= {"task_terminated"} if (agent.owner, asked.task) in self.dead_tasks else set()
        bounds = [("registration", agent.scope, agent.level)]
        bounds += [("parent", above.scope, above.grant.level)] if above else []
        for name, scope, most in bounds:
            reasons |= {f"scope_exceeds_{name}"} if not covered(asked.members, scope) else set()
            too_high = asked.level is not None and LEVELS.index(asked.level) > LEVELS.index(most)
            reasons |= {f"level_exceeds_{name}"} if too_high else set()
        return reasons

    def _give(self, grant: Grant, expires_at: int, now: int) -> Expected:
        self.grants.append(grant)
        expires_at = min(expires_at, grant.ends_at)
        return self._answer(
            Token(grant=grant, scope=grant.scope, tools=grant.tools, expires_at=expires_at), now
        )

    def _answer(self, token: Token, now: int) -> Expected:
        values = {"scope": " ".join(sorted(token.scope)), "expires_in": (token.expires_at - now) // SECOND}
        return Expected(set(), values, token)

    def _end(self, grants: Iterable[Grant]) -> Expected:
        for grant in grants:
            grant.ended = True
        return Expected(set())


def may_not_ask(agent: Agent) -> set[str]:
    return set() if agent.confirmed and not agent.disabled else {"agent_inactive"}


def malformed(scope: Iterable[str]) -> set[str]:
    asked = list(scope)
    return {"malformed_scope"} if not asked or any(".." in member for member in asked) else set()


def covered(asked: Iterable[str], allowed: Iterable[str]) -> bool:
    """By whole segments of a path."""
    return all(any(_contains(grant, member) for grant in allowed) for member in asked)


def common(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    return frozenset({m for m in one if covered([m], other)} | {m for m in other if covered([m], one)})


def actions(scope: Iterable[str]) -> frozenset[str]:
    return frozenset(member.partition(":")[0] for member in scope)


def whole(moment: int) -> int:
    return moment // SECOND * SECOND


def _contains(allowed: str, member: str) -> bool:
    segments = allowed.split("/")
    return member.split("/")[: len(segments)] == segments
