"""Rounds keep causal order, whatever is cut where."""

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentsim.server import Admin, ManualClock, Register, Server
from agentsim.simulation.rounds import Stage, Step, _split
from agentsim.simulation.windows import WindowLog

WINDOW = 1_000


class Diary:
    """A play in which every step registers an agent and some lead to another step."""

    def __init__(self, follow_ups=()):
        self.follow_ups = dict(follow_ups)
        self.settled = []
        self._orders = count(1_000)

    def prepare(self, step):
        return Register(by=Admin("acme"), agent_name=f"a{step.order}", allowed_tools=[], resource_access=[])

    def settle(self, step, operation, answer):
        self.settled.append(step)
        delay = self.follow_ups.pop(step.order, None)
        return () if delay is None else [Step(step.time + delay, next(self._orders), step.actor, -1, 0)]


@pytest.fixture
def stage(tmp_path):
    def make(batch_size=1000):
        server = Server(clock=ManualClock())
        log = WindowLog(0, server, tmp_path / "server.db")
        return Stage(server, log, start=0, window=WINDOW, batch_size=batch_size)

    return make


def perform(stage, windows, play):
    return list(stage.perform(iter(windows), play))


def test_steps_of_one_actor_are_taken_one_after_the_other(stage):
    play = Diary()
    perform(stage(), [[Step(5, 1, 7, -1, 0), Step(3, 0, 7, -1, 0), Step(4, 2, 8, -1, 0)]], play)
    assert [step.order for step in play.settled if step.actor == 7] == [0, 1]


def test_a_child_waits_for_its_parents_earlier_step(stage):
    play = Diary()
    perform(stage(), [[Step(1, 0, 1, -1, 0), Step(2, 1, 2, 1, 0)]], play)
    assert [step.actor for step in play.settled] == [1, 2]


def test_a_parents_later_step_does_not_overtake_a_child_that_waits():
    confirming, child, parent_refreshes = Step(1, 0, 2, -1, 0), Step(2, 1, 2, 1, 0), Step(3, 2, 1, -1, 0)
    ready, rest = _split([confirming, child, parent_refreshes])
    assert ready == [confirming]
    assert rest == [child, parent_refreshes]


def test_a_follow_up_comes_in_its_own_window(stage):
    play = Diary({0: 10, 1: 2_500})
    counts = perform(stage(), [[Step(1, 0, 1, -1, 0), Step(2, 1, 2, -1, 0)], []], play)
    assert [step.time for step in play.settled] == [1, 2, 11, 2_502]
    assert counts == [3, 0, 1]


def test_what_follows_the_last_intent_is_still_played(stage):
    play = Diary({0: 5_000})
    assert perform(stage(), [[Step(1, 0, 1, -1, 0)]], play)[-1] == 1


@given(
    steps=st.lists(st.tuples(st.integers(0, WINDOW - 1), st.integers(0, 5), st.integers(-1, 5)), max_size=40)
)
@settings(max_examples=100, deadline=None)
def test_no_step_comes_before_one_that_it_waits_for(steps):
    due = sorted(
        Step(time, order, actor, after if after != actor else -1, 0)
        for order, (time, actor, after) in enumerate(steps)
    )
    taken, waiting = [], due
    while waiting:
        ready, waiting = _split(waiting)
        assert ready, "a round without steps would never end"
        actors = [step.actor for step in ready]
        assert len(actors) == len(set(actors))
        taken.append(ready)
    round_of = {step.order: number for number, ready in enumerate(taken) for step in ready}
    for place, later in enumerate(due):
        for earlier in due[:place]:
            if earlier.actor in (later.actor, later.after):
                assert round_of[earlier.order] < round_of[later.order]
            if earlier.after == later.actor:
                assert round_of[earlier.order] <= round_of[later.order]
