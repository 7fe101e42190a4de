"""What the organisation allows: levels, lifetimes and limits."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agentsim.server.clock import SECOND

#: Longer lifetimes would not be served: a hundred years.
_LONGEST = 100 * 366 * 24 * 3600 * SECOND
#: What names a resource server: tokens keep a list of them as one text.
_Name = Annotated[str, Field(pattern=r"^[!-~]+$", max_length=1024)]
_Microseconds = Annotated[
    int, Field(ge=SECOND, le=_LONGEST, description="microseconds, from one second to a hundred years")
]


class Policy(BaseModel):
    """The rules that decisions follow. Lifetimes are microseconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = "https://auth.agentsim.example"
    #: The resource server that a token is for where none is named.
    audience: _Name = "https://resources.agentsim.example"
    #: Further resource servers that tokens may be for (RFC 8707).
    resources: tuple[_Name, ...] = ()
    #: Lowest to highest.
    levels: tuple[str, ...] = ("minimal", "restricted", "standard", "elevated", "admin")
    #: The level that a tool needs; tools not named need the lowest.
    tool_levels: dict[str, str] = Field(default_factory=dict)
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
