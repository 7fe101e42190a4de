"""Figures: rates over rounds, latencies over all, ratios round by round."""

import numpy as np
import pytest

from agentsim.experiments.bench.figures import Sample, Spread, summarise


def sample(grants: int, latencies_ms: list[float] = [1.0], kept: list[bytes] = []) -> Sample:  # noqa: B006
    return Sample(
        seconds=2.0,
        grants=grants,
        latencies=np.array(latencies_ms) * 1e6,
        answered=grants,
        faults={},
        evidence="",
        kept=kept,
    )


def test_a_ratio_is_taken_in_each_round_before_rounds_are_put_together():
    # The machine was slow in the second round, for both.
    floors = [sample(200), sample(20), sample(400)]
    figures = summarise([sample(100), sample(10), sample(100)], floors)
    assert figures.ratio == Spread(median=0.5, least=0.25, most=0.5)
    assert figures.grants_per_second == Spread(median=50, least=5, most=50)
    assert figures.grants == 210


def test_latencies_are_of_all_rounds_together():
    rounds = [sample(50, list(range(1, 51))), sample(51, list(range(51, 102)))]
    figures = summarise(rounds, rounds)
    assert (figures.p50_ms, figures.p99_ms, figures.most_ms) == pytest.approx((51, 100, 101))


def test_tokens_are_found_in_answers_of_both_forms():
    one, many = b'{"access_token": "a"}', b'{"responses": [{"access_token": "b"}, {"access_token": "c"}]}'
    assert list(sample(3, kept=[one, many]).tokens()) == ["a", "b", "c"]
