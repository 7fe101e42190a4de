"""Attempts to sign in: few that fail for each account and each address, so that passwords cannot be tried out.

Nobody is locked out for good: a bucket fills again, a token every some seconds. An attempt is counted before it is known
how it ends, so that many at once gain nothing; one that succeeds is forgiven.
"""

import asyncio
from collections.abc import Hashable

from agentsim.server.clock import SECOND, Clock
from agentsim.server.errors import TooManyRequests
from agentsim.server.limits import SET_BACK_US

#: Attempts at once, and microseconds until another one: by account, and by address, which many people may share.
_BY_ACCOUNT = (10, 30 * SECOND)
_BY_ADDRESS = (50, 3 * SECOND)
_MOST_KEPT = 100_000
#: Passwords that are looked at at the same time: each takes memory and a core.
_TOGETHER = 2


class Attempts:
    """Counts attempts; of one process alone."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: When each bucket will be full again.
        self._full_at: dict[Hashable, int] = {}
        self._newest = 0
        self.turn = asyncio.Semaphore(_TOGETHER)

    def count(self, account: str, address: str | None) -> None:
        """Count an attempt.

        Raises
        ------
        TooManyRequests
            ``too_many_attempts``, with the time to wait.
        """
        now = self._clock.now()
        if now < self._newest - SET_BACK_US:
            # The clock was wrong before: what it said then must lock nobody out.
            self._full_at.clear()
            self._newest = now
        self._newest = max(self._newest, now)
        waits = [
            max(now, self._full_at.get(key, 0)) + each - now - burst * each
            for key, burst, each in _buckets(account, address)
        ]
        if max(waits) > 0:
            raise TooManyRequests(
                "too_many_attempts",
                "there have been too many attempts to sign in",
                retry_after=-(-max(waits) // SECOND),
                bucket="account",
                actor_class="human",
            )
        self._move(account, address, 1)
        if len(self._full_at) > _MOST_KEPT:
            self._full_at = {key: moment for key, moment in self._full_at.items() if moment > now}

    def forgive(self, account: str, address: str | None) -> None:
        """An attempt that was counted has succeeded."""
        self._move(account, address, -1)

    def _move(self, account: str, address: str | None, attempts: int) -> None:
        for key, _, each in _buckets(account, address):
            self._full_at[key] = max(self._clock.now(), self._full_at.get(key, 0)) + attempts * each


def _buckets(account: str, address: str | None) -> tuple[tuple[Hashable, int, int], ...]:
    return ((("account", account), *_BY_ACCOUNT), (("address", address), *_BY_ADDRESS))
