import itertools

import numpy as np
import pytest

from agentsim.simulation.streams import STREAM, cell_seed, generator


def first(entropy: int, stream: STREAM, tenant: int) -> int:
    return int(generator(entropy, stream, tenant).integers(2**63))


def test_the_numbers_of_the_streams_are_frozen() -> None:
    assert {stream.name: stream.value for stream in STREAM} == {
        "TOPOLOGY": 1,
        "ARRIVALS": 2,
        "TASKS": 3,
        "BEHAVIOUR": 4,
        "TIMING": 5,
        "ENDINGS": 6,
        "PLACES": 7,
        "ATTACKS": 8,
        "SECRETS": 9,
        "KEYS": 10,
        "PEOPLE": 11,
        "PHASES": 12,
        "DESIGN": 13,
    }


def test_first_draws_are_pinned() -> None:
    assert first(42, STREAM.TOPOLOGY, 0) == 8_705_795_336_500_344_424
    assert first(2**127, STREAM.SECRETS, 2) == 8_968_518_567_355_950_915


def test_a_keyed_stream_is_the_one_that_spawning_would_have_reached() -> None:
    root = np.random.SeedSequence(42)
    spawned = root.spawn(1)[0].spawn(1)[0].spawn(2)[1].spawn(6)[5]
    reached = np.random.Generator(np.random.PCG64DXSM(spawned))
    assert int(reached.integers(2**63)) == first(42, STREAM.TOPOLOGY, 5)


def test_every_key_leads_to_another_stream() -> None:
    draws = [first(*keys) for keys in itertools.product((0, 1, 42), STREAM, (0, 1, 2))]
    assert len(set(draws)) == len(draws)


def test_every_cell_has_a_seed_of_its_own_which_is_pinned() -> None:
    assert cell_seed(42, 3, 1) == 237_569_992_312_709_111_136_815_648_128_265_111_016
    seeds = [cell_seed(*keys) for keys in itertools.product((0, 1, 42, 2**127), (0, 9, 2**31), (0, 1, 9))]
    assert len(set(seeds)) == len(seeds)
    assert all(seed.bit_length() > 100 for seed in seeds)


def test_a_stream_differs_from_its_parent_seed() -> None:
    plain = np.random.Generator(np.random.PCG64DXSM(np.random.SeedSequence(42)))
    assert int(plain.integers(2**63)) != first(42, STREAM.TOPOLOGY, 0)


@pytest.mark.parametrize("key", [-1, 2**32, 2**40])
def test_keys_that_could_collide_are_refused(key: int) -> None:
    for ask in (
        lambda: generator(1, STREAM.KEYS, key),
        lambda: cell_seed(1, key, 0),
        lambda: cell_seed(1, 0, key),
    ):
        with pytest.raises(ValueError, match="stream keys"):
            ask()
