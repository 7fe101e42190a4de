"""Models and thresholds at work in a simulation: what attackers still get done, and what follows the audit trail."""

import pickle

import pytest

from agentsim.errors import UserError
from agentsim.risk.evaluation import read_attacks
from agentsim.risk.online import Following, Rules, learn, load_watch
from agentsim.risk.thresholds.cut import Cut
from agentsim.server.audit import COLUMNS
from agentsim.server.clock import SECOND
from agentsim.simulation import load_scenario, simulate


@pytest.fixture(scope="module")
def scenario():
    return load_scenario("data/scenarios/attacks.yaml").with_agents(300)


@pytest.fixture(scope="module")
def learned(scenario, tmp_path_factory):
    return learn(
        simulate(
            scenario.without_attacks().with_seed(5), tmp_path_factory.mktemp("reference") / "run", jobs=1
        )
    )


@pytest.fixture(scope="module")
def unwatched(scenario, tmp_path_factory):
    return simulate(scenario, tmp_path_factory.mktemp("unwatched") / "run", jobs=1)


def honoured(run):
    return run.sql(
        "SELECT count(*) AS n FROM labels JOIN audit USING (tenant, log_id) WHERE status = 'granted' AND event_type <> 'task_execution'"
    )["n"][0]


def test_a_watched_server_honours_less_of_what_attackers_want(scenario, learned, unwatched, tmp_path):
    watched = simulate(scenario, tmp_path / "run", jobs=1, watch=learned.watch(2.0, "revoke_tree"))
    assert len(read_attacks(unwatched).operations)
    assert honoured(watched) < 0.7 * honoured(unwatched)


def test_one_honest_task_in_a_thousand_raises_an_alert_at_the_threshold(scenario, learned, tmp_path):
    honest = simulate(scenario.without_attacks().with_seed(6), tmp_path / "run", jobs=1)
    threshold = learned.threshold(honest)
    scored = learned.model.score(honest)
    allowed = int((scored["kind"] == "grant").sum() / 1000)
    assert (scored["score"] >= threshold).sum() <= allowed
    # What is used is judged at once by other scores, which may be the highest.
    lower = learned.watch(threshold, "revoke_tree"), learned.watch(threshold - 0.02, "revoke_tree")
    quiet, loud = (
        simulate(scenario.without_attacks().with_seed(6), tmp_path / name, jobs=1, watch=watch)
        for name, watch in zip(("quiet", "loud"), lower, strict=True)
    )
    assert alarms(quiet) <= allowed < alarms(loud)


def alarms(run):
    return run.sql("SELECT count(DISTINCT grant_id) AS n FROM audit WHERE contains(details, '\"risk\":{')")[
        "n"
    ][0]


def rows(run):
    order = run.frame("audit").sort_values("log_id").index
    table = run.read("audit").take(order.to_numpy()).to_pylist()
    return [tuple(row[name] for name in COLUMNS) for row in table]


def test_the_trail_of_a_run_names_who_is_to_be_stopped_each_once(learned, unwatched):
    rules = Rules(Cut({"agent": 1.5}), {"disable_agent": 1.5})
    following = Following(learned.model.fitted, rules)
    following.take(rows(unwatched))
    last = unwatched.manifest.end
    actions = following.due(last)
    assert {action.kind for action in actions} == {"disable_agent"}
    touched = {
        entity
        for each in read_attacks(unwatched).touched.itertuples()
        if each.kind == "agent"
        for entity in [each.entity]
    }
    named = [action.subject for action in actions]
    assert len(set(named) & touched) > len(named) / 2
    following.take(rows(unwatched)[-200:])
    assert {action.subject for action in following.due(last + 60 * SECOND)}.isdisjoint(named)


def test_it_can_be_sent_to_another_process(learned):
    watch = learned.watch(3.0, "step_up")
    assert pickle.loads(pickle.dumps(watch)).digest == watch.digest
    assert learned.watch(3.1, "step_up").digest != watch.digest


def test_thresholds_that_cannot_be_used_are_told_in_a_line(tmp_path):
    with pytest.raises(UserError):
        load_watch(tmp_path / "none.yaml")
