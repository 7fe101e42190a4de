"""People beside agents: the command plays all its phases and tells what became of everybody."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest

from agentsim.experiments.bench import isolation
from agentsim.experiments.bench.isolation import FLOOD, PHASES, IsolationResult, Observation, Phase
from agentsim.experiments.bench.steady import DROPPED, UNANSWERED, Steady


def result(ratio: float, lost: float) -> IsolationResult:
    return IsolationResult(
        capacity=2_000.0,
        limit=500.0,
        people_rate=100.0,
        connections=256,
        seconds=10.0,
        rounds=3,
        phases={},
        ratios={FLOOD: ratio},
        lost=lost,
    )


@pytest.mark.parametrize(
    ("ratio", "lost", "kept_apart"),
    [(2.0, 0.01, True), (0.7, -0.1, True), (2.01, 0.0, False), (1, 0.02, False)],
)
def test_people_are_kept_from_agents_while_they_notice_no_more_than_they_may(ratio, lost, kept_apart):
    assert result(ratio, lost).isolated is kept_apart


def test_a_phase_is_told_by_the_medians_of_its_rounds():
    seen = []
    for p99, failed in ((10, 0), (900, 5), (30, 1)):
        people = Steady(outcomes=Counter({"200": 100 - failed, "503": failed}), latencies=[p99 * 10**6] * 5)
        seen.append(Observation(people, Steady(outcomes=Counter({"429": 3}))))
    assert isolation._summary(seen) == Phase(
        p50_ms=30.0, p99_ms=30.0, p99s_ms=[10.0, 900.0, 30.0], success=0.99, people=300, agents={"429": 9}
    )


def test_the_command_plays_every_phase_and_says_what_came_of_it(tmp_path):
    words = "--people 40 --limit 60 --connections 16 --seconds 1 --rounds 1 --json".split()
    command = [sys.executable, "-m", "agentsim.cli", "bench", "isolation", *words]
    told = subprocess.run(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, timeout=300
    )
    assert told.stderr == b""
    figures = json.loads(told.stdout)
    assert told.returncode == (0 if figures["isolated"] else 1)
    assert list(figures["phases"]) == list(figures["ratios"]) == list(PHASES)
    for name, phase in figures["phases"].items():
        assert phase["people"] == 40
        assert phase["success"] > 0
        assert sum(phase["agents"].values()) == PHASES[name] * 60
    flood = figures["phases"][FLOOD]["agents"]
    # The bucket was emptied in the warm-up: what is granted in a second is the rate, and the rest is not. Agents stand back
    # from whoever else wants the processors: on a busy machine none of their requests may be sent in time.
    assert flood.get("200", 0) <= 60 + 6
    assert flood.keys() <= {"200", "429", DROPPED, UNANSWERED}
    assert list(tmp_path.iterdir()) == []
