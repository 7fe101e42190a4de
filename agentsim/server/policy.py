"""What the organisation allows: levels, lifetimes and limits."""

import hashlib
from functools import cached_property
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from agentsim.server.clock import SECOND

#: Longer lifetimes would not be served: a hundred years.
_LONGEST = 100 * 366 * 24 * 3600 * SECOND
#: What names a resource server: tokens keep a list of them as one text.
_Name = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=1024)]
_Microseconds = Annotated[
    int, Field(ge=SECOND, le=_LONGEST, description="microseconds, from one second to a hundred years")
]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RateLimit(_Frozen):
    """A token bucket: tokens that flow in each second, and how many it holds."""

    per_second: float = Field(gt=0)
    burst: int = Field(ge=1)


class Limits(_Frozen):
    """How often may be asked; None, or a class that is not named, is not limited."""

    client: RateLimit | None = None
    #: Of all grants of one tree together.
    tree: RateLimit | None = None
    #: By actor class: of all clients of that class together.
    classes: dict[str, RateLimit] = Field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return self.client is not None or self.tree is not None or bool(self.classes)


class Budgets(_Frozen):
    """What grants may spend, in units that the organisation counts in."""

    #: ``carve-out``: a child's budget is taken out of its parent's. ``shared-pool``: a tree spends together from its
    #: root's budget, each grant up to its own.
    model: Literal["carve-out", "shared-pool"] = "carve-out"
    #: Budget of a root that names none, and the most; None: only those that name one have one.
    root: int | None = Field(default=None, ge=0)
    #: Part of what its parent has left, for a child that names no budget.
    child_share: float = Field(default=0.2, ge=0, le=1)


class Policy(_Frozen):
    """The rules that decisions follow. Lifetimes are microseconds."""

    issuer: str = "https://auth.agentsim.example"
    #: The resource server that a token is for where none is named.
    audience: _Name = "https://resources.agentsim.example"
    #: Further resource servers that tokens may be for (RFC 8707).
    resources: tuple[_Name, ...] = ()
    #: Lowest to highest.
    levels: tuple[str, ...] = ("minimal", "restricted", "standard", "elevated", "admin")
    #: The level that a tool needs; tools not named need the lowest.
    tool_levels: dict[str, str] = Field(default_factory=dict)
    #: Units of budget that one call of a tool costs; those not named cost ``tool_cost``.
    tool_costs: dict[str, int] = Field(default_factory=dict)
    tool_cost: int = Field(default=1, ge=0)
    #: What agents of a role may have, as patterns of scopes; empty: roles set no bounds.
    role_scopes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    #: Patterns of client_id or agent_name, and of scopes; what is blocked stands above what is allowed.
    allowed_agents: tuple[str, ...] = ("*",)
    blocked_agents: tuple[str, ...] = ()
    allowed_scopes: tuple[str, ...] = ("*",)
    blocked_scopes: tuple[str, ...] = ()
    access_ttl_us: _Microseconds = 300 * SECOND
    #: How long refreshes may carry a grant.
    grant_ttl_us: _Microseconds = 24 * 3600 * SECOND
    registration_ttl_us: _Microseconds = 3600 * SECOND
    #: Depth of the deepest grant; roots have depth 0.
    max_depth: int = Field(default=8, ge=0, le=64)
    #: Children that one grant may have.
    max_fanout: int = Field(default=1000, ge=0)
    #: RFC 6749 section 4.4.3 advises against refresh tokens here; the document has them.
    refresh_tokens: bool = True
    #: How long a consumed refresh token may be used again without ending its grant.
    refresh_grace_us: int = Field(default=0, ge=0)
    limits: Limits = Limits()
    budgets: Budgets = Budgets()
    #: Whether tokens name their place in a Token Status List.
    status_lists: bool = False

    @model_validator(mode="after")
    def _levels_are_known(self) -> "Policy":
        unknown = sorted(set(self.tool_levels.values()) - set(self.levels))
        if unknown or len(set(self.levels)) != len(self.levels):
            raise ValueError(f"levels must be distinct and name those of tool_levels: {unknown}")
        return self

    @property
    def audiences(self) -> tuple[str, ...]:
        """All resource servers that tokens may be for."""
        return (self.audience, *self.resources)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all rules, in hexadecimal: tells one policy from another."""
        return hashlib.sha256(orjson.dumps(self.model_dump(), option=orjson.OPT_SORT_KEYS)).hexdigest()

    def rank(self, level: str) -> int | None:
        """Where a level stands, 0 the lowest; None where it is unknown."""
        return self.levels.index(level) if level in self.levels else None

    def needed_rank(self, tools: tuple[str, ...]) -> int:
        """The rank that the most demanding of these tools needs."""
        if not self.tool_levels:
            return 0
        return max(
            (self.levels.index(self.tool_levels.get(tool, self.levels[0])) for tool in tools), default=0
        )
