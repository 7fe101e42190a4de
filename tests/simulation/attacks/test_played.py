"""All attacks at once, played against the server."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from agentsim.lineage import check, summarise
from agentsim.risk.evaluation import read_truth
from agentsim.risk.evidence import gather
from agentsim.server.clock import SECOND
from agentsim.simulation import load_scenario, simulate
from agentsim.simulation.attacks import ATTACKERS
from agentsim.simulation.intents import make_intents
from agentsim.simulation.scenario import parse_scenario

SCENARIO = Path(__file__).parents[3] / "data" / "scenarios" / "attacks.yaml"
STEALTHS = {0.0, 0.5, 1.0}


@pytest.fixture(scope="module")
def shipped():
    return load_scenario(SCENARIO)


@pytest.fixture(scope="module")
def few(shipped):
    """The shipped scenario with fewer agents, of whom more are attacked: loudly, or quietly."""
    data = shipped.with_agents(400).resolved()
    data["roles"]["orchestrator"]["cancelled"] = 0.4
    data["attacks"] = [attack for attack in data["attacks"] if attack["stealth"] != 0.5]
    for attack in data["attacks"]:
        attack["prevalence"] = 0.4 if attack["kind"] == "orphan_after_revoke" else 0.05
    return parse_scenario(data)


@pytest.fixture(scope="module")
def run(few, tmp_path_factory):
    return simulate(few, tmp_path_factory.mktemp("runs") / "attacks")


def labels(run, what, where="true"):
    return run.sql(f"select {what} from labels l join audit a using (log_id, tenant) where {where}")


def test_the_scenario_has_every_attack_loud_half_quiet_and_quiet(shipped):
    asked = {(attack.kind, attack.stealth) for attack in shipped.attacks}
    assert asked == {(kind, stealth) for kind in ATTACKERS for stealth in STEALTHS}


def test_every_attack_leaves_labelled_operations_and_no_broken_invariant(run):
    played = labels(run, "distinct l.attack::varchar attack, stealth")
    assert set(played["attack"]) == set(ATTACKERS)
    assert set(played["stealth"]) == {0.0, 1.0}
    assert check(run) == []
    assert set(summarise(run).attacks) == set(ATTACKERS)


def test_nobody_attacks_any_more_when_the_last_honest_agent_has_stopped(scenario, tmp_path):
    late = scenario(
        population={"agents": 40, "roots": {"support_agent": 1}},
        workload={"executor": "constant-arrival-rate", "duration": "1m"},
        roles={"support_agent": {"steps": 20.0}},
        attacks=[{"kind": kind, "prevalence": 1.0, "stealth": 1.0} for kind in ("long_lived", "human_use")],
    )
    asked = labels(
        simulate(late, tmp_path / "late"), "max(a.timestamp) t", "a.event_type <> 'task_execution'"
    )
    last = make_intents(late, 0).time[-1]
    # How a call went is reported when it is over.
    assert last - 600 * SECOND < asked["t"][0] <= last


def test_operations_about_no_grant_are_labelled_and_count_as_missed(run):
    bare = labels(run, "distinct l.attack::varchar attack, a.event_type", "l.grant_id is null")
    events = set(bare.itertuples(index=False, name=None))
    assert ("credential_stuffing", "token_issued") in events
    assert {("rogue_registration", "agent_registered"), ("rogue_registration", "agent_confirmed")} <= events
    assert labels(run, "count(l.grant_id) n", "l.attack = 'credential_stuffing'")["n"][0] == 0
    truth = read_truth(run, gather(run).features.index)
    stuffing = truth.attacks[truth.attacks["attack"] == "credential_stuffing"]
    assert (stuffing["place"] == -1).all()
    assert len(truth.attack[truth.attack == "rogue_registration"]) > 0


def test_the_owners_part_in_a_drift_is_not_the_attackers(run):
    updates = run.sql("select log_id from audit where event_type = 'agent_updated'")["log_id"]
    assert len(updates) > 0
    assert not set(updates) & set(run.frame("labels")["log_id"])
    used = labels(run, "count(*) n", "l.attack = 'toctou_drift' and a.event_type = 'token_verified'")
    assert used["n"][0] > 0


def test_an_orphan_is_refused_because_the_grant_above_it_was_ended(run):
    told = labels(run, "distinct a.reason", "l.attack = 'orphan_after_revoke' and a.status = 'refused'")
    assert {"revoked", "parent_revoked"} <= set(told["reason"])
    granted = labels(run, "count(*) n", "l.attack = 'orphan_after_revoke' and a.status = 'granted'")
    assert granted["n"][0] == 0


def test_a_grant_is_kept_past_the_end_of_its_work(run, few):
    plans = make_intents(few, 0).plans
    ended = dict(zip((f"task-{n:07d}" for n in range(len(plans.ended))), plans.ended, strict=True))
    uses = labels(run, "a.task_id, a.timestamp", "l.attack = 'long_lived'")
    assert (uses["timestamp"] > uses["task_id"].map(ended)).all()


def test_quiet_attackers_leave_no_name_that_honest_agents_do_not_use(run):
    names = labels(
        run,
        "count(*) n, count(*) filter (a.source_ip not like '10.%') outside, "
        "count(*) filter (not regexp_full_match(a.task_id, 'task-[0-9]{7}')) tasks",
        "l.stealth = 1",
    )
    assert names["n"][0] > 100
    assert (names["outside"][0], names["tasks"][0]) == (0, 0)
    told = run.sql("""
        with quiet as (select grant_id, max(stealth) stealth from labels group by all)
        select distinct task_description::varchar as said, coalesce(stealth, -1) = 1 as quiet
        from tokens left join quiet using (grant_id)
    """)
    usual = run.sql("""
        select distinct task_description::varchar as said from tokens
        where grant_id not in (select grant_id from labels where grant_id is not null)
    """)["said"]
    assert set(told["said"][told["quiet"]].str.replace(r"\d+", "#", regex=True)) <= set(
        usual.str.replace(r"\d+", "#", regex=True)
    )


def test_without_attacks_every_honest_intent_is_the_same(few):
    attacked, calm = make_intents(few, 0), make_intents(few.without_attacks(), 0)
    for field in dataclasses.fields(attacked):
        value = getattr(attacked, field.name)
        if isinstance(value, np.ndarray):
            assert (value == getattr(calm, field.name)).all()
