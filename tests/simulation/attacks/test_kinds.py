"""What attackers ask for, one by one."""

import pytest

from agentsim.server import (
    Activation,
    Confirm,
    Introspect,
    Issue,
    IssueChild,
    OAuthError,
    Refresh,
    Register,
    Revoke,
    UpdateAgent,
    Verify,
)
from agentsim.server.answers import AgentRecord, Registration, Verification
from agentsim.server.errors import (
    AccessDenied,
    InsufficientScope,
    InvalidClient,
    InvalidGrant,
    InvalidToken,
)
from agentsim.simulation.attacks import pairs

OWN = {"file_read:github", "db_query:sales"}


def refused(error: OAuthError) -> Verification:
    return Verification(log_id=1, is_valid=False, error=error)


def allowed() -> Verification:
    return Verification(log_id=1, is_valid=True)


def test_scope_escalation_asks_beyond_its_token(victim, make):
    attacker = make("scope_escalation", 0.0)
    asked = [attacker.act(victim) for _ in range(5)]
    for operation in asked:
        assert isinstance(operation, IssueChild)
        assert set(operation.scope.split()) - OWN
        assert set(operation.required_tools) == {name.split(":")[0] for name in operation.scope.split()}


def test_a_quiet_one_asks_for_what_others_have_by_names_that_they_use(victim, make):
    attacker = make("scope_escalation", 1.0)
    for _ in range(10):
        operation = attacker.act(victim)
        beyond = set(operation.scope.split()) - OWN
        assert beyond
        assert beyond <= set(pairs(victim.beyond))
        assert operation.task_id in victim.errands
        assert operation.task_description == victim.task_description


def test_a_stolen_token_is_used_from_elsewhere_until_it_is_dead(victim, make):
    attacker = make("token_theft", 1.0)
    first = attacker.act(victim)
    assert isinstance(first, Verify)
    assert first.token == "token"
    assert first.source_ip != victim.source_ip
    victim.access_token = "refreshed"
    assert attacker.act(victim).token == "token"
    assert attacker.observe(refused(InvalidToken("revoked", "it is"))) is False


def test_a_thief_who_is_only_refused_a_tool_goes_on(victim, make):
    attacker = make("token_theft", 0.0)
    attacker.act(victim)
    assert attacker.observe(refused(InsufficientScope("tool_not_granted", "no"))) is True


def test_a_stolen_refresh_token_is_redeemed_and_what_it_gives_is_used(victim, make, grant):
    attacker = make("refresh_replay", 0.0)
    assert attacker.act(victim).refresh_token == "refresh"
    assert attacker.observe(grant("fresh")) is True
    used = attacker.act(victim)
    assert isinstance(used, Verify)
    assert used.token == "fresh"


def test_a_replay_that_is_refused_is_the_end_of_it(victim, make):
    attacker = make("refresh_replay", 0.0)
    assert isinstance(attacker.act(victim), Refresh)
    assert attacker.observe(InvalidGrant("refresh_reused", "no")) is False


def test_there_is_nothing_to_replay_without_a_refresh_token(victim, make):
    victim.refresh_token = None
    assert make("refresh_replay", 0.5).act(victim) is None


def test_a_hijacked_task_turns_to_what_it_does_not_usually_do(victim, make):
    attacker = make("task_hijack", 0.0)
    for _ in range(10):
        operation = attacker.act(victim)
        assert operation.required_tools == ("db_query",)
        assert operation.source_ip == victim.source_ip
        assert operation.token == victim.access_token


def test_a_child_is_handed_everything_and_uses_one_tool(victim, make, grant):
    attacker = make("unscoped_inheritance", 1.0)
    asked = attacker.act(victim)
    assert isinstance(asked, IssueChild)
    assert (asked.scope, asked.scope_inheritance) == (None, "full")
    attacker.observe(grant("child", "task-0000003"))
    calls = [attacker.act(victim) for _ in range(10)]
    assert {(call.token, call.task_id) for call in calls} == {("child", "task-0000003")}
    assert len({call.required_tools for call in calls}) == 1


def test_runaway_children_have_children_until_that_is_too_deep(victim, make, grant):
    attacker = make("runaway_fanout", 0.0)
    for number in range(40):
        operation = attacker.act(victim)
        if isinstance(operation, IssueChild):
            assert operation.parent_token == (f"child-{number - 1}" if number else "token")
            attacker.observe(grant(f"child-{number}"))
        else:
            attacker.observe(allowed())
            break
    while not isinstance(deepest := attacker.act(victim), IssueChild):
        attacker.observe(allowed())
    attacker.observe(AccessDenied("depth_exceeded", "too deep"))
    while not isinstance(other := attacker.act(victim), IssueChild):
        attacker.observe(allowed())
    assert other.parent_token != deepest.parent_token


def test_a_deputy_does_what_its_child_may_not(victim, make):
    relayed = make("confused_deputy", 1.0).act(victim)
    assert relayed.token == "parent's"
    assert relayed.required_tools == ("plan_write",)
    assert relayed.source_ip == victim.parent.source_ip
    asked = make("confused_deputy", 0.0).act(victim)
    assert asked.by == victim.client
    assert asked.parent_token == "parent's"
    victim.parent = None
    assert make("confused_deputy", 1.0).act(victim) is None


def test_a_bad_parent_ends_its_childrens_grants(victim, make):
    ended = make("cascade", 0.0).act(victim)
    assert isinstance(ended, Revoke)
    assert (ended.by, ended.token) == (victim.client, "child's")
    victim.children = []
    assert isinstance(make("cascade", 0.0).act(victim), Verify)


def test_who_repudiates_acts_under_the_parents_name_from_its_own_host(victim, make):
    call = make("repudiation", 1.0).act(victim)
    assert (call.token, call.task_id) == ("parent's", victim.parent.task_id)
    assert call.source_ip == victim.source_ip


def test_a_token_is_looked_up_where_it_does_not_belong_and_loudly_used_there(victim, make):
    quiet = [make("audience_confusion", 1.0, seed).act(victim) for seed in range(20)]
    looked = [act for act in quiet if isinstance(act, Introspect)]
    assert 0 < len(looked) < len(quiet)
    assert {act.caller for act in looked} <= {"wiki", "s3", "sales", "github"}
    attacker = make("audience_confusion", 0.0)
    calls = [attacker.act(victim) for _ in range(10)]
    assert all(f"{call.required_tools[0]}:{call.required_resources[0]}" not in OWN for call in calls)
    assert {call.audience for call in calls} == {None, "https://elsewhere.example"}


def test_a_loop_makes_the_same_call_again_and_again(victim, make):
    attacker = make("cost_harvesting", 1.0)
    calls = [attacker.act(victim) for _ in range(20)]
    assert len({(*call.required_tools, *call.required_resources) for call in calls}) == 1
    loud = make("cost_harvesting", 0.0)
    assert {type(loud.act(victim)) for _ in range(40)} == {Verify, IssueChild}


def test_recon_tries_one_scope_after_the_other_that_it_was_not_granted(victim, make):
    attacker = make("low_and_slow_recon", 0.0)
    tried = {
        (*call.required_tools, *call.required_resources) for call in (attacker.act(victim) for _ in range(4))
    }
    assert tried == {("chart_make", "wiki"), ("file_read", "s3")}
    quiet = make("low_and_slow_recon", 1.0)
    mixed = [pairs({c.required_tools[0]: c.required_resources})[0] for c in map(quiet.act, [victim] * 60)]
    assert 0.15 < sum(name not in OWN for name in mixed) / 60 < 0.5


def test_a_tool_is_taken_away_and_used_all_the_same_and_only_the_use_is_the_attackers(victim, make):
    attacker = make("toctou_drift", 1.0)
    narrowed = attacker.act(victim)
    assert isinstance(narrowed, UpdateAgent)
    assert set(narrowed.allowed_tools) == {"db_query", "chart_make"}
    assert attacker.innocent
    assert attacker.observe(AgentRecord(log_id=1, profile=None)) is True
    assert any(attacker.act(victim).required_tools == ("file_read",) for _ in range(10))
    assert not attacker.innocent


def registered() -> Registration:
    return Registration(
        log_id=1,
        client_id="agent_9",
        client_secret="new",
        allowed_scopes=[],
        registration_token="reg",
        registration_expires_at=1,
        registration_access_token="rat",
        profile=None,
    )


def test_a_rogue_registers_confirms_and_works_with_what_it_was_given(victim, make, grant):
    attacker = make("rogue_registration", 1.0)
    asked = attacker.act(victim)
    assert isinstance(asked, Register)
    assert (asked.agent_name, asked.role) == (victim.agent_name, victim.role)
    assert attacker.observe(registered()) is True
    confirm = attacker.act(victim)
    assert isinstance(confirm, Confirm)
    assert confirm.registration_token == "reg"
    assert attacker.observe(Activation(log_id=2, client_id="agent_9")) is True
    root = attacker.act(victim)
    assert isinstance(root, Issue)
    assert (root.by.client_id, root.scope_level) == ("agent_9", "elevated")
    attacker.observe(grant("rogue"))
    assert attacker.act(victim).token == "rogue"


def test_a_registration_that_is_refused_is_the_end_of_it(victim, make):
    attacker = make("rogue_registration", 0.0)
    assert attacker.act(victim).agent_name == "Admin Helper"
    assert attacker.observe(AccessDenied("not_entitled", "no")) is False


@pytest.mark.parametrize("kind", ["nhi_reuse", "human_use"])
def test_borrowed_credentials_take_a_grant_of_their_own_and_refresh_it(victim, make, grant, kind):
    attacker = make(kind, 0.0)
    root = attacker.act(victim)
    assert isinstance(root, Issue)
    assert root.by == victim.client
    assert root.source_ip != victim.source_ip
    attacker.observe(grant("second"))
    assert attacker.act(victim).token == "second"
    assert attacker.observe(refused(InvalidToken("expired", "it has"))) is True
    assert attacker.act(victim).refresh_token == "second, to refresh"


def test_without_a_grant_borrowed_credentials_are_of_no_use(victim, make):
    attacker = make("nhi_reuse", 0.0)
    attacker.act(victim)
    assert attacker.observe(AccessDenied("task_terminated", "no")) is False


def test_people_make_short_pauses_and_long_ones(make):
    gap = 30_000_000

    def uneven(kind):
        attacker = make(kind, 1.0)
        pauses = sorted(attacker.pause(gap) for _ in range(4000))
        return sum(pauses[-400:]) / sum(pauses)

    assert uneven("human_use") > 1.5 * uneven("nhi_reuse")


def test_secrets_are_guessed_and_never_right(victim, make):
    attacker = make("credential_stuffing", 0.0)
    guesses = [attacker.act(victim) for _ in range(10)]
    assert {guess.by.client_id for guess in guesses} == {"agent_1"}
    assert len({guess.by.client_secret for guess in guesses} | {"secret"}) == 11
    assert attacker.observe(InvalidClient("invalid_client", "no")) is True


def test_an_orphan_does_not_give_up(victim, make):
    loud = make("orphan_after_revoke", 0.0)
    assert {type(loud.act(victim)) for _ in range(40)} == {Verify, IssueChild, Refresh}
    assert loud.observe(refused(InvalidToken("revoked", "it is"))) is True
    quiet = make("orphan_after_revoke", 1.0)
    assert {type(quiet.act(victim)) for _ in range(20)} == {Verify}


def test_a_grant_is_kept_alive_with_its_latest_refresh_token(victim, make, grant):
    attacker = make("long_lived", 1.0)
    assert attacker.act(victim).refresh_token == "refresh"
    attacker.observe(grant("kept"))
    assert attacker.act(victim).token == "kept"
    attacker.observe(refused(InvalidToken("expired", "it has")))
    assert attacker.act(victim).refresh_token == "kept, to refresh"
    assert attacker.observe(InvalidGrant("refresh_expired", "its end")) is False
