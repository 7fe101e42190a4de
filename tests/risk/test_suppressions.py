"""Alerts that need not be looked at: who says so, why and until when."""

import numpy as np
import pandas as pd
import pytest

from agentsim.risk.suppressions import load_suppressions, suppress
from agentsim.settings.faults import SettingsError

#: 2026-06-30T12:00:00Z in microseconds.
NOON = 1_782_820_800_000_000
HALF_A_DAY = 12 * 3600 * 1_000_000


@pytest.fixture
def load(tmp_path):
    def from_text(text):
        path = tmp_path / "suppressions.yaml"
        path.write_text(text)
        return load_suppressions(path)

    return from_text


def one(match, expires="2026-06-30"):
    return (
        "suppressions:\n"
        f"  - {{match: {{{match}}}, reason: nightly build, owner: platform, expires: {expires}}}\n"
    )


ALERTS = pd.DataFrame(
    {
        "alert_id": ["grant-1", "grant-2", "tree-1", "agent-7"],
        "kind": ["grant", "grant", "tree", "agent"],
        "tenant": [0, 1, 0, 0],
        "entity": [1, 2, 1, 7],
        "role": ["ci_bot", "clerk", "ci_bot", None],
        "task_id": ["build/17", "refund", "build/17", None],
        "detector": ["forest", "combined", "combined", "combined"],
        "reasons": [["asked for 41 Resources", "new tool pay"], ["new tool pay"], [], ["many refusals"]],
    }
)


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ("role: ci_bot", [0, 2]),
        ("role: ci_*, kind: grant", [0]),
        ("kind: tree, entity: 1", [2]),
        ("task: build/*", [0, 2]),
        ("task: build", []),
        ("alert: agent-7", [3]),
        ("about: resources", [0]),
        ("about: pay", [1]),
        ("about: pay, tenant: 0", []),
        ("role: '*', detector: combined", [1, 2]),
    ],
)
def test_everything_that_is_named_must_be_so(load, match, found):
    marked, told = suppress(ALERTS, load(one(match)), NOON)
    assert np.flatnonzero(marked["suppressed_by"].notna()).tolist() == found
    assert len(marked) == len(ALERTS)
    assert "suppressed_by" not in ALERTS
    assert bool(told) is not bool(found)
    if found:
        assert marked["suppressed_by"].iloc[found[0]].startswith("platform: nightly build (until 2026-07-01")


def test_one_that_has_ended_suppresses_nothing_and_is_told(load):
    day = load(one("role: ci_bot"))
    # A day counts to its end.
    assert suppress(ALERTS, day, NOON + HALF_A_DAY - 1)[1] == ()
    marked, told = suppress(ALERTS, day, NOON + HALF_A_DAY)
    assert marked["suppressed_by"].isna().all()
    assert told[0].startswith("suppressions.0 has ended and suppresses nothing: platform: nightly build")
    moment = load(one("role: ci_bot", "2026-06-30T12:00:00Z"))
    assert suppress(ALERTS, moment, NOON)[0]["suppressed_by"].isna().all()
    assert suppress(ALERTS, moment, NOON - 1)[0]["suppressed_by"].notna().sum() == 2


def test_the_first_that_matches_is_named(load):
    both = load(
        one("role: ci_bot")
        + one("kind: grant, entity: 1").replace("suppressions:\n", "").replace("plat", "other ")
    )
    marked, told = suppress(ALERTS, both, NOON)
    assert marked["suppressed_by"].iloc[0].startswith("platform")
    assert told == ()


def test_all_faults_of_a_file_are_told_at_once(load):
    text = """
suppressions:
  - match: {role: ci_bot}
    reason: known
  - match: {kind: grant}
    reason: ' '
    owner: ops
    expires: 2026-06-30
  - match: {entity: 4, colour: red}
    reason: known
    owner: ops
    expires: never
  - match: {entity: 4}
    reason: known
    owner: ops
    expires: 2026-06-30T12:00:00
"""
    with pytest.raises(SettingsError) as caught:
        load(text)
    assert {fault.path for fault in caught.value.faults} == {
        "suppressions.0.owner",
        "suppressions.0.expires",
        "suppressions.1.match",
        "suppressions.1.reason",
        "suppressions.2.match.colour",
        "suppressions.2.expires",
        "suppressions.3.match",
        "suppressions.3.expires",
    }
    told = str(caught.value)
    assert "suppressions.0.owner: required, but missing" in told
    assert "too wide" in told
    assert "write for example 2026-06-30" in told
    assert "needs its time zone" in told


@pytest.mark.parametrize("text", ["", "[]", "suppressions: 3", "suppressions: [3]", "other: []"])
def test_another_shape_is_one_clear_error(load, text):
    with pytest.raises(SettingsError):
        load(text)


def test_no_suppressions_suppress_nothing(load):
    assert suppress(ALERTS, load("suppressions: []"), NOON)[0]["suppressed_by"].isna().all()
