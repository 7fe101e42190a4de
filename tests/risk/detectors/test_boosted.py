import numpy as np
import pytest

from agentsim.risk import gather
from agentsim.risk.detectors import Boosted, Columns, leave_kinds_out


def bank(world, random, *, thieves=0, snoops=0):
    """Clerks read and send; thieves are refused payments, snoops read without end."""
    kinds = ["honest"] * 120 + ["thief"] * thieves + ["snoop"] * snoops
    attack = []
    for kind in random.permutation(kinds):
        grant = world.grant("clerk", task="post letters")
        for _ in range(30 if kind == "snoop" else random.integers(1, 4)):
            world.verify(grant, "read")
        world.verify(grant, "send")
        if kind == "thief":
            for _ in range(random.integers(2, 4)):
                world.verify(grant, "pay", reason="tool_not_granted")
        attack.append("" if kind == "honest" else str(kind))
    return np.array(attack, object)


@pytest.fixture(scope="module")
def seeds(new_world, tmp_path_factory):
    """Reference, training and judged evidence, and the attacks of the last two."""
    folder, told = tmp_path_factory.mktemp("bank"), []
    for seed, attackers in enumerate(({}, {"thieves": 20, "snoops": 20}, {"thieves": 10, "snoops": 10})):
        world = new_world()
        attack = bank(world, np.random.default_rng(seed), **attackers)
        told.append((gather(world.write(folder / str(seed))), attack))
    return told


def test_attacks_of_kinds_that_were_learned_are_told_with_probabilities(seeds):
    (reference, _), (training, attack), (judged, truth) = seeds
    columns = Columns(reference)
    score = Boosted(0).fit(columns.of(training), attack != "", training.tree).score(columns.of(judged))
    assert ((score >= 0) & (score <= 1)).all()
    assert score[truth != ""].min() > score[truth == ""].max()
    # 20 of the 140 judged are attacks.
    assert score.mean() == pytest.approx(20 / 140, abs=0.05)


def test_a_kind_that_is_left_out_was_not_learned(seeds):
    (reference, _), (training, attack), (judged, truth) = seeds
    columns = Columns(reference)
    learned, asked = columns.of(training), columns.of(judged)
    left_out = {kind: each.score(asked) for kind, each in leave_kinds_out(0, learned, attack, training.tree)}
    assert list(left_out) == ["snoop", "thief"]
    everything = Boosted(0).fit(learned, attack != "", training.tree).score(asked)
    for kind, score in left_out.items():
        assert score[truth == kind].mean() < everything[truth == kind].mean()
    # Which kinds are there changes nothing for those that are left.
    renamed = np.where(attack == "thief", "burglar", attack)
    again = dict(leave_kinds_out(0, learned, renamed, training.tree))
    assert again["burglar"].score(asked).tolist() == left_out["thief"].tolist()
