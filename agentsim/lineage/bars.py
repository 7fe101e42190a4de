"""The life of a grant as a bar: from when to when it was valid, and what ended it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The reason of a mark that a finished task leaves: an end, but no revocation.
COMPLETED = "completed"


@dataclass(frozen=True)
class Bar:
    """One grant. Times in microseconds; ``stop`` is when it was revoked, if that ended anything."""

    start: int
    expires: int
    stop: int | None = None
    completed: bool = False
    reason: str = ""

    @classmethod
    def of(cls, grant: Mapping[str, Any]) -> Bar:
        """The bar of a grant as :func:`~agentsim.lineage.trees.tree_graph` tells it."""
        start, expires = grant["issued_at"], grant["expires_at"]
        completed = grant["reason"] == COMPLETED
        # The task of a grant that has run out may be completed later; that ended nothing. Another revocation did end
        # something, because the grant could still have been refreshed.
        if not grant["revoked"] or (completed and grant["revoked_at"] >= expires):
            return cls(start, expires)
        return cls(start, expires, grant["revoked_at"], completed, str(grant["reason"]))

    @property
    def stopped(self) -> bool:
        """Whether it was ended because something was wrong."""
        return self.stop is not None and not self.completed

    @property
    def end(self) -> int:
        """The last moment at which one of its tokens was valid."""
        return max(self.start, self.expires if self.stop is None else min(self.stop, self.expires))

    @property
    def lost(self) -> bool:
        """Whether being stopped cost it time."""
        return self.stopped and self.stop is not None and self.stop < self.expires


def words(code: str) -> str:
    """A machine code as one reads it."""
    return code.replace("_", " ")
