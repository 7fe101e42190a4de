"""Why an entity was an alert, in words: beside its role, the organisation and its agent's own history."""

import numpy as np
import pytest

from agentsim.risk import FEATURES, Combined, Deviating, Novelty, gather, read_behaviour
from agentsim.risk.explaining import NOTHING, explain_alerts
from agentsim.risk.phrases import PHRASES, feature_phrase, feature_value, without_numbers, word_phrase
from agentsim.risk.places import Places


def office(world, grants=60):
    """Clerks under leads, who read and sometimes send; refreshing now and then."""
    for number in range(grants // 2):
        root = world.grant("lead", task="review")
        world.verify(root, "read")
        clerk = world.grant("clerk", task="post", parent=root)
        for tool in ("read", "send")[: 1 + number % 2]:
            world.verify(clerk, tool)
        for _ in range(number % 3):
            world.event("token_refreshed", clerk)
    return world


def explained(detector, run, kind="grant"):
    """The reasons of all entities of a Run."""
    behaviour = read_behaviour(run)
    evidence = gather(behaviour, kind)
    return explain_alerts(detector, behaviour, evidence, np.ones(len(evidence), bool))


@pytest.fixture
def detector(new_world, tmp_path):
    usual = gather(office(new_world()).write(tmp_path / "usual"))
    return Combined(0, [Deviating(wanted=["refreshes", "refusal"]), Novelty()]).fit(usual)


def test_every_feature_has_its_words_with_one_place_for_the_value():
    assert set(PHRASES) == set(FEATURES)
    for name, phrase in PHRASES.items():
        assert phrase.count("{}") == 1, name
        assert "(s)" not in feature_phrase(name, 1) + feature_phrase(name, 2)


def test_values_read_as_people_write_them():
    assert feature_phrase("resources", 41) == "turned to 41 resources"
    assert feature_phrase("source_ips", 1) == "came from 1 address"
    assert feature_phrase("source_ips", 3) == "came from 3 addresses"
    assert feature_value("refused_share", 0.25) == "25 %"
    assert feature_value("active_s", 12_345.6) == "12,346"
    assert feature_value("tools", 3.0000000001) == "3"
    assert feature_value("burstiness", -0.123456) == "-0.123"
    assert feature_phrase("of_their_own", 2) == "of their own: 2"


def test_what_a_detector_says_is_put_into_words():
    told = {
        "use mail_send #1": "used mail_send",
        "use mail_send #2": "used mail_send again",
        "refused tool_not_granted #1": "was refused: tool not granted",
        "caller changed #1": "changed its caller",
        "source_ip changed #3": "changed its address again",
        "then start > login": "began with login",
        "then login > pay": "pay right after login",
        "on crm": "turned to crm",
        "something else": "something else",
    }
    assert {word: word_phrase(word) for word in told} == told


def test_reasons_that_differ_in_values_alone_are_the_same_reason():
    for name in FEATURES:
        one, many = (without_numbers(f"{feature_phrase(name, value)} (this role 0)") for value in (1, 12.5))
        assert one == many
        assert "N" in one
    assert without_numbers("used pay, as 1 in 30 does") == "used pay"
    assert without_numbers("used pay again, as 1 in 400 does") == "used pay again"


def test_the_feature_that_is_furthest_out_comes_first_beside_role_and_organisation(detector, world, tmp_path):
    office(world, 4)
    clerk = world.grant("clerk", task="post")
    for _ in range(9):
        world.event("token_refreshed", clerk)
    reasons = explained(detector, world.write(tmp_path / "run"))[-1]
    assert reasons[0].startswith(
        "had its tokens refreshed 9 times (this role typically 1, 99th percentile 2; "
    )
    assert "all roles typically 0, 99th percentile 2)" in reasons[0]
    assert reasons[-1] == "the root of a tree of 1 grant, 0 deep"


def test_an_agent_with_three_earlier_grants_is_beside_itself_and_one_with_two_is_not(
    detector, world, tmp_path
):
    for earlier in (2, 3):
        agent = world.agent("clerk")
        for times in range(earlier):
            first = world.grant("clerk", task="post", client=agent)
            for _ in range(times):
                world.event("token_refreshed", first)
        last = world.grant("clerk", task="post", client=agent)
        for _ in range(9):
            world.event("token_refreshed", last)
    told = explained(detector, world.write(tmp_path / "run"))
    assert "its agent's" not in told[2][0]
    assert "; its agent's 3 before at most 2)" in told[-1][0]


def test_a_surprising_step_is_told_with_its_odds(detector, world, tmp_path):
    clerk = world.grant("clerk", task="post")
    world.verify(clerk, "pay")
    (reasons,) = explained(detector, world.write(tmp_path / "run"))
    step = next(reason for reason in reasons if reason.startswith("used pay, as 1 in "))
    assert int(step.split()[5]) > 10


def test_what_does_as_all_do_has_nothing_to_tell_but_its_place(detector, world, tmp_path):
    root = world.grant("lead", task="review")
    world.verify(root, "read")
    assert explained(detector, world.write(tmp_path / "run")) == [
        [NOTHING, "the root of a tree of 1 grant, 0 deep"]
    ]


def test_places_in_a_tree_are_told_without_ids(world, tmp_path):
    lead, clerk = world.agent("lead"), world.agent("clerk")
    root = world.grant(client=lead)
    first = world.grant(client=clerk, parent=root)
    world.grant(client=clerk, parent=root)
    world.grant(parent=first)
    world.grant(client=lead)
    places = Places.of(read_behaviour(world.write(tmp_path / "run")))
    assert [places.tell("grant", place) for place in range(5)] == [
        "the root of a tree of 4 grants, 2 deep",
        "depth 1 of 2, 1st child of its parent, 4 grants in its tree",
        "depth 1 of 2, 2nd child of its parent, 4 grants in its tree",
        "depth 2 of 2, 1st child of its parent, 4 grants in its tree",
        "the root of a tree of 1 grant, 0 deep",
    ]
    assert places.tell("tree", 0) == "a tree of 4 grants on 3 levels, held by 3 agents"
    assert places.tell("agent", 0) == "an agent with 2 grants in 2 trees"
