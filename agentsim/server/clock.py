"""The one source of time. Times are integer microseconds since the epoch."""

import time
from typing import Protocol

#: Microseconds in a second.
SECOND = 1_000_000


class Clock(Protocol):
    """Tells the time; every expiry is decided by it."""

    def now(self) -> int:
        """Microseconds since the epoch."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Microseconds since the epoch."""
        return time.time_ns() // 1000


class ManualClock:
    """A clock that stands still until it is moved: for simulations and tests."""

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        """Microseconds since the epoch."""
        return self._now

    def advance(self, microseconds: int) -> None:
        """Move forward."""
        self._now += microseconds

    def set(self, now: int) -> None:
        """Move to a moment, forward or back."""
        self._now = now
