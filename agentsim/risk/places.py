"""Where an entity stands in its lineage, in words: what somebody who looks at an alert asks first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agentsim.risk.behaviour import Behaviour, Ints, ordinal
from agentsim.risk.folding import tree_codes
from agentsim.risk.states import EntityKind


@dataclass(frozen=True)
class Places:
    """Grants of a Run by where they stand, one entry each, in the order of ``Behaviour.grants``.

    Attributes
    ----------
    parent : position of the parent, -1 for a root.
    client : position of the agent, -1 if unknown.
    tree : code of the tree.
    depth : delegations between the root and it.
    nth : how many children the parent had before it.
    sizes, deepest : per tree: how many grants, and the largest depth.
    """

    parent: Ints
    client: Ints
    tree: Ints
    depth: Ints
    nth: Ints
    sizes: Ints
    deepest: Ints

    @classmethod
    def of(cls, behaviour: Behaviour) -> Places:
        """The places of all grants of a Run."""
        grants = behaviour.grants
        parent = grants["parent"].to_numpy(np.int64)
        tree, trees = tree_codes(grants)
        depth = _depths(parent)
        deepest = np.zeros(trees, np.int64)
        np.maximum.at(deepest, tree, depth)
        return cls(
            parent=parent,
            client=grants["client"].to_numpy(np.int64),
            tree=tree,
            depth=depth,
            nth=ordinal(parent),
            sizes=np.bincount(tree, minlength=trees),
            deepest=deepest,
        )

    def roots(self) -> Ints:
        """The first grant of each tree."""
        return np.unique(self.tree, return_index=True)[1]

    def tell(self, kind: EntityKind, place: int) -> str:
        """Where one entity stands.

        Parameters
        ----------
        kind : what it is.
        place : position among the grants, the trees (by code) or the agents.
        """
        if kind == "grant":
            return self._grant(place)
        if kind == "tree":
            agents = len(np.unique(self.client[self.tree == place]))
            levels = _many(int(self.deepest[place]) + 1, "level")
            return f"a tree of {_many(int(self.sizes[place]), 'grant')} on {levels}, held by {_many(agents, 'agent')}"
        own = self.client == place
        trees = np.unique(self.tree[own])
        if not len(trees):
            return "an agent without a grant"
        return f"an agent with {_many(int(own.sum()), 'grant')} in {_many(len(trees), 'tree')}"

    def _grant(self, place: int) -> str:
        tree = self.tree[place]
        size, deepest = _many(int(self.sizes[tree]), "grant"), int(self.deepest[tree])
        if self.parent[place] < 0:
            return f"the root of a tree of {size}, {deepest} deep"
        nth = _ordinal(int(self.nth[place]) + 1)
        return f"depth {self.depth[place]} of {deepest}, {nth} child of its parent, {size} in its tree"


def _depths(parent: Ints) -> Ints:
    depth = np.zeros(len(parent), np.int64)
    above = parent
    while (there := above >= 0).any():
        depth += there
        above = np.where(there, parent[above], -1)
    return depth


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _ordinal(number: int) -> str:
    teens = 10 < number % 100 < 20
    return f"{number:,}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
