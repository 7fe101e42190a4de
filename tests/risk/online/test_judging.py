"""Uses are judged by look-ups, as the whole model would judge a grant that had done no more."""

import numpy as np
import pytest

from agentsim.risk import gather, read_behaviour
from agentsim.risk.agreement import lives
from agentsim.risk.features import features
from agentsim.risk.growing import GROWING, Growing
from agentsim.risk.model import train
from agentsim.risk.online import Judging, Rules, judging
from agentsim.risk.states import collect
from agentsim.risk.thresholds.cut import one_for_all
from agentsim.server.audit import Entry
from agentsim.server.history import GrantState
from agentsim.server.watch import Use
from agentsim.simulation import load_scenario, simulate


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    scenario = load_scenario("data/scenarios/attacks.yaml").with_agents(400)
    reference = simulate(scenario.without_attacks().with_seed(5), folder / "reference", jobs=1)
    return reference, simulate(scenario, folder / "attacked", jobs=1)


@pytest.fixture(scope="module")
def fitted(runs):
    return train(runs[0], name="usual").fitted


@pytest.fixture(scope="module")
def finished(runs):
    """States of the grants of the attacked Run, with their roles, in the order of the evidence."""
    (live,) = lives(runs[1])
    order = read_behaviour(runs[1]).grants.index.tolist()
    return [live.states["grant"][each] for each in order], [live.known["grant"][each] for each in order]


def use(state, role="code_reviewer", tool="file_read", where="github", **more):
    """A use as its audit row would have it."""
    told = {"timestamp": state.last_at + 1_000_000, "source_ip": "10.0.0.1", **more}
    asked = {"tools": [tool], "resources": [where], "caller": "host-10.0.0.1"}
    event = Entry(event_type="token_verified", details=asked, **told)
    return Use(role=role, task_id="t", depth=0, now=event.timestamp, event=event)


def test_features_that_grow_are_those_of_the_whole_run(fitted, finished):
    states, known = finished
    roles, tasks = [each.role for each in known], [each.task for each in known]
    whole = features(collect(states), "grant", roles, tasks, fitted.peers)[list(GROWING)].to_numpy()
    growing = Growing(fitted.peers)
    one_by_one = [growing.of(state, each.role, each.task) for state, each in zip(states, known, strict=True)]
    assert np.array_equal(np.array(one_by_one, float), whole)


def test_a_grant_scores_as_the_model_scores_it(runs, fitted, finished):
    states, known = finished
    judging = Judging(fitted, Rules(one_for_all(3.0), {"log": 3.0}))
    looked_up = [judging.score(state, each.role) for state, each in zip(states, known, strict=True)]
    whole = fitted.at_once.score(gather(runs[1], "grant", fitted.peers))
    assert looked_up == pytest.approx(whole, abs=1e-9)


def test_no_use_lowers_the_score(fitted, finished):
    states, known = finished
    judging = Judging(fitted, Rules(one_for_all(3.0), {"log": 3.0}))
    for state, each in zip(states[:200], known, strict=False):
        before = judging.score(state, each.role)
        assert judging.assess(use(state, each.role), state).score >= before


def test_a_use_is_seen_before_it_is_answered_and_changes_nothing(fitted, finished):
    states, known = finished
    judging = Judging(fitted, Rules(one_for_all(2.0), {"step_up": 2.0}))
    quiet = next(
        state
        for state, each in zip(states, known, strict=True)
        if each.role == "code_reviewer" and judging.score(state, each.role) < 0.5 and state.verifications > 2
    )
    stored = quiet.to_json()
    strange = judging.assess(use(quiet, tool="vault_open", where="vault"), quiet)
    assert (strange.historical_pattern_match, strange.risk_assessment, strange.action) == (
        False,
        "high",
        "step_up",
    )
    assert "used that none of" in strange.reasons[0]
    assert quiet.to_json() == stored


def test_a_grant_that_is_only_looked_at_is_not_held(fitted, finished):
    states, known = finished
    judging = Judging(fitted, Rules(one_for_all(0.0), {"step_up": 0.0}))
    looked = Use(role=known[0].role, task_id="t", depth=0, now=states[0].last_at + 1)
    assert judging.assess(looked, states[0]).action == "none"
    assert judging.assess(use(states[0]), states[0]).action == "step_up"


def test_what_is_remembered_is_no_grant(fitted, finished):
    """Another Run of the same grants, a fork or a replay: nothing of the first is found in the second."""
    rules = Rules(one_for_all(1.0), {"log": 1.0})
    states, known = finished
    used = Judging(fitted, rules)
    for state, each in zip(states, known, strict=True):
        used.assess(use(state, each.role), state)
    for state, each in list(zip(states, known, strict=True))[::40]:
        earlier = GrantState(task=state.task, tools={"file_read": 1}, pairs=[0])
        for seen in (earlier, state):
            asked = use(seen, each.role)
            assert used.assess(asked, seen) == Judging(fitted, rules).assess(asked, seen)


def test_it_forgets_and_says_the_same(fitted, finished, monkeypatch):
    states, known = finished
    rules = Rules(one_for_all(1.0), {"log": 1.0})
    roomy = Judging(fitted, rules)
    monkeypatch.setattr(judging, "_REMEMBERED", 1)
    narrow = Judging(fitted, rules)
    for state, each in zip(states, known, strict=True):
        assert narrow.score(state, each.role) == roomy.score(state, each.role)
    assert narrow._finding.cache_info().currsize == 1 < roomy._finding.cache_info().currsize
