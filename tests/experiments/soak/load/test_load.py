"""A minute under load: every answer is the one that was asked for, and what must be refused is."""

import random

import pytest

from agentsim.experiments.bench.requests import AgentCredentials
from agentsim.experiments.soak.asks import Answer, Door
from agentsim.experiments.soak.load.load import load
from agentsim.experiments.soak.load.stock import Held, Stock, Tree
from agentsim.experiments.soak.load.traffic import MIX, RATE, Traffic
from agentsim.server import SigningKey

pytestmark = pytest.mark.long

SECONDS = 60
#: Claims alone: {"jti": "7"}
TOKEN = "e30.eyJqdGkiOiI3In0.e30"
AGENT = AgentCredentials("agent_1", "secret")


@pytest.fixture(scope="module")
def soaked(tmp_path_factory):
    tallies = []
    folder = tmp_path_factory.mktemp("soak")
    frame = load(seconds=SECONDS, folder=folder, database=None, seed=1, tallies=tallies, progress=False)
    return {each.name: each for each in tallies}, frame


def test_nothing_is_lost_let_in_or_refused_that_had_to_be_granted(soaked):
    tallies, frame = soaked
    assert [each for each in tallies.values() if not each.sound] == []
    assert frame["errors"].sum() == 0


def test_all_was_tried_in_the_parts_that_were_meant(soaked):
    tallies, frame = soaked
    total = frame[list(MIX)].sum().sum()
    # What a machine that is busy with others does not send in time is counted.
    assert total + frame["dropped"].sum() == SECONDS * RATE
    for kind, share in MIX.items():
        assert frame[kind].sum() == pytest.approx(share * total, rel=0.25), kind
    assert tallies["answered tokens looked up afterwards"].tried > 0.1 * total
    assert tallies["tokens long over, cleaned up beside it"].tried > 0


def test_every_second_is_written_down(soaked):
    _, frame = soaked
    assert list(frame["second"]) == list(range(SECONDS))
    asked = frame[frame["p99_ms"].notna()]
    assert (asked["p99_ms"] >= asked["p50_ms"]).all()
    assert frame["rss_mb"].between(20, 2_000).mean() > 0.9


@pytest.fixture
def traffic():
    stock = Stock(SigningKey.generate(), random.Random(1))
    return Traffic(1, [AGENT], stock, random.Random(1))


def judged(traffic, kind, answer, *, expires_at=1 << 40):
    held = Held(token=TOKEN, by=AGENT, tree=Tree(), depth=0, expires_at=expires_at)
    living = kind in ("verified", "introspected", "exchanged")
    tally = traffic.tallies[kind]
    wrong = traffic._judge(tally, Door.VERIFY, held, answer, must_live=living, by=AGENT)
    assert wrong is not tally.sound
    return tally


@pytest.mark.parametrize("kind", ["expired", "badly signed", "revoked"])
def test_what_must_be_refused_and_is_accepted_was_let_in(traffic, kind):
    tally = judged(traffic, kind, Answer(200, {"is_valid": True}))
    assert (tally.let_in, tally.unasked) == (1, 0)
    assert tally.notes == ["accepted at verify: token 7"]


def test_a_refusal_of_what_must_be_refused_is_right(traffic):
    assert judged(traffic, "revoked", Answer(200, {"is_valid": False})).sound


def test_a_living_token_that_is_refused_is_an_error_unless_the_answer_came_after_its_end(traffic):
    refused = Answer(200, {"is_valid": False})
    assert judged(traffic, "verified", refused, expires_at=0).sound
    assert judged(traffic, "verified", refused).unasked == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_error_is_an_error_whatever_was_presented(traffic, status):
    for kind in ("verified", "revoked"):
        assert judged(traffic, kind, Answer(status, {"error": "x"})).unasked == 1
