"""The tokens that a soak has at hand: living ones by their trees, and ones that must be refused, each for its reason."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import time

from agentsim.experiments.bench.requests import AgentCredentials
from agentsim.experiments.soak.hostile.forge import Forge, opened
from agentsim.server import SigningKey

#: A token is presented as a living one while it has so many seconds left, and as an expired one so long after.
MARGIN = 1.5
#: Of those that must be refused, the newest are presented: they differ least from living ones.
_NEWEST = 100
#: Deeper trees and more tokens of one are not needed.
_DEEPEST, _MOST = 5, 8


@dataclass(kw_only=True, eq=False)
class Tree:
    """A lineage tree: nobody presents its tokens any more once it is closing, and ``uses`` are under way."""

    tokens: list[Held] = field(default_factory=list)
    closing: bool = False
    uses: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Held:
    """A token that was answered; ``expires_at`` is in seconds since 1970."""

    token: str
    by: AgentCredentials
    tree: Tree
    depth: int
    expires_at: int

    @classmethod
    def of(cls, token: str, by: AgentCredentials, tree: Tree, depth: int) -> Held:
        """A token that has just been answered."""
        return cls(
            token=token, by=by, tree=tree, depth=depth, expires_at=int(opened(token.split(".")[1])["exp"])
        )

    @property
    def number(self) -> str:
        """By which it is found in the audit trail."""
        return str(opened(self.token.split(".")[1]).get("jti"))

    @property
    def lives(self) -> bool:
        """Whether it may be presented as a living one."""
        return not self.tree.closing and self.expires_at - time() > MARGIN


class Stock:
    """All of them.

    Parameters
    ----------
    key : what the server signs with; forged tokens say that they are signed with it, and are not.
    draw : what is presented next is drawn from it.
    """

    def __init__(self, key: SigningKey, draw: random.Random) -> None:
        self._key = key
        self._draw = draw
        self._living: list[Held] = []
        self._expired: deque[Held] = deque(maxlen=_NEWEST)
        self._revoked: deque[Held] = deque(maxlen=_NEWEST)
        self._forged: deque[Held] = deque(maxlen=_NEWEST)

    def add(self, held: Held) -> None:
        """A token was answered; of a root, forgeries are made as well."""
        tree = held.tree
        if held.depth > _DEEPEST or len(tree.tokens) >= _MOST:
            return
        tree.tokens.append(held)
        self._living.append(held)
        if held.depth == 0:
            forged = badly_signed(Forge(held.token, self._key))
            self._forged.extend(
                Held(token=token, by=held.by, tree=tree, depth=0, expires_at=held.expires_at)
                for token in forged
            )

    def expire(self, tree: Tree) -> None:
        """All of a tree has expired."""
        self._expired.extend(tree.tokens)

    def revoke(self, tree: Tree) -> None:
        """A tree's end was answered."""
        self._revoked.extend(tree.tokens)

    def living(self) -> Held | None:
        """One that must be accepted; None where there is none now."""
        while self._living:
            place = self._draw.randrange(len(self._living))
            held = self._living[place]
            if held.lives:
                return held
            self._living[place] = self._living[-1]
            self._living.pop()
        return None

    def expired(self) -> Held | None:
        """One that has expired."""
        return self._any(self._expired)

    def revoked(self) -> Held | None:
        """One whose tree was revoked."""
        return self._any(self._revoked)

    def forged(self) -> Held | None:
        """One that the server has not signed."""
        return self._any(self._forged)

    def _any(self, held: deque[Held]) -> Held | None:
        return self._draw.choice(held) if held else None


def badly_signed(forge: Forge) -> Iterator[str]:
    """A few forgeries of a living token: what it would be worth to forge, and how it is tried first."""
    yield forge.sign(forge.header, forge.payload | {"exp": forge.payload["exp"] + 3600}, lambda _: b"\0" * 64)
    yield forge.headed()
    yield forge.headed(alg="none")
    yield f"{forge.head}.{forge.body}."
    yield f"{forge.head}.{forge.body}.{'B' if forge.tail[0] == 'A' else 'A'}{forge.tail[1:]}"
    yield forge.sign(forge.header | {"alg": "HS256"}, forge.payload, forge.mac(forge.public_texts["PEM"]))
