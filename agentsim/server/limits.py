"""Rate limits: token buckets of clients, of trees and of actor classes, each kept as a single integer.

A bucket that drains and fills is told by one moment: when it will be full again (the generic cell rate algorithm,
ITU-T I.371 annex A, calls it the theoretical arrival time). Each request moves that moment on by the time in which one
token flows in; there is room while it is less than a whole bucket ahead. A bucket that is full needs no entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from types import MappingProxyType
from typing import NamedTuple

from agentsim.server.clock import SECOND
from agentsim.server.policy import Limits, RateLimit

#: Operations may be this much older than ones decided before them (clocks are corrected, simulated rounds overlap), in
#: microseconds. What is older yet comes of a clock that has been set back: then all buckets begin anew.
SET_BACK_US = 600 * SECOND
#: Entries that are kept before it is worth while to look for those that can be forgotten.
_FEW = 10_000

#: What a bucket belongs to (``client``, ``tree``, ``class``), and which of them.
Key = tuple[str, int | str]
#: Nobody whose requests go before.
NOBODY: Mapping[Key, int] = MappingProxyType({})


class Shortage(NamedTuple):
    """A bucket that has no room: of what, its limit, and the microseconds until it has."""

    bucket: str
    limit: RateLimit
    wait_us: int


def keys_of(client_id: int, actor_class: str | None, tree: int | None) -> tuple[Key, ...]:
    """The buckets that apply, whether they are limited or not."""
    keys: list[Key] = [("client", client_id)]
    if tree is not None:
        keys.append(("tree", tree))
    if actor_class is not None:
        keys.append(("class", actor_class))
    return tuple(keys)


def _limit(limits: Limits, key: Key) -> RateLimit | None:
    kind, name = key
    if kind == "class":
        return limits.classes.get(str(name))
    return limits.client if kind == "client" else limits.tree


class Buckets:
    """All buckets of a server, as its committed batches have left them.

    Parameters
    ----------
    sharers : how many servers grant from one policy side by side: each takes its part of every limit.
    """

    def __init__(self, sharers: int = 1) -> None:
        self._sharers = sharers
        self._limits = Limits()
        self._full_at: dict[Key, int] = {}
        self._newest = 0
        self._worth_a_look = _FEW

    def draft(self, limits: Limits) -> Draft:
        """What one batch works on. Under other limits than before, all buckets begin full."""
        same = limits is self._limits or limits == self._limits
        return Draft(limits, self._sharers, self._full_at if same else {}, self._newest)

    def take(self, draft: Draft) -> None:
        """Let it be as a batch has left it. The door may be looking meanwhile: entries come before they go."""
        self._limits = draft.limits
        if draft.old is self._full_at:
            self._full_at.update(draft.changed)
        else:
            self._full_at = draft.changed
        self._newest = draft.newest
        if len(self._full_at) > self._worth_a_look:
            self._forget()

    def _forget(self) -> None:
        """Drop the buckets that are full even for the oldest operation that may still come: nobody can tell."""
        oldest = self._newest - SET_BACK_US
        self._full_at = {key: moment for key, moment in self._full_at.items() if moment > oldest}
        self._worth_a_look = max(_FEW, 2 * len(self._full_at))

    def __len__(self) -> int:
        return len(self._full_at)


class Draft:
    """Buckets as one batch sees and changes them; nobody else does until :meth:`Buckets.take`."""

    def __init__(self, limits: Limits, sharers: int, old: dict[Key, int], newest: int) -> None:
        self.limits = limits
        self.old = old
        self.changed: dict[Key, int] = {}
        self.newest = newest
        self._sharers = sharers
        self._is_limited = limits.any

    def charge(
        self, now: int, client_id: int, actor_class: str | None, tree: int | None = None
    ) -> Shortage | None:
        """Take one token out of each bucket that applies, or none where one of them is empty.

        Parameters
        ----------
        now : the operation's own moment, microseconds.
        client_id, actor_class : who asks; no class is charged where it is None.
        tree : the root grant of the tree that it is about; None where there is none yet.

        Returns
        -------
        The bucket that will be without room for the longest; None where all have been charged.
        """
        if not self._is_limited:
            return None
        if self._is_set_back(now):
            self.old, self.changed, self.newest = {}, {}, now
        self.newest = max(self.newest, now)
        short = self.shortage(now, client_id, actor_class, tree)
        if short is None:
            for key, limit in self._buckets(client_id, actor_class, tree):
                self.changed[key] = self._full_at(key, now) + self._interval(limit)
        return short

    def shortage(
        self,
        now: int,
        client_id: int,
        actor_class: str | None,
        tree: int | None = None,
        ahead: Mapping[Key, int] = NOBODY,
    ) -> Shortage | None:
        """What :meth:`charge` would answer after the requests that are ``ahead``, by bucket; nothing is charged."""
        if not self._is_limited or self._is_set_back(now):
            return None
        shortages = (
            Shortage(
                key[0],
                limit,
                self._full_at(key, now) - now - self._room(limit) + ahead.get(key, 0) * self._interval(limit),
            )
            for key, limit in self._buckets(client_id, actor_class, tree)
        )
        longest = max(shortages, key=lambda short: short.wait_us, default=None)
        return longest if longest is not None and longest.wait_us > 0 else None

    def _is_set_back(self, now: int) -> bool:
        return now < self.newest - SET_BACK_US

    def _buckets(
        self, client_id: int, actor_class: str | None, tree: int | None
    ) -> Iterator[tuple[Key, RateLimit]]:
        for key in keys_of(client_id, actor_class, tree):
            limit = _limit(self.limits, key)
            if limit is not None:
                yield key, limit

    def _full_at(self, key: Key, now: int) -> int:
        """When a bucket is full again: now, where it has been since a moment that has passed."""
        moment = self.changed.get(key)
        return max(now, self.old.get(key, now) if moment is None else moment)

    def _interval(self, limit: RateLimit) -> int:
        """Microseconds in which one token flows in, rounded up: never more than the limit says."""
        return ceil(SECOND * self._sharers / limit.per_second)

    def _room(self, limit: RateLimit) -> int:
        """How far ahead the moment of being full may lie when there still is one token."""
        return (max(1, limit.burst // self._sharers) - 1) * self._interval(limit)
