"""The command that prints the catalogue of attacks."""

import json
from functools import partial

import pytest

from agentsim.simulation.attacks import ATTACKERS, NOT_PLAYED, UNSEEN


@pytest.fixture
def cli(cli):
    """Gives words to ``agentsim attacks``."""
    return partial(cli, "attacks")


def test_it_lists_every_attack_and_what_cannot_be_seen(cli):
    status, out, err = cli()
    assert (status, err) == (0, "")
    firsts = {line.split()[0] for line in out.splitlines() if line}
    assert set(ATTACKERS) | set(NOT_PLAYED) <= firsts
    assert [threat.name for threat in UNSEEN if threat.name not in out] == []


def test_programs_get_the_same_as_json(cli):
    _, out, _ = cli("--json")
    told = json.loads(out)
    assert [attack["kind"] for attack in told["attacks"]] == list(ATTACKERS)
    assert len(told["unseen"]) == len(UNSEEN)
    assert told["not_played"] == NOT_PLAYED


def test_one_attack_is_told_in_detail_with_what_its_signals_mean(cli):
    _, out, _ = cli("runaway_fanout")
    assert ATTACKERS["runaway_fanout"].deviation in out
    assert "child grants made under it" in out
    told = json.loads(cli("toctou_drift", "--json")[1])
    assert all(told["signals"].values())
    assert "not labelled" in told["notes"]


def test_an_unknown_attack_is_told_in_one_line(cli):
    status, out, err = cli("runaway_fan")
    assert (status, out) == (2, "")
    assert err == "agentsim: no such attack: 'runaway_fan'; did you mean 'runaway_fanout'?\n"


def test_its_help_gives_an_example(cli):
    assert "Example: agentsim attacks " in cli("--help")[1]
