"""A whole scenario, small, from YAML to tables."""

import pytest

from agentsim.lineage import check
from agentsim.run import Run, RunError
from agentsim.simulation import simulate
from agentsim.simulation.attacks import ATTACKERS

SMALL = {"population": {"agents": 300}, "workload": {"executor": "constant-arrival-rate", "duration": "10m"}}
LOUD = [{"kind": kind, "prevalence": 0.05, "stealth": 0.0, "start": "1m"} for kind in ATTACKERS]


@pytest.fixture(scope="module")
def scenario_factory(scenario):
    return lambda **parts: scenario(**{**SMALL, **parts})


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, scenario_factory):
    out = tmp_path_factory.mktemp("runs") / "attacked"
    return simulate(scenario_factory(attacks=LOUD, tenants=2), out)


def count(run, where):
    return int(run.sql(f"select count(*) n from audit where {where}")["n"][0])


def test_every_agent_is_registered_confirmed_and_most_work(attacked):
    agents = attacked.frame("agents")
    honest = agents[agents["agent_name"] != "Admin Helper"]
    assert len(honest) == 300
    assert honest["is_active"].all()
    assert count(attacked, "event_type = 'token_verified' and status = 'granted'") > 300
    assert attacked.sql("select count(*) n from tokens where parent_grant_id is not null")["n"][0] > 0


def test_agents_react_to_an_expired_token_by_refreshing(scenario_factory, tmp_path):
    settings = {"access_ttl": "30s", "grant_ttl": "1h"}
    run = simulate(scenario_factory(policy=settings), tmp_path / "short")
    refused = count(run, "event_type = 'token_verified' and reason = 'expired'")
    refreshed = count(run, "event_type = 'token_refreshed' and status = 'granted'")
    assert refreshed >= refused > 0
    # Whoever was refused because of time is let through after the refresh.
    again = run.sql(
        "select count(*) n from audit a join audit b using (token_id) "
        "where a.event_type = 'token_refreshed' and b.event_type = 'token_verified' and b.status = 'granted'"
    )
    assert again["n"][0] > 0


def test_every_granted_call_of_an_honest_agent_has_its_outcome(scenario_factory, tmp_path):
    run = simulate(scenario_factory(), tmp_path / "honest")
    granted = count(run, "event_type = 'token_verified' and status = 'granted'")
    outcomes = count(run, "event_type = 'task_execution'")
    # An outcome is lost only where the agent ended its own grant in the meantime.
    assert 0.95 * granted < outcomes <= granted


LIMITED = {
    "limits": {"client": {"rate": "6/m", "burst": 2}, "classes": {"agent": {"rate": "4/s", "burst": 5}}}
}


def test_agents_that_ask_too_often_come_again_and_get_on(scenario_factory, tmp_path):
    run = simulate(scenario_factory(policy=LIMITED), tmp_path / "limited")
    limited = run.sql(
        "select event_type, count(*) n, count(distinct client_id) clients from audit "
        "where reason = 'rate_limited' group by all"
    ).set_index("event_type")
    assert set(limited.index) >= {"token_issued", "token_verified"}
    # Most who were put off got what they wanted in the end: of those who asked for a grant, and of calls.
    stopped = run.sql(
        "select count(*) n from agents a where not exists "
        "(select 1 from audit b where b.client_id = a.client_id and b.event_type like '%token_issued' and b.status = 'granted')"
    )["n"][0]
    assert stopped < 0.1 * 300
    free = simulate(scenario_factory(), tmp_path / "free")
    let_through = "event_type = 'token_verified' and status = 'granted'"
    assert 0.5 * count(free, let_through) < count(run, let_through)
    # Nobody asks more often than the limits say, however the second is chosen.
    most = run.sql(
        "select max(n) n from (select count(*) over "
        "(order by timestamp range between 1000000 preceding and current row) n from audit "
        "where (event_type like '%token_issued' or event_type in ('token_refreshed', 'token_verified')) "
        "and coalesce(reason, '') not in ('rate_limited', 'revoked', 'expired'))"
    )["n"][0]
    assert most <= 5 + 4


def test_limits_are_the_same_whatever_the_batch_size(scenario_factory, tmp_path):
    settings = {"policy": LIMITED, "attacks": LOUD}
    one, other = (
        simulate(scenario_factory(**settings), tmp_path / str(size), batch_size=size) for size in (1000, 7)
    )
    assert one.manifest.digests() == other.manifest.digests()


def test_every_attackers_operation_is_labelled_and_no_honest_one(attacked, tmp_path, scenario_factory):
    labels = attacked.sql(
        "select l.attack, a.event_type, a.source_ip from labels l join audit a using (log_id, tenant)"
    )
    assert set(labels["attack"]) <= set(ATTACKERS)
    assert len(labels) == len(attacked.frame("labels")) > 300
    # Loud thieves come from elsewhere, and nobody else does; outcomes are reported by whoever received the call.
    outside = labels["source_ip"].str.startswith("203.0.113.")
    stolen = labels["attack"].isin(["token_theft", "refresh_replay"]) & (
        labels["event_type"] != "task_execution"
    )
    assert stolen.sum() > 0
    assert outside[stolen].all()
    assert count(attacked, "source_ip like '203.0.113.%'") == outside.sum()
    assert simulate(scenario_factory(), tmp_path / "honest").frame("labels").empty


def test_scope_escalation_is_always_refused(attacked):
    honoured = attacked.sql(
        "select count(*) n from labels l join audit a using (log_id) "
        "where l.attack = 'scope_escalation' and a.status = 'granted'"
    )
    assert honoured["n"][0] == 0


def test_attacks_leave_every_benign_intent_as_it_was(scenario_factory):
    from agentsim.simulation.intents import make_intents

    quiet, loud = make_intents(scenario_factory(), 0), make_intents(scenario_factory(attacks=LOUD), 0)
    for name in ("time", "agent", "ordinal", "kind", "call"):
        assert (getattr(quiet, name) == getattr(loud, name)).all()


@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
def test_the_same_seed_gives_the_same_bytes_whatever_the_batch_size(
    attacked, scenario_factory, tmp_path, batch_size
):
    again = simulate(scenario_factory(attacks=LOUD, tenants=2), tmp_path / "again", batch_size=batch_size)
    assert again.manifest.digests() == attacked.manifest.digests()


def test_another_seed_gives_other_tables(attacked, scenario_factory, tmp_path):
    other = simulate(scenario_factory(attacks=LOUD, tenants=2, seed=43), tmp_path / "other")
    digests, others = attacked.manifest.digests(), other.manifest.digests()
    # Every call was verified online: nothing was exposed in either.
    assert {name for name in digests if digests[name] == others[name]} == {"exposures"}


def test_wall_time_is_accounted_for_and_nothing_secret_is_left_behind(attacked):
    windows = attacked.frame("windows")
    counted = windows[windows["operation"].isin(["Register", "Verify", "Issue", "IssueChild"])]
    assert counted["count"].sum() > 0
    assert (windows["wall_us"] >= 0).all()
    # Only the tables and the manifest: the databases, which hold hashes of secrets, are gone.
    assert {path.name for path in attacked.path.iterdir()} <= {
        "manifest.json",
        "agents",
        "tokens",
        "revocations",
        "audit",
        "labels",
        "exposures",
        "windows",
    }


def test_a_directory_that_holds_something_else_is_refused(scenario_factory, tmp_path):
    (tmp_path / "precious.txt").write_text("mine")
    with pytest.raises(RunError, match="not empty"):
        simulate(scenario_factory(), tmp_path)
    assert (tmp_path / "precious.txt").read_text() == "mine"


def test_what_a_killed_run_left_is_removed_by_the_next(scenario_factory, tmp_path):
    run = simulate(scenario_factory(), tmp_path / "run")
    left = run.path / ".work-t0007"
    left.mkdir()
    (left / "server.db").write_bytes(b"half")
    simulate(scenario_factory(), tmp_path / "run")
    assert not left.exists()


def test_a_run_is_replaced_by_the_next_one_in_its_directory(attacked, scenario_factory, tmp_path):
    simulate(scenario_factory(), tmp_path / "run")
    second = simulate(scenario_factory(seed=43), tmp_path / "run")
    assert Run(tmp_path / "run").manifest.seed == 43
    assert second.damaged_files() == []


def test_attackers_calls_report_their_outcome_as_honest_ones_do(attacked):
    """Or the missing report alone would betray them, whatever they do."""
    share = attacked.sql(
        "select count(*) filter (a.event_type = 'task_execution') / "
        "count(*) filter (a.event_type = 'token_verified' and a.status = 'granted') s "
        "from labels l join audit a using (log_id)"
    )["s"][0]
    assert share == pytest.approx(1.0)


def test_who_asks_too_often_comes_again_when_there_is_room(scenario_factory, tmp_path):
    slow = {"limits": {"tree": {"rate": "12/m", "burst": 2}}}
    run = simulate(scenario_factory(policy=slow), tmp_path / "slow")
    limited = run.sql("""
        select a.event_type, min(b.timestamp - a.timestamp) waited
        from audit a join audit b on a.event_type = b.event_type and a.client_id = b.client_id
         and (a.grant_id = b.grant_id or a.grant_id is null) and b.timestamp > a.timestamp
        where a.reason = 'rate_limited' group by all
    """)
    assert set(limited["event_type"]) >= {"token_verified", "child_token_issued"}
    assert (limited["waited"] > 0).all()
    # Nobody gives up for it: as many work as without limits.
    free = simulate(scenario_factory(), tmp_path / "free")
    grants = "event_type in ('token_issued', 'child_token_issued') and status = 'granted'"
    assert count(run, grants) > 0.9 * count(free, grants)
    assert check(run) == []


def test_who_has_spent_its_budget_stops_calling(scenario_factory, tmp_path):
    roles = {name: {"budget": 8, "steps": 10.0} for name in ("orchestrator", "code_reviewer", "data_analyst")}
    run = simulate(scenario_factory(roles=roles), tmp_path / "poor")
    exhausted = run.sql("""
        select b.grant_id, count(c.log_id) n from audit b left join audit c
          on c.grant_id = b.grant_id and c.event_type = 'token_verified' and c.log_id > b.log_id
        where b.reason = 'budget_exhausted' group by all
    """)
    assert len(exhausted) > 10
    assert exhausted["n"].sum() == 0
    budgets = run.sql("select distinct role, budget from tokens where depth = 0")
    assert set(budgets["role"][budgets["budget"] == 8]) == set(roles)
    assert budgets["budget"][budgets["role"] == "support_agent"].isna().all()
    assert check(run) == []
