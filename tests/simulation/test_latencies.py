"""Percentiles of rows, and the pairs from which those of a whole Run are made."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agentsim.simulation.latencies import Latencies, step_of

ROWS = st.lists(st.lists(st.integers(0, 10**9), min_size=1, max_size=40), min_size=1, max_size=6)


def collect(rows: list[list[int]]) -> dict[str, list]:
    told = Latencies()
    for number, waited in enumerate(rows):
        # A stage, which has none, comes after each operation.
        told.add(2 * number, ["Verify", "load"], Counter(("Verify", latency) for latency in waited))
    return told.columns(2 * len(rows))


@given(rows=ROWS)
def test_percentiles_are_latencies_that_occurred(rows: list[list[int]]) -> None:
    columns = collect(rows)
    for number, waited in enumerate(rows):
        assert columns["max_us"][2 * number] == max(waited)
        for name, share in (("p50_us", 0.5), ("p95_us", 0.95), ("p99_us", 0.99)):
            told = np.quantile(waited, share, method="inverted_cdf")
            assert columns[name][2 * number] == told


@given(rows=ROWS)
def test_pairs_hold_every_latency_rounded_up_by_two_per_cent_at_most(rows: list[list[int]]) -> None:
    columns = collect(rows)
    for number, waited in enumerate(rows):
        steps, counts = columns["latencies_us"][2 * number], columns["latency_counts"][2 * number]
        assert sum(counts) == len(waited)
        assert steps == sorted(set(steps))
        spread = np.repeat(steps, counts)
        exact = np.maximum(np.sort(waited), 1)
        assert (exact <= spread).all()
        assert (spread <= exact * 1.02 + 1e-6).all()


def test_rows_of_stages_tell_nothing() -> None:
    columns = collect([[3, 4], [5]])
    assert all(values[1::2] == [None, None] for values in columns.values())


def test_a_run_without_operations_has_no_latencies() -> None:
    assert all(values == [] for values in Latencies().columns(0).values())


@given(st.integers(1, 10**12))
def test_a_step_is_its_own_step(latency: int) -> None:
    step = step_of(np.array([latency]))
    assert step_of(step) == step


def test_a_second_has_a_few_hundred_steps() -> None:
    steps = np.unique(step_of(np.arange(1, 1_000_001)))
    assert len(steps) < 600
    assert (steps[1:] / steps[:-1] <= 2).all()
