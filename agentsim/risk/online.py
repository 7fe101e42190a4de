"""What judges uses while the server verifies them: table look-ups, learned from a Run that nobody attacked.

A use is as strange as the tool, or the resource, that fewest grants of its role have turned to. That is put on the scale
of all detectors: -log10 of the share of honest grants whose strangest use is as strange. One half of the trees tells
what is usual, the other half how often honest grants are as strange as a use is.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from agentsim.errors import UserError
from agentsim.risk.behaviour import Behaviour, read_behaviour
from agentsim.run import Run
from agentsim.server.history import GrantState
from agentsim.server.watch import ActionKind, Assessment, Use, Watch, Watcher


class OnlineError(UserError):
    """Thresholds that cannot be put to work in a server; the message says why."""


#: From this share of the threshold on a use is a medium risk.
_MEDIUM = 0.5
_Word = tuple[str, str]


@dataclass(frozen=True)
class Usual:
    """What grants of each role do.

    Attributes
    ----------
    grants : how many of each role were learned from.
    words : how many grants of each role had this tool, or this resource: by role, then by ``(what, name)``.
    honest : of honest grants that were not learned from, the strangeness of each one's strangest use, ascending.
    """

    grants: dict[str, int]
    words: dict[str, dict[_Word, int]]
    honest: tuple[float, ...]

    def strangest(self, role: str, words: Iterable[_Word]) -> tuple[float, _Word | None]:
        """The strangest of these words for a role, and how strange it is: -log10 of the share of grants that had it."""
        had, of = self.words.get(role, {}), self.grants.get(role, 0)
        found = [(float(np.log10((of + 1) / (had.get(word, 0) + 1))), word) for word in words]
        return max(found, default=(0.0, None))

    def rank(self, strangeness: float) -> float:
        """-log10 of the share of honest grants that are as strange."""
        as_strange = len(self.honest) - int(np.searchsorted(self.honest, strangeness - 1e-9))
        return float(np.log10((len(self.honest) + 1) / (as_strange + 1)))

    def watch(self, threshold: float, action: ActionKind) -> RarityWatch:
        """What does ``action`` about each use from this score on."""
        return RarityWatch(self, threshold, action)


@dataclass(frozen=True)
class RarityWatch:
    """Watches the uses of each tenant; see :class:`agentsim.server.watch.Watch`."""

    usual: Usual
    threshold: float
    action: ActionKind

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that it goes by."""
        words = {role: sorted(map(str, had.items())) for role, had in self.usual.words.items()}
        told = [self.usual.grants, words, self.usual.honest, self.threshold, self.action]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def for_tenant(self, tenant: int) -> tuple[RarityWatch, Watcher | None]:
        """The same in every tenant; nothing follows."""
        return self, None

    def assess(self, use: Use, state: GrantState) -> Assessment:
        """Judge a use by its strangest word; where a grant is only looked at, by what it has done."""
        if use.request is None:
            words: Iterable[_Word] = [("tool", name) for name in state.tools]
        else:
            words = [("tool", name) for name in use.request.required_tools]
            words += [("resource", name) for name in use.request.required_resources]
        strangeness, word = self.usual.strangest(use.role, words)
        score = self.usual.rank(strangeness)
        if word is None or score < self.threshold * _MEDIUM:
            return Assessment(True, "normal", "low", score)
        had = self.usual.words.get(use.role, {}).get(word, 0)
        reason = (
            f"{word[0]} {word[1]}: {had} of {self.usual.grants.get(use.role, 0)} grants of its role had it"
        )
        if score < self.threshold:
            return Assessment(True, "unusual", "medium", score, (reason,))
        return Assessment(False, "unusual", "high", score, (reason,), self.action)


def learn(reference: Run) -> Usual:
    """Learn what is usual from a Run that nobody attacked, of another seed than what is judged."""
    behaviour = read_behaviour(reference)
    role = behaviour.grants["role"].to_numpy()
    first_half = behaviour.grants.groupby("tree", sort=False).ngroup().to_numpy() % 2 == 0
    had = _words(behaviour)
    grants = Counter(role[first_half].tolist())
    counted: dict[str, Counter[_Word]] = {name: Counter() for name in sorted(grants)}
    for place in np.flatnonzero(first_half):
        counted[role[place]].update(had[place])
    usual = Usual(dict(grants), {name: dict(words) for name, words in counted.items()}, ())
    others = [usual.strangest(role[place], had[place])[0] for place in np.flatnonzero(~first_half)]
    return Usual(usual.grants, usual.words, tuple(sorted(others)))


def _words(behaviour: Behaviour) -> list[set[_Word]]:
    """The tools and resources that each grant turned to."""
    uses = behaviour.uses
    found: list[set[_Word]] = [set() for _ in range(len(behaviour))]
    for grant, tool, resources in zip(uses["grant"], uses["tool"], uses["resource"], strict=True):
        found[grant].add(("tool", str(tool)))
        found[grant].update(("resource", name) for name in str(resources).split())
    return found


def load_watch(path: Path) -> Watch:
    """What judges by a file of thresholds.

    Raises
    ------
    OnlineError
        If nothing that it names can judge a use while it is verified.
    """
    raise OnlineError(f"{path}: names no model that can judge a use while it is verified")
