"""People beside agents: when they work, what they leave in a Run, and that agents do not notice."""

from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.lineage import check, summarise
from agentsim.risk import gather
from agentsim.server.clock import SECOND
from agentsim.simulation import simulate
from agentsim.simulation.intents import make_intents
from agentsim.simulation.people import People
from agentsim.simulation.scenario import parse_scenario
from agentsim.simulation.sessions import make_sessions

DAY = 86_400 * SECOND
#: A Monday, before anybody is at work.
MONDAY = "2026-01-05T00:00:00Z"


def week(scenario, **people):
    """The sessions of a hundred people in a week."""
    story = scenario(
        start=MONDAY,
        workload={"executor": "constant-arrival-rate", "duration": "7d"},
        people={"count": 100, **people},
    )
    return story, make_sessions(story, story.people, 0, story.start_us + 7 * DAY)


def moments(sessions, offset=timedelta()):
    zone = timezone(offset)
    return [datetime.fromtimestamp(session.begins / SECOND, zone) for session in sessions]


def test_sessions_begin_within_working_hours_of_working_days_and_never_outside(scenario):
    _, sessions = week(scenario, hours="08:30-17:00", days=["mon", "wed"], zone="+02:00")
    local = moments(sessions, timedelta(hours=2))
    assert {moment.weekday() for moment in local} == {0, 2}
    minutes = [60 * moment.hour + moment.minute for moment in local]
    assert min(minutes) >= 8 * 60 + 30
    assert max(minutes) < 17 * 60
    # Somebody comes early, and somebody works until the end.
    assert min(minutes) < 9 * 60
    assert max(minutes) > 16 * 60 + 30


def test_as_many_sessions_come_as_was_said_with_a_dip_around_noon(scenario):
    _, sessions = week(scenario, sessions=6.0)
    assert len(sessions) / 500 == pytest.approx(6, rel=0.06)
    hours = Counter(moment.hour for moment in moments(sessions))
    assert hours[12] < 0.8 * hours[10]
    assert hours[8] < hours[10]
    people = Counter(session.person for session in sessions)
    assert len(people) == 100
    assert sorted(session.begins for session in sessions) == [session.begins for session in sessions]


def test_calls_of_a_session_follow_each_other(scenario):
    story, sessions = week(scenario, calls=8.0, gap="20s")
    calls = [session.calls(story.people) for session in sessions[:600]]
    assert np.mean([len(each) for each in calls]) == pytest.approx(8, rel=0.06)
    for each in calls:
        for earlier, later in pairwise(each):
            assert later.offset > earlier.offset + earlier.duration
        assert all(call.resource in story.people.tools[call.tool] for call in each)
    assert calls[0] == sessions[0].calls(story.people)


def test_what_is_drawn_for_a_day_does_not_depend_on_how_long_a_simulation_lasts(scenario):
    story, sessions = week(scenario)
    shorter = make_sessions(story, story.people, 0, story.start_us + 2 * DAY)
    assert shorter == sessions[: len(shorter)]


@given(
    count=st.integers(1, 50),
    sessions=st.floats(0, 50),
    hours=st.sampled_from(["00:00-24:00", "02:00-23:00"]),
    zone=st.sampled_from(["-11:30", "+00:00", "+14:00"]),
)
@settings(max_examples=20, deadline=None)
def test_people_leave_every_agents_intent_as_it_was(count, sessions, hours, zone):
    data = {
        "schema": 1,
        "name": "story",
        "seed": 42,
        "start": "2026-01-05T06:00:00Z",
        "population": {"agents": 60},
        "workload": {"executor": "constant-arrival-rate", "duration": "12h"},
    }
    people = {"count": count, "sessions": sessions, "hours": hours, "days": "mon-sun", "zone": zone}
    alone, beside = (
        make_intents(parse_scenario(data), 0),
        make_intents(parse_scenario({**data, "people": people}), 0),
    )
    for name in ("time", "agent", "ordinal", "kind", "call"):
        assert (getattr(alone, name) == getattr(beside, name)).all()


def test_hours_and_zones_decide_whether_anybody_is_at_work():
    people = People(count=1, hours="08:00-18:00", days="mon-fri", zone="+01:00")

    def at_work(begin, end):
        return people.is_anybody_at_work(*(int(moment.timestamp()) * SECOND for moment in (begin, end)))

    monday = datetime(2026, 1, 5, tzinfo=UTC)
    assert at_work(monday + timedelta(hours=7), monday + timedelta(hours=8))
    assert not at_work(monday, monday + timedelta(hours=7))
    assert not at_work(monday + timedelta(hours=17), monday + timedelta(hours=30))
    assert not at_work(monday - timedelta(days=2), monday)


@pytest.fixture(scope="module")
def beside():
    data = {
        "schema": 1,
        "name": "beside",
        "seed": 9,
        "start": "2026-01-05T09:00:00Z",
        "tenants": 2,
        "population": {"agents": 150},
        "workload": {"executor": "constant-arrival-rate", "duration": "1h"},
        "policy": {"access_ttl": "1m", "grant_ttl": "1h"},
        "people": {"count": 30, "sessions": 20.0},
        "attacks": [{"kind": "token_theft", "prevalence": 0.2, "stealth": 0.2}],
    }
    return lambda **parts: parse_scenario({**data, **parts})


@pytest.fixture(scope="module")
def run(beside, tmp_path_factory):
    return simulate(beside(), tmp_path_factory.mktemp("runs") / "beside")


def test_a_run_tells_people_from_agents(run):
    assert check(run) == []
    summary = summarise(run)
    assert (summary.agents, summary.people) == (150, 30)
    agents = run.frame("agents")
    assert set(agents.loc[agents["actor_class"] == "human", "role"]) == {"employee"}
    assert "employee" not in set(agents.loc[agents["actor_class"] == "agent", "role"])
    tokens = run.frame("tokens")
    theirs = tokens[tokens["actor_class"] == "human"]
    assert (theirs["depth"] == 0).all()
    assert theirs["grant_id"].nunique() > 30


def test_people_work_renew_their_tokens_and_sign_out(run):
    events = run.sql("""
        select event_type, a.status, count(*) n from audit a join agents using (tenant, client_id)
        where actor_class = 'human' group by all
    """)
    granted = {row.event_type: row.n for row in events.itertuples() if row.status == "granted"}
    assert granted["token_refreshed"] > 0
    assert granted["token_verified"] > 5 * granted["token_issued"]
    assert granted["task_execution"] == granted["token_verified"]
    assert 0.4 < granted["token_revoked"] / granted["token_issued"] < 0.8


def test_the_same_seed_gives_the_same_bytes_with_people_too(run, beside, tmp_path):
    for size, jobs in ((1, 1), (1000, 2)):
        again = simulate(beside(), tmp_path / f"again-{size}", batch_size=size, jobs=jobs)
        assert again.manifest.digests() == run.manifest.digests()


def test_detectors_take_people_as_a_class_of_their_own(run):
    evidence = gather(run)
    assert evidence.features.notna().all().all()
    assert len(evidence) > 150
