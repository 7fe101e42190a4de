"""The pace of a fill: as long as batches are, and its turn when nobody waits, or when it has waited long enough."""

import pytest

from agentsim.server.http.pace import Pace


def settle(pace: Pace, seconds_a_token: float) -> float:
    """How long a step takes once the pace has found its size."""
    for _ in range(20):
        pace.note_step(pace.tokens * seconds_a_token)
    return pace.tokens * seconds_a_token


@pytest.mark.parametrize(("batch", "step"), [(0.001, 0.004), (0.006, 0.012), (1.0, 0.05)])
def test_a_step_takes_as_long_as_two_batches_within_bounds(batch: float, step: float) -> None:
    pace = Pace()
    for _ in range(100):
        pace.note_batch(batch, filling=False)
    assert settle(pace, 2e-5) == pytest.approx(step, rel=0.01)


def test_batches_beside_a_fill_say_nothing_of_what_is_usual() -> None:
    pace = Pace()
    pace.note_batch(0.004, filling=False)
    for _ in range(100):
        pace.note_batch(1.0, filling=True)
    assert settle(pace, 2e-5) == pytest.approx(0.008, rel=0.01)


def test_one_slow_step_halves_the_next_and_no_more() -> None:
    pace = Pace()
    before = pace.tokens
    pace.note_step(10.0)
    assert pace.tokens == before // 2
    pace.note_step(1e-6)
    assert pace.tokens == before


def test_where_somebody_always_waits_a_fill_has_half_the_time_of_batches() -> None:
    pace = Pace()
    batches = steps = 0.0
    for _ in range(1_000):
        pace.note_batch(0.004, filling=True)
        batches += 0.004
        if pace.is_due(waiting=True):
            pace.note_step(0.008)
            steps += 0.008
    assert steps / batches == pytest.approx(0.5, rel=0.05)
    assert pace.is_due(waiting=False)


def test_a_fill_that_was_alone_for_long_gets_its_turn_soon_after() -> None:
    pace = Pace()
    for _ in range(1_000):
        pace.note_step(0.01)
    turns = 0
    while not pace.is_due(waiting=True):
        pace.note_batch(0.005, filling=True)
        turns += 1
    # Half of 0.005 each: 0.05 are made up for.
    assert turns <= 21
