"""What a random story knows of its agents, grants and tokens; nothing of marks, lineage or rows."""

from dataclasses import dataclass, field
from typing import Any

from agentsim.server import TokenGrant
from tests.server.model import LEVELS, covered


@dataclass
class Grant:
    """What the model knows of a grant."""

    parent: "Grant | None"
    client: str
    owner: str
    task: str
    principal: str
    may_act: str | None = None
    #: The level of the token that bounded it.
    bound: str = LEVELS[-1]
    dead: bool = False
    dead_alone: bool = False
    children: int = 0
    #: What a matcher goes by, and what has become of the grant for it.
    uses: int = 0
    refusals: int = 0
    held: bool = False
    vouched: bool = False

    def line(self) -> list["Grant"]:
        """The grant and all above it."""
        return [self, *(self.parent.line() if self.parent else [])]


@dataclass
class Token:
    """What the model knows of a token."""

    grant: Grant
    answer: TokenGrant
    level: str
    used_at: int | None = None


@dataclass
class Model:
    """Who is active: everything that ends is ended one by one, at once."""

    grace: int
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    confirmed: set[str] = field(default_factory=set)
    disabled: set[str] = field(default_factory=set)
    grants: list[Grant] = field(default_factory=list)
    dead_tasks: set[tuple[str, str]] = field(default_factory=set)

    def may_ask(self, client: str) -> bool:
        return client in self.confirmed and client not in self.disabled

    def is_more(self, client: str, changes: dict[str, Any]) -> bool:
        """Whether a registration would be given what it has not: by member, and by level."""
        old = self.profiles[client]
        level = changes.get("max_scope_level", LEVELS[0])
        return LEVELS.index(level) > LEVELS.index(old["max_scope_level"]) or not all(
            covered(_words(value), _words(old.get(name, "")))
            for name, value in changes.items()
            if name != "max_scope_level"
        )

    def is_dead(self, grant: Grant) -> bool:
        return grant.dead_alone or any(
            above.dead or (above.owner, above.task) in self.dead_tasks for above in grant.line()
        )

    def why_not(self, token: Token, now: int) -> str | None:
        if self.is_dead(token.grant):
            return "revoked"
        return "expired" if now >= token.answer.expires_at else None


def _words(value: str | list[str]) -> list[str]:
    return value.split() if isinstance(value, str) else value
