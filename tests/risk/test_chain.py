import numpy as np
import pytest

from agentsim.risk import ContextualSurprise, gather
from agentsim.risk.acts import is_look
from agentsim.risk.chain import ChainEncoder, ChainNovelty, WordKind, words_in_order

PLENTY = 12


@pytest.mark.parametrize(
    ("tool", "looks"),
    [
        ("get_balance", True),
        ("file_read", True),
        ("email.read", True),
        ("listOrders", True),
        ("browser:view", True),
        ("send_money", False),
        ("budget_transfer", False),
        ("x", False),
        ("", False),
    ],
)
def test_a_tool_that_looks_is_told_by_its_first_or_last_word(tool, looks):
    assert is_look(tool) is looks


def office(world):
    """Letters are read and then sent, bills read and then paid; sometimes the balance is got first."""
    for number in range(PLENTY):
        letters = world.grant(role="clerk", task="post letters", tools=("read",))
        bills = world.grant(role="clerk", task="settle bills", tools=("read",))
        for grant, tool in ((letters, "send"), (bills, "pay")):
            if number in (0, 1):
                world.verify(grant, "get_balance")
            world.verify(grant, "read")
            world.verify(grant, tool)
    return world


def judge(new_world, tmp_path, *runs, task="post letters"):
    """Scores of grants of a task, each told by the tools that it used in order."""
    detector = ChainNovelty().fit(gather(office(new_world()).write(tmp_path / "reference")))
    world = new_world()
    for tools in runs:
        grant = world.grant(role="clerk", task=task)
        for tool in tools:
            world.verify(grant, tool)
    return detector.score(gather(world.write(tmp_path / "judged")))


def test_acting_out_of_place_is_worse_than_looking_about(new_world, tmp_path):
    usual, looked, acted = judge(
        new_world, tmp_path, ("read", "send"), ("read", "send", "get_invoice"), ("read", "send", "pay")
    )
    assert usual < looked < acted


def test_the_same_tools_in_another_order_are_told_apart(new_world, tmp_path):
    usual, backwards, beside = judge(
        new_world, tmp_path, ("read", "send"), ("send", "read"), ("read", "send", "pay")
    )
    assert usual < backwards < beside


def test_a_second_act_counts_only_as_far_as_it_is_rarer_than_the_first(new_world, tmp_path):
    once, twice, strange, strange_twice = judge(
        new_world,
        tmp_path,
        ("read", "send"),
        ("read", "send", "send"),
        ("read", "pay"),
        ("read", "pay", "pay"),
    )
    assert twice > once + 1
    # The first payment is the news; that there was a second adds less than it does to sending.
    assert 0 <= strange_twice - strange < twice - once


def test_tools_that_nobody_ever_used_are_still_told_apart_by_what_they_do(new_world, tmp_path):
    acted, looked, elsewhere = judge(
        new_world, tmp_path, ("read", "wipe_disk"), ("read", "list_disks"), ("read", "wipe_disk", "wipe_disk")
    )
    assert acted > 1.5 * looked > 0
    assert elsewhere == pytest.approx(acted)


def test_what_was_never_done_is_0(new_world, tmp_path):
    assert judge(new_world, tmp_path, ()).tolist() == [0.0]


def test_every_longer_word_points_at_the_shorter_one(new_world, tmp_path):
    words = words_in_order(gather(office(new_world()).write(tmp_path / "reference")))
    encoder = ChainEncoder().fit(words)
    names = ("never met", *encoder.words_)
    longer = {names[place]: names[at] for place, at in enumerate(encoder.shorter_) if at >= 0}
    assert longer["use send #2"] == "use send #1"
    assert longer["then read > send"] == longer["then ? > send"] == "use send #1"
    assert "use read #1" not in longer
    kinds = dict(zip(names, encoder.kinds_, strict=True))
    assert kinds["use pay #2"] == WordKind.ACT_AGAIN
    assert kinds["then start > get_balance"] == WordKind.STEP_TO_LOOK
    assert kinds["on mail"] == WordKind.OTHER


def test_a_longer_word_counts_what_it_adds_and_nothing_without_the_shorter():
    # Column 1 makes column 0 longer; half of the rows have 0, one in ten has both.
    rows = np.zeros((20, 2))
    rows[:10, 0] = 1
    rows[:2, 1] = 1
    judged = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    plain = ContextualSurprise(top=2).fit(rows)
    _, _, alone = plain.surprises(judged)
    chained = ContextualSurprise(top=2, shorter=np.array([-1, 0])).fit(rows)
    row, column, surprise = chained.surprises(judged)
    told = {(int(r), int(c)): s for r, c, s in zip(row, column, surprise, strict=True)}
    assert told[0, 0] + told[0, 1] == pytest.approx(max(alone))
    assert told[1, 1] == 0
    weighed = ContextualSurprise(top=2, shorter=np.array([-1, 0]), weights=np.array([1.0, 0.5])).fit(rows)
    assert -weighed.score_samples(judged)[0] == pytest.approx(told[0, 0] + told[0, 1] / 2)
