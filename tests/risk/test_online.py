"""What judges uses while they are verified: by the share of honest grants that are as strange."""

import pickle
from pathlib import Path

import pytest

from agentsim.risk.online import OnlineError, Usual, learn, load_watch
from agentsim.server import GrantState, Use, Verify
from agentsim.simulation import simulate
from agentsim.simulation.scenario import parse_scenario

USUAL = Usual(
    grants={"clerk": 99},
    words={"clerk": {("tool", "read"): 99, ("tool", "pay"): 9, ("resource", "mail"): 99}},
    honest=(*[0.0] * 90, *[1.0] * 9),
)


def use(*tools: str, role: str = "clerk") -> Use:
    request = Verify(token="", required_tools=tools, required_resources=("mail",))
    return Use(role=role, task_id="t", depth=0, now=0, request=request)


def test_a_score_is_how_few_honest_grants_are_as_strange() -> None:
    watch = USUAL.watch(threshold=2.0, action="step_up")
    common, rare, new = (
        watch.assess(use("read", *tools), GrantState()) for tools in ((), ("pay",), ("wipe",))
    )
    assert (common.risk_assessment, common.score, common.action) == ("low", 0.0, "none")
    # Nine of 99 have something that one in ten has; none has what nobody has.
    assert rare.score == pytest.approx(1.0)
    assert (rare.risk_assessment, rare.action) == ("medium", "none")
    assert new.score == pytest.approx(2.0)
    assert (new.historical_pattern_match, new.risk_assessment, new.action) == (False, "high", "step_up")
    assert new.reasons == ("tool wipe: 0 of 99 grants of its role had it",)


def test_a_grant_that_is_only_looked_at_is_judged_by_what_it_did() -> None:
    watch = USUAL.watch(threshold=2.0, action="step_up")
    look = Use(role="clerk", task_id="t", depth=0, now=0)
    assert watch.assess(look, GrantState()).risk_assessment == "low"
    assert watch.assess(look, GrantState(tools={"wipe": 1})).risk_assessment == "high"


def test_ways_to_watch_are_told_apart_and_travel() -> None:
    watch = USUAL.watch(2.0, "step_up")
    assert pickle.loads(pickle.dumps(watch)).digest == watch.digest == USUAL.watch(2.0, "step_up").digest
    others = (USUAL.watch(2.5, "step_up"), USUAL.watch(2.0, "log"), Usual({}, {}, ()).watch(2.0, "step_up"))
    assert len({watch.digest, *(other.digest for other in others)}) == 4


def test_it_learns_from_a_run_and_finds_few_of_another_s_grants_strange(tmp_path: Path) -> None:
    scenario = parse_scenario(
        {
            "schema": 1,
            "name": "honest",
            "seed": 3,
            "population": {"agents": 300},
            "workload": {"executor": "constant-arrival-rate", "duration": "20m"},
        }
    )
    usual = learn(simulate(scenario, tmp_path / "reference"))
    assert sum(usual.grants.values()) + len(usual.honest) == 300
    assert usual.rank(0.0) == 0.0
    watched = simulate(scenario.with_seed(4), tmp_path / "run", watch=usual.watch(1.0, "log"))
    rows = watched.sql("SELECT grant_id FROM audit WHERE contains(details, '\"risk\":{')")
    assert 0.02 < rows["grant_id"].nunique() / 300 < 0.25


def test_thresholds_without_what_judges_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OnlineError, match=r"thresholds\.yaml: names no model"):
        load_watch(tmp_path / "thresholds.yaml")
