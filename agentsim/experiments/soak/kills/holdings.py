"""What callers hold of a served server: agents and grants, and what each must be worth by what was answered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Agent(NamedTuple):
    """What an agent authenticates itself with; as it is, HTTP Basic."""

    client_id: str
    client_secret: str


@dataclass(eq=False, slots=True, kw_only=True)
class Grant:
    """One grant, by the answers that its holder has seen.

    Attributes
    ----------
    tokens : access tokens, the newest last: all of them good while the grant is alive.
    refresh : the refresh token that was not used yet; None where an answer was lost that held it.
    used : refresh tokens that were exchanged.
    ended : whether it has been ended itself, and not only something above it.
    """

    agent: Agent
    task: str
    parent: Grant | None = None
    tokens: list[str]
    refresh: str | None
    used: list[str] = field(default_factory=list)
    children: list[Grant] = field(default_factory=list)
    ended: bool = False

    @property
    def alive(self) -> bool:
        """Whether nothing has ended it, nor anything above it."""
        return not any(grant.ended for grant in self.upwards())

    @property
    def depth(self) -> int:
        """0 for a root."""
        return sum(1 for _ in self.upwards()) - 1

    def upwards(self) -> Iterator[Grant]:
        """Itself, its parent, and so on to the root."""
        grant: Grant | None = self
        while grant is not None:
            yield grant
            grant = grant.parent

    def downwards(self) -> Iterator[Grant]:
        """Itself and all that hangs below."""
        yield self
        for child in self.children:
            yield from child.downwards()


@dataclass(slots=True, kw_only=True)
class Doubt:
    """What was asked last and never answered: it has been done, or it has not, and nothing in between.

    Attributes
    ----------
    ending : grants that it would end, each with all below.
    refreshing : the grant that it would refresh.
    """

    ending: list[Grant] = field(default_factory=list)
    refreshing: Grant | None = None
