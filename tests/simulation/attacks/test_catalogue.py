"""The catalogue says of every attack what it does, and of every threat that is not in it why."""

import re

import pytest

from agentsim.errors import UserError
from agentsim.risk.catalogue import FEATURES, families
from agentsim.simulation.attacks import ATTACKERS, NOT_PLAYED, SIGNALS, UNSEEN, describe, explain

TAG = re.compile(r"ASI(0[1-9]|10)|T([1-9]|1[0-5])|NHI([1-9]|10)|AML\.T\d{4}(\.\d{3})?|RFC 9700 \S+")


def test_there_are_fifteen_at_least():
    assert len(ATTACKERS) >= 15


def test_each_says_what_it_does_by_which_names_it_goes_and_what_gives_it_away(kind):
    told = describe(ATTACKERS[kind])
    assert told["kind"] == kind
    assert told["does"].endswith(".")
    assert told["deviation"]
    assert told["tags"]
    assert [tag for tag in told["tags"] if not TAG.fullmatch(tag)] == []


def test_every_signal_is_a_feature_or_explained(kind):
    told = describe(ATTACKERS[kind])["signals"]
    assert told
    assert len(set(told)) == len(told)
    assert [signal for signal in told if not ({signal} & {*FEATURES, *SIGNALS} or families(signal))] == []


def test_no_signal_is_explained_twice_or_for_nobody():
    assert not set(SIGNALS) & set(FEATURES)
    assert set(SIGNALS) <= {signal for attacker in ATTACKERS.values() for signal in attacker.signals}


def test_what_cannot_be_seen_has_a_reason_and_effects_that_can():
    hidden = {tag for threat in UNSEEN for tag in threat.tags}
    assert hidden >= {"ASI01", "ASI05", "ASI06", "T1", "T6", "T7", "T11", "T15", "NHI3", "NHI6", "A1", "A2"}
    for threat in UNSEEN:
        assert threat.reason
        assert set(threat.effects) <= set(ATTACKERS)
    assert not set(NOT_PLAYED) & set(ATTACKERS)


def test_an_unknown_attack_is_a_users_mistake():
    with pytest.raises(UserError, match="did you mean 'cascade'"):
        explain("cascades")
