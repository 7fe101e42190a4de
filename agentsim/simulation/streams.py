"""Keyed randomness: every draw of a simulation comes from a stream that is named, never spawned in order.

A stream is found by what it is for, so adding draws to one stream, or a whole new stream, leaves all the
others as they were: attacks switched on do not move a single benign intent, and one tenant or one cell of a
sweep can be drawn again alone.
"""

from enum import IntEnum

import numpy as np

_LIMIT = 2**32


class STREAM(IntEnum):
    """What a stream is for. The numbers are part of the format of a seed: never change or reuse one."""

    TOPOLOGY = 1  #: who delegates to how many of which role
    ARRIVALS = 2  #: when trees start
    TASKS = 3  #: what each agent is to do, and how much it asks for
    BEHAVIOUR = 4  #: which tools it calls, on which resources, and how the calls go
    TIMING = 5  #: how long it thinks, and how long a call takes
    ENDINGS = 6  #: how a task ends: revoked, cancelled or left to expire
    PLACES = 7  #: the hosts that agents run on
    ATTACKS = 8  #: everything that attackers do
    SECRETS = 9  #: client secrets, registration and refresh tokens of simulated agents
    KEYS = 10  #: signing keys marked as simulated
    PEOPLE = 11  #: everything that people do
    PHASES = 12  #: when resource servers poll
    DESIGN = 13  #: where the points of a sweep lie


def generator(entropy: int, stream: STREAM, tenant: int) -> np.random.Generator:
    """Return the start of one stream.

    Parameters
    ----------
    entropy : the scenario's seed, any non-negative integer.
    stream : what the draws are for.
    tenant : number of the tenant that they are for, below 2**32.

    Raises
    ------
    ValueError
        If a key is negative or does not fit 32 bits (two keys could then mean the same stream).
    """
    # The zeros are part of the format: what a seed gives has been drawn below them from the first.
    sequence = _sequence(entropy, (0, 0, int(stream), tenant))
    # Named rather than default_rng's choice, which a later numpy may change.
    return np.random.Generator(np.random.PCG64DXSM(sequence))


def cell_seed(entropy: int, point: int, replication: int) -> int:
    """The seed of one cell of a sweep, 128 bits: the cell is then a scenario like any other.

    Point and replication are keys, too, one level above stream and tenant: a cell's streams are keyed by
    ``(point, replication)`` below the sweep's entropy and by ``(stream, tenant)`` below what that gives.

    Parameters
    ----------
    entropy : the seed of the sweep's scenario.
    point : number of the point, made from what it is and not from its place in the sweep; below 2**32.
    replication : number of the repetition, below 2**32.

    Raises
    ------
    ValueError
        If a key is negative or does not fit 32 bits.
    """
    words = _sequence(entropy, (point, replication)).generate_state(4, np.uint32)
    return sum(int(word) << 32 * place for place, word in enumerate(words))


def _sequence(entropy: int, key: tuple[int, ...]) -> np.random.SeedSequence:
    if not all(0 <= part < _LIMIT for part in key):
        raise ValueError(f"stream keys must lie in 0..2**32-1, got {key}")
    return np.random.SeedSequence(entropy, spawn_key=key)
