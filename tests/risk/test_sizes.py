from agentsim.risk import read_behaviour
from agentsim.risk.sizes import SizeNovelty, size_items


def letters(world, lengths):
    for length in lengths:
        grant = world.grant(role="clerk", task="post letters")
        world.verify(grant, "send")
        details = {"tool": "send", "outcome": "success", "arg_chars": length, "result_chars": None}
        world.event("task_execution", grant, details)
    return world


def words(run):
    return size_items(run, read_behaviour(run).grants)


def test_lengths_are_words_by_powers_of_two_and_what_is_not_told_is_none(world, tmp_path):
    items = words(letters(world, (32, 63, 64, 0)).write(tmp_path / "run"))
    assert [items.words[code] for code in items.word] == [
        "given send 2^5",
        "given send 2^5",
        "given send 2^6",
        "given send 2^0",
    ]
    assert items.grant.tolist() == [0, 1, 2, 3]


def test_a_length_that_the_task_does_not_know_is_surprising(new_world, tmp_path):
    novelty = SizeNovelty().fit(words(letters(new_world(), [40] * 12).write(tmp_path / "reference")))
    usual, long = novelty.profile(words(letters(new_world(), (50, 5000)).write(tmp_path / "judged")))[:, 0]
    assert long > usual + 1
