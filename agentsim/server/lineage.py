"""Lineage keys: what a grant carries of itself and of each of its ancestors.

One triple (grant, client, task key) per level, root first, the grant itself last. A revocation marks one key;
whatever carries it is dead. Depth is bounded by policy, so a look-up costs O(depth) whatever the tree's size.
"""

import hashlib
import struct
from functools import lru_cache

#: (grant_id, client_id, task_key) per level, root first.
Lineage = tuple[tuple[int, int, int], ...]

#: Names come with new tasks all the time: what is remembered is soon full, and stays so.
_REMEMBERED = 4_096
_TRIPLE = struct.Struct("<qqq")


@lru_cache(_REMEMBERED)
def task_key(owner: str, task_id: str) -> int:
    """The key of a task: two owners' tasks of one name are two tasks."""
    return _key("task", owner, task_id)


@lru_cache(_REMEMBERED)
def principal_key(owner: str, principal: str) -> int:
    """The key of a principal of an owner."""
    return _key("principal", owner, principal)


def pack(lineage: Lineage) -> bytes:
    """As stored: little-endian int64 triples."""
    return b"".join(_TRIPLE.pack(*triple) for triple in lineage)


def unpack(packed: bytes) -> Lineage:
    """The inverse of :func:`pack`."""
    return tuple(_TRIPLE.iter_unpack(packed))


def pack_key(key: int) -> bytes:
    """As one key of a stored lineage."""
    return key.to_bytes(8, "little", signed=True)


def _key(*words: str) -> int:
    # Lengths before the words: no two different sequences of words read the same.
    text = "".join(f"{len(word)}:{word}" for word in words)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little", signed=True)
