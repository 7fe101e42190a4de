"""What attackers ask for, and how stealth changes it."""

import numpy as np
import pytest

from agentsim.server import Client, IssueChild, OAuthError, Refresh, Verify
from agentsim.server.answers import TokenGrant, Verification
from agentsim.server.errors import InsufficientScope, InvalidGrant, InvalidToken
from agentsim.simulation.attacks import (
    ATTACKERS,
    RefreshReplay,
    ScopeEscalation,
    TaskHijack,
    TokenTheft,
    Victim,
)

GAP = 30_000_000


@pytest.fixture
def victim():
    return Victim(
        client=Client("agent_1", "secret"),
        access_token="token",
        refresh_token="refresh",
        task_id="task-1",
        tools={"file_read": ("github",), "db_query": ("sales",)},
        unusual={"db_query": ("sales",)},
        caller="host-10.0.0.1",
        source_ip="10.0.0.1",
    )


def make(kind, stealth, seed=0):
    return ATTACKERS[kind](stealth, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", sorted(ATTACKERS))
def test_loud_attackers_ask_more_often_and_faster_than_quiet_ones(kind):
    def total(stealth):
        return sum(make(kind, stealth, seed).count(loud=20, quiet=3) for seed in range(50))

    def mean_pause(stealth):
        attacker = make(kind, stealth)
        return np.mean([attacker.pause(GAP) for _ in range(500)])

    assert total(0.0) > 3 * total(1.0)
    assert mean_pause(0.0) < 2_000_000 < 0.8 * GAP < mean_pause(1.0)


def test_scope_escalation_asks_beyond_its_token(victim):
    attacker = make(ScopeEscalation.kind, 0.0)
    asked = [attacker.act(victim) for _ in range(5)]
    own = {"file_read:github", "db_query:sales"}
    for operation in asked:
        assert isinstance(operation, IssueChild)
        assert set(operation.scope.split()) - own
    assert len({operation.task_id for operation in asked}) == 5


def test_a_stolen_token_is_used_from_elsewhere_until_it_is_dead(victim):
    attacker = make(TokenTheft.kind, 1.0)
    first = attacker.act(victim)
    assert isinstance(first, Verify)
    assert first.token == "token"
    assert first.source_ip != victim.source_ip
    victim.access_token = "refreshed"
    assert attacker.act(victim).token == "token"
    dead = Verification(log_id=1, is_valid=False, error=InvalidToken("revoked", "it is"))
    assert attacker.observe(dead) is False


def test_a_thief_who_is_only_refused_a_tool_goes_on(victim):
    attacker = make(TokenTheft.kind, 0.0)
    attacker.act(victim)
    refused = Verification(log_id=1, is_valid=False, error=InsufficientScope("tool_not_granted", "no"))
    assert attacker.observe(refused) is True


def test_a_stolen_refresh_token_is_redeemed_and_what_it_gives_is_used(victim):
    attacker = make(RefreshReplay.kind, 0.0)
    assert attacker.act(victim).refresh_token == "refresh"
    grant = TokenGrant(
        log_id=1,
        access_token="fresh",
        refresh_token=None,
        expires_in=1,
        expires_at=1,
        scope="",
        task_id="task-1",
        parent_task_id=None,
        allowed_tools=[],
        allowed_resources=[],
        scope_inheritance="restricted",
        grant_id=1,
        root_grant_id=1,
        depth=0,
        audience=[],
        level="minimal",
    )
    assert attacker.observe(grant) is True
    used = attacker.act(victim)
    assert isinstance(used, Verify)
    assert used.token == "fresh"


def test_a_replay_that_is_refused_is_the_end_of_it(victim):
    attacker = make(RefreshReplay.kind, 0.0)
    assert isinstance(attacker.act(victim), Refresh)
    refusal: OAuthError = InvalidGrant("refresh_reused", "no")
    assert attacker.observe(refusal) is False


def test_there_is_nothing_to_replay_without_a_refresh_token(victim):
    victim.refresh_token = None
    assert make(RefreshReplay.kind, 0.5).act(victim) is None


def test_a_hijacked_task_turns_to_what_it_does_not_usually_do(victim):
    attacker = make(TaskHijack.kind, 0.0)
    for _ in range(10):
        operation = attacker.act(victim)
        assert operation.required_tools == ("db_query",)
        assert operation.source_ip == victim.source_ip
        assert operation.token == victim.access_token
