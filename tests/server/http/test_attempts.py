"""Attempts to sign in are counted by a clock that may be set back: nobody is locked out by that, or let in more often."""

import pytest

from agentsim.server import ManualClock
from agentsim.server.clock import SECOND
from agentsim.server.errors import TooManyRequests
from agentsim.server.http.attempts import Attempts

NOW = 1_790_000_000 * SECOND
HOUR = 3_600 * SECOND


def used_up(attempts: Attempts) -> int:
    """How many attempts are let through before the first that is not."""
    for count in range(100):
        try:
            attempts.count("ada", None)
        except TooManyRequests:
            return count
    raise AssertionError("nobody counts")


def test_a_clock_that_is_set_back_locks_nobody_out_and_lets_nobody_try_for_ever() -> None:
    clock = ManualClock(NOW)
    attempts = Attempts(clock)
    assert used_up(attempts) == 10
    clock.set(NOW - HOUR)
    assert used_up(attempts) == 10
    with pytest.raises(TooManyRequests) as refused:
        attempts.count("ada", None)
    assert refused.value.retry_after == 30
