"""What an organisation allows, as it is written: the keys of a policy file and of ``policy:`` in a scenario."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from agentsim.server.policy import Budgets, Limits, Policy, RateLimit
from agentsim.settings import faults
from agentsim.settings.durations import Duration, Rate, format_duration
from agentsim.settings.strict import (
    Audience,
    CheckedWith,
    Fault,
    Name,
    Share,
    Strict,
    Tool,
    raise_faults,
)

#: Scopes as a policy names them: a star stands for any action, any resource, or both.
ScopePattern = Annotated[
    str, Field(pattern=r"^(\*|[A-Za-z0-9_.-]+)(:(\*|[A-Za-z0-9_./-]+))?$", max_length=256)
]
#: Agents as a policy names them: client_id or agent_name, a star for any characters.
AgentPattern = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=256)]
_Cost = Annotated[int, Field(strict=True, ge=0, le=10**12)]


class ToolSettings(Strict):
    """What a tool needs and costs."""

    level: Annotated[
        str | None, Field(description="The scope level that it needs; the lowest if left out.")
    ] = None
    cost: Annotated[_Cost | None, Field(description="Units of budget for one call.", examples=[1])] = None


class RoleSettings(Strict):
    """What agents of a role may have, whatever they are registered for."""

    scopes: Annotated[
        tuple[ScopePattern, ...],
        Field(description="Scopes, with a star for any action or resource.", examples=[["file_read:*"]]),
    ] = ()
    inherits: Annotated[tuple[str, ...], Field(description="Roles whose scopes it has, too.")] = ()


class AgentLists(Strict):
    """Which agents may act."""

    allow: Annotated[
        tuple[AgentPattern, ...], Field(description="client_id or agent_name; a star for any characters.")
    ] = ("*",)
    block: Annotated[
        tuple[AgentPattern, ...], Field(description="The same; stands above what is allowed.")
    ] = ()


class ScopeLists(Strict):
    """Which scopes may be granted to anybody."""

    allow: Annotated[tuple[ScopePattern, ...], Field(description="Scopes, with stars.")] = ("*",)
    block: Annotated[
        tuple[ScopePattern, ...], Field(description="The same; stands above what is allowed.")
    ] = ()


class LimitSettings(Strict):
    """A token bucket: how fast it fills, and how much it holds."""

    rate: Annotated[
        Rate, Field(gt=0, description="Requests that it allows in the long run.", examples=["10/s"])
    ]
    burst: Annotated[
        int, Field(strict=True, ge=1, description="Requests that may come at once.", examples=[20])
    ]

    def server_limit(self) -> RateLimit:
        """The server's own form."""
        return RateLimit(per_second=self.rate, burst=self.burst)


class RateSettings(Strict):
    """How often may be asked; what is left out is not limited."""

    client: Annotated[LimitSettings | None, Field(description="Of each client.")] = None
    tree: Annotated[LimitSettings | None, Field(description="Of all agents of one delegation tree.")] = None
    classes: Annotated[
        dict[Name, LimitSettings],
        Field(description="Of all clients of an actor class together: agent, human, ...", examples=[{}]),
    ] = Field(default_factory=dict)

    def server_limits(self) -> Limits:
        """The server's own form."""
        return Limits(
            client=self.client.server_limit() if self.client else None,
            tree=self.tree.server_limit() if self.tree else None,
            classes={name: limit.server_limit() for name, limit in self.classes.items()},
        )


class BudgetSettings(Strict):
    """What grants may spend; without ``root`` a root has a budget only where it asks for one."""

    model: Annotated[
        Literal["carve-out", "shared-pool"],
        Field(
            description="carve-out: a child's budget is taken out of its parent's; shared-pool: a tree spends from "
            "its root's budget together, each grant up to its own."
        ),
    ] = "carve-out"
    root: Annotated[_Cost | None, Field(description="Budget of a root that names none, and the most.")] = None
    child_share: Annotated[
        Share,
        Field(description="Carve-out: part of what its parent has left for a child that names no budget."),
    ] = 0.2


class PolicySettings(Strict):
    """The organisation's rules. What is left out has a default."""

    levels: Annotated[tuple[str, ...], Field(min_length=1, description="Scope levels, lowest first.")] = (
        "minimal",
        "restricted",
        "standard",
        "elevated",
        "admin",
    )
    tools: Annotated[
        dict[Tool, ToolSettings], Field(description="The level that a tool needs, and the cost of one call.")
    ] = Field(default_factory=dict)
    tool_cost: Annotated[_Cost, Field(description="Cost of one call of any other tool.")] = 1
    roles: Annotated[
        dict[Name, RoleSettings],
        Field(
            description="What each role may have; agents of roles not named here are refused. None: no rule."
        ),
    ] = Field(default_factory=dict)
    agents: Annotated[AgentLists, Field(description="Agents that may act, and that may not.")] = AgentLists()
    scopes: Annotated[ScopeLists, Field(description="Scopes that may be granted, and that may not.")] = (
        ScopeLists()
    )
    access_ttl: Annotated[
        Duration, Field(gt=0, description="Lifetime of an access token."), CheckedWith(("grant_ttl",))
    ] = 300_000_000
    grant_ttl: Annotated[Duration, Field(gt=0, description="How long refreshes may carry a grant.")] = (
        3_600_000_000
    )
    registration_ttl: Annotated[Duration, Field(gt=0, description="Time to confirm a registration.")] = (
        600_000_000
    )
    refresh_tokens: Annotated[bool, Field(strict=True, description="Whether refresh tokens are given.")] = (
        True
    )
    refresh_grace: Annotated[
        Duration, Field(ge=0, description="How long a used refresh token may be used again unpunished.")
    ] = 0
    max_depth: Annotated[
        int, Field(strict=True, ge=0, le=64, description="Depth of the deepest grant allowed.")
    ] = 8
    max_fanout: Annotated[int, Field(strict=True, ge=0, description="Children that one grant may have.")] = 64
    limits: Annotated[RateSettings, Field(description="How often may be asked.")] = RateSettings()
    budgets: Annotated[BudgetSettings, Field(description="What grants may spend.")] = BudgetSettings()
    audience: Annotated[
        Audience, Field(description="The resource server that tokens are for where none is named.")
    ] = Policy().audience
    resources: Annotated[
        tuple[Audience, ...], Field(description="Further resource servers that tokens may be for (RFC 8707).")
    ] = ()
    status_lists: Annotated[
        bool, Field(strict=True, description="Whether tokens name their place in a Token Status List.")
    ] = False

    @model_validator(mode="after")
    def _accepted_by_the_server(self) -> PolicySettings:
        raise_faults("Policy", self._faults())
        return self

    def _faults(self) -> Iterable[Fault]:
        if self.grant_ttl < self.access_ttl:
            text = f"must be at least access_ttl ({format_duration(self.access_ttl)})"
            yield ("grant_ttl",), text, self.grant_ttl
        for name in ("access_ttl", "grant_ttl", "registration_ttl"):
            if getattr(self, name) < 1_000_000:
                yield (name,), "must be at least 1s", getattr(self, name)
        if len(set(self.levels)) != len(self.levels):
            yield ("levels",), "must differ from each other", self.levels
        for tool, wanted in self.tools.items():
            if wanted.level is not None and wanted.level not in self.levels:
                text = f"no such level: {faults.suggestion(wanted.level, self.levels)}"
                yield ("tools", tool, "level"), text, wanted.level
        yield from _inheritance_faults(self.roles)

    def server_policy(self) -> Policy:
        """The server's own form of these rules."""
        return Policy(
            levels=self.levels,
            tool_levels={name: tool.level for name, tool in self.tools.items() if tool.level is not None},
            tool_costs={name: tool.cost for name, tool in self.tools.items() if tool.cost is not None},
            tool_cost=self.tool_cost,
            role_scopes={name: inherited_scopes(self.roles, name) for name in self.roles},
            allowed_agents=self.agents.allow,
            blocked_agents=self.agents.block,
            allowed_scopes=self.scopes.allow,
            blocked_scopes=self.scopes.block,
            access_ttl_us=self.access_ttl,
            grant_ttl_us=self.grant_ttl,
            registration_ttl_us=self.registration_ttl,
            max_depth=self.max_depth,
            max_fanout=self.max_fanout,
            refresh_tokens=self.refresh_tokens,
            refresh_grace_us=self.refresh_grace,
            limits=self.limits.server_limits(),
            budgets=Budgets(
                model=self.budgets.model, root=self.budgets.root, child_share=self.budgets.child_share
            ),
            audience=self.audience,
            resources=self.resources,
            status_lists=self.status_lists,
        )


def inherited_scopes(roles: Mapping[str, RoleSettings], name: str) -> tuple[str, ...]:
    """A role's own scopes and those of all roles that it inherits from, sorted."""
    return tuple(sorted({scope for each in _ancestry(roles, name) for scope in roles[each].scopes}))


def _ancestry(roles: Mapping[str, RoleSettings], name: str) -> list[str]:
    """A role and all roles above it, each once; names that are no roles are left out."""
    found = [name]
    # The list grows while it is walked through.
    for each in found:
        found += [above for above in roles[each].inherits if above in roles and above not in found]
    return found


def _inheritance_faults(roles: Mapping[str, RoleSettings]) -> Iterable[Fault]:
    for name, role in roles.items():
        for number, above in enumerate(role.inherits):
            if above not in roles:
                text = f"no such role; {faults.suggestion(above, roles)}"
                yield ("roles", name, "inherits", number), text, above
            elif name in _ancestry(roles, above):
                yield ("roles", name, "inherits", number), f"{above!r} inherits from {name!r} itself", above
