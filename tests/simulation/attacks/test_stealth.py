"""What stealth means for every attack: a burst from outside, or its victim's own pace, number and names."""

import itertools
import re

import numpy as np
import pytest

from agentsim.server import Issue, IssueChild, Register, Verify
from agentsim.server.answers import Verification
from agentsim.server.errors import InvalidToken
from agentsim.simulation.attacks import ATTACKERS

GAP = 30_000_000


def numbers(make, kind, stealth, victim):
    """How many operations attackers of a kind settle for."""
    found = []
    for seed in range(200):
        attacker = make(kind, stealth, seed, victim)
        found.append(attacker._left)
    return np.array(found)


def test_a_quiet_attacker_does_as_much_as_its_victims_role_or_half_beside_it_and_a_loud_one_more(
    make, kind, victim
):
    extra = {"rogue_registration": 3}.get(kind, 0)
    for steps in (4.0, 9.0):
        victim.steps = steps
        quiet = numbers(make, kind, 1.0, victim).mean() - extra
        # One at least, which lifts small means.
        assert quiet == pytest.approx(steps * ATTACKERS[kind].quiet, rel=0.15)
        assert numbers(make, kind, 0.5, victim).mean() - extra == pytest.approx(quiet, rel=0.15)
        assert numbers(make, kind, 0.0, victim).mean() > 1.2 * (quiet + extra)


def test_a_quiet_attacker_keeps_its_victims_pace_and_a_loud_one_none(make, kind):
    def mean_pause(stealth):
        attacker = make(kind, stealth)
        return np.mean([attacker.pause(GAP) for _ in range(5000)])

    assert mean_pause(0.0) < 1_600_000
    assert mean_pause(1.0) == pytest.approx(GAP, rel=0.15)


def test_a_quiet_attackers_pauses_vary_as_its_victims_thinking_does(make, victim):
    victim.gap_spread = 0.3
    attacker = make("token_theft", 1.0, 0, victim)
    pauses = [attacker.pause(GAP) for _ in range(5000)]
    assert np.log(pauses).std() == pytest.approx(0.3, rel=0.1)


def test_a_quiet_attacker_names_nothing_that_its_organisation_does_not_have(make, kind, victim, grant):
    tools = {**victim.parent.tools, **victim.beyond, **victim.registered}
    for seed in range(20):
        attacker = make(kind, 1.0, seed, victim)
        for number in range(12):
            asked = attacker.act(victim)
            if asked is None:
                break
            assert (getattr(asked, "source_ip", None) or "10.").startswith("10.")
            match asked:
                case Issue() | IssueChild():
                    assert asked.task_id in victim.errands
                    assert re.sub(r"\d+", "4", asked.task_description) == victim.task_description
                    assert {name.split(":")[0] for name in (asked.scope or "").split()} <= set(tools)
                    attacker.observe(grant(f"token-{number}", asked.task_id))
                case Register():
                    assert asked.agent_name == victim.agent_name
                    break
                case Verify():
                    assert set(asked.required_tools) <= set(tools)
                    assert re.fullmatch(r"task-\d{7}", asked.task_id)
                    assert asked.audience is None


def test_a_quiet_attacker_goes_on_from_tool_to_tool_as_its_victims_role_does(make, victim):
    victim.work = {"file_read": ("github",), "db_query": ("sales",)}
    quiet, loud = make("token_theft", 1.0), make("token_theft", 0.0)
    called = [quiet.act(victim).required_tools[0] for _ in range(400)]
    after = [then for one, then in itertools.pairwise(called) if one == "file_read"]
    assert called[0] == "file_read"
    assert after.count("db_query") / len(after) == pytest.approx(0.75, abs=0.1)
    assert len({loud.act(victim).required_tools[0] for _ in range(100)}) == 4


def test_who_has_taken_an_agent_over_goes_on_from_the_agents_own_last_call(make, victim):
    victim.work = {"file_read": ("github",), "db_query": ("sales",)}
    victim.habits = {"": {"db_query": 1.0}, "db_query": {"file_read": 1.0}, "file_read": {"db_query": 1.0}}
    victim.calls, victim.last_tool = 3, "file_read"
    attacker = make("long_lived", 1.0)
    assert attacker.call(victim, victim.work).required_tools == ("db_query",)
    assert attacker.call(victim, victim.work).required_tools == ("file_read",)
    victim.calls, victim.last_tool = 4, "db_query"
    assert attacker.call(victim, victim.work).required_tools == ("file_read",)


def test_a_quiet_attacker_stops_where_the_grant_has_ended_as_an_honest_agent_does(make, kind, victim):
    attacker = make(kind, 1.0, 1, victim)
    attacker._left = 50
    going = attacker.observe(Verification(log_id=1, is_valid=False, error=InvalidToken("revoked", "it is")))
    # Those that go on for that very reason, or have something of their own to go on with, aside.
    if not ATTACKERS[kind].stays:
        assert going is False
    if kind == "orphan_after_revoke":
        assert going is True
