"""A Run that goes on differently from a moment on."""

import json
import shlex

import pytest

from agentsim.cli import main
from agentsim.lineage import check
from agentsim.run import Run
from agentsim.settings.faults import SettingsError
from agentsim.simulation import ForkError, fork, simulate

MINUTE = 60_000_000
AT = 6 * MINUTE
ATTACK = {"kind": "token_theft", "prevalence": 0.5, "stealth": 0.0, "start": "2m"}


@pytest.fixture(scope="module")
def origin(scenario, tmp_path_factory):
    played = scenario(
        population={"agents": 150},
        workload={"executor": "constant-arrival-rate", "duration": "12m"},
        tenants=2,
        attacks=[ATTACK],
        policy={"access_ttl": "5m"},
    )
    return simulate(played, tmp_path_factory.mktemp("runs") / "origin")


@pytest.fixture(scope="module")
def shorter(origin):
    """From six minutes on access tokens live for one, and nothing may be delegated."""
    return fork(origin.path, at=AT - 1, changes={"policy.access_ttl": "1m", "policy.max_depth": 0})


def rows(run, table, where):
    return run.sql(f"select * from {table} where {where} order by all")


def test_where_nothing_is_changed_the_tables_are_those_of_the_run(origin, tmp_path):
    same = fork(origin.path, tmp_path / "same", at=AT, changes={}, batch_size=37)
    assert same.manifest.digests() == origin.manifest.digests()
    assert same.manifest.fork.digest == origin.manifest.digest()


def test_the_beginning_is_the_same_and_the_rest_is_played_under_other_rules(origin, shorter):
    turn = origin.manifest.start + AT
    before = f"timestamp < {turn}"
    assert rows(shorter, "audit", before).equals(rows(origin, "audit", before))
    assert not shorter.frame("audit").equals(origin.frame("audit"))
    life = "select max(expires_at - issued_at) most, max(depth) deep from tokens where issued_at"
    assert int(shorter.sql(f"{life} < {turn}")["most"][0]) > 4 * MINUTE
    after = shorter.sql(f"{life} >= {turn} and token_id = grant_id")
    assert int(after["most"][0]) <= MINUTE
    assert int(after["deep"][0]) == 0
    assert int(origin.sql(f"{life} >= {turn}")["deep"][0]) > 0


def test_careful_agents_refresh_in_time_for_the_new_lifetime(origin, shorter):
    refreshed = shorter.sql(
        "select a.expires_at - b.issued_at as remaining from tokens a join tokens b on b.previous_token_id = a.token_id "
        f"and b.tenant = a.tenant where a.issued_at >= {origin.manifest.start + AT}"
    )["remaining"]
    # A tenth of a minute is left, and never half of one, as it would be a tenth of five.
    assert 0 < refreshed.max() <= MINUTE // 10


def test_the_change_is_audited_once_in_each_tenant_at_its_moment(origin, shorter):
    changed = rows(shorter, "audit", "event_type = 'policy_changed'")
    assert list(changed["tenant"]) == [0, 1]
    assert (changed["timestamp"] == origin.manifest.start + AT).all()
    assert len(rows(origin, "audit", "event_type = 'policy_changed'")) == 0


def test_agents_intend_the_same(origin, shorter):
    columns = ["agent_name", "created_at", "registered_scope", "role"]
    assert shorter.frame("agents", columns).equals(origin.frame("agents", columns))


def test_a_fork_breaks_no_invariant_although_two_policies_were_in_force(shorter):
    assert check(shorter) == []
    assert (shorter.manifest.most("max_depth"), shorter.manifest.policy["max_depth"]) == (8, 0)


def test_attackers_may_begin_after_the_turn(origin, tmp_path):
    later = {**ATTACK, "kind": "scope_escalation", "start": "7m"}
    attacked = fork(origin.path, tmp_path / "attacked", at=AT, changes={"attacks.1": later}, jobs=2)
    before = f"timestamp < {origin.manifest.start + 7 * MINUTE}"
    assert rows(attacked, "audit", before).equals(rows(origin, "audit", before))
    kinds = "select attack, count(*) n from labels group by all order by all"
    assert list(attacked.sql(kinds)["attack"]) == ["scope_escalation", "token_theft"]
    assert list(origin.sql(kinds)["attack"]) == ["token_theft"]
    assert check(attacked) == []


def test_the_manifest_says_where_it_comes_from_and_how_to_make_it_again(origin, shorter, tmp_path, capsys):
    entry = shorter.manifest.fork
    assert (entry.run, entry.digest) == (str(origin.path), origin.manifest.digest())
    assert (entry.at, entry.settings) == (AT, {"policy.access_ttl": "1m", "policy.max_depth": 0})
    name, *words = shlex.split(shorter.manifest.reproduce)
    assert name == "agentsim"
    words[words.index("--out") + 1] = str(tmp_path / "again")
    with pytest.raises(SystemExit) as left:
        main([*words, "--jobs", "1", "--json"])
    assert left.value.code == 0
    assert Run(tmp_path / "again").manifest.digests() == shorter.manifest.digests()
    assert json.loads(capsys.readouterr().out)["fork"] == f"of {origin.path} at 6m"


def test_a_beginning_that_is_played_otherwise_is_told(origin, tmp_path):
    other = json.loads((origin.path / "manifest.json").read_text())
    other["source"]["attacks"] = []
    del other["sha256"]
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "manifest.json").write_text(json.dumps(other))
    (changed / "audit").symlink_to(origin.path / "audit")
    with pytest.raises(ForkError, match="tenant 0 is played otherwise now: its audit row"):
        fork(changed, tmp_path / "out", at=AT, changes={})


def test_what_would_change_the_past_is_refused_with_the_reason_all_at_once(origin, tmp_path):
    changes = {
        "seed": 1,
        "population.agents": 200,
        "policy.levels": ["minimal", "restricted", "standard", "elevated", "admin", "root"],
        "attacks.0.stealth": 1.0,
        "attacks.1": ATTACK,
        "policy.access_ttl": "1m",
        "policy.limits.tree": {"rate": "10/s", "burst": 20},
    }
    with pytest.raises(SettingsError) as refused:
        fork(origin.path, tmp_path / "out", at=AT, changes=changes)
    assert {fault.path: fault.message for fault in refused.value.faults} == {
        "seed": "cannot be changed in the middle: the beginning was drawn from it",
        "population": "cannot be changed in the middle: agents are drawn before anything is played",
        "policy.levels": "cannot be changed in the middle: agents were registered with these levels",
        "policy.limits": "cannot be so tight in the middle: the beginning was played in windows of 5s, they need 1s",
        "attacks": "the first 1 cannot be changed in the middle; add others behind them",
        "attacks.1.start": "must not begin before the turn (6m)",
    }
    with pytest.raises(SettingsError, match=r"unknown key; did you mean 'access_ttl'"):
        fork(origin.path, tmp_path / "out", at=AT, changes={"policy.acess_ttl": "1m"})
    assert not (tmp_path / "out").exists()


def test_a_run_is_forked_inside_its_time_and_once(origin, shorter):
    for moment in (0, 10_000 * MINUTE):
        with pytest.raises(ForkError, match="after its beginning and before its end"):
            fork(origin.path, at=moment, changes={})
    with pytest.raises(ForkError, match="is a fork itself"):
        fork(shorter.path, at=AT, changes={})
    with pytest.raises(ForkError, match="would replace the Run"):
        fork(origin.path, origin.path, at=AT, changes={})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--at", "20"], "not a duration"),
        (["--at", "20m", "--set", "policy.access_ttl"], "write KEY=VALUE"),
        (["--at", "20m", "--set", "policy.roles={"], "not YAML"),
    ],
)
def test_words_that_mean_nothing_are_told_in_one_line(words, told, capsys):
    with pytest.raises(SystemExit) as left:
        main(["fork", "nowhere", *words])
    assert left.value.code == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert told in errors[0]
