"""Who there is: trees of agents as arrays, drawn level by level as a branching process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agentsim.simulation.catalogue import Catalogue, Choices, compile_roles
from agentsim.simulation.scenario import Scenario
from agentsim.simulation.streams import STREAM, generator

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Population:
    """The agents of one tenant, numbered 0 to ``len() - 1``.

    Trees stand one after the other; within a tree parents come before children, level by level, and the
    children of one agent are neighbours. An agent's number is its identity in everything that follows.
    """

    tenant: int
    catalogue: Catalogue
    #: Number of the parent; -1 for a root.
    parent: Ints
    #: Number of the tree, 0, 1, 2, ... in order of arrival.
    tree: Ints
    #: 0 for a root.
    depth: npt.NDArray[np.int16]
    #: Code of the role, a place in ``catalogue.roles``.
    role: npt.NDArray[np.int16]
    #: First child's number and how many there are (the first is meaningless without any).
    first_child: Ints
    children: Ints

    def __len__(self) -> int:
        return len(self.parent)

    @property
    def roots(self) -> Ints:
        """Numbers of the roots, one per tree."""
        return np.flatnonzero(self.depth == 0).astype(np.int32)

    def levels(self) -> Iterator[npt.NDArray[np.int64]]:
        """Numbers of the agents of depth 0, then of depth 1, and so on, ascending."""
        order = np.argsort(self.depth, kind="stable")
        counts = np.bincount(self.depth)
        yield from np.split(order, np.cumsum(counts)[:-1])


def make_population(scenario: Scenario, tenant: int) -> Population:
    """Draw the agents of one tenant: exactly as many as the scenario gives it.

    Roots are drawn until their trees hold enough agents; the last tree is cut behind the last agent needed. A
    cut tree has lost leaves from its end, level by level, so what is left of it is a tree.
    """
    catalogue = compile_roles(scenario, tenant)
    wanted = scenario.tenant_agents()[tenant]
    rng = generator(scenario.seed, STREAM.TOPOLOGY, tenant)
    weights = scenario.roots_of(tenant)
    roots = np.array([[weights.get(name, 0.0) for name in catalogue.roles]])
    growth = _Growth(scenario, catalogue)
    mean = growth.mean_size(roots[0] / roots.sum(), wanted)
    parts: list[_Part] = []
    missing, trees = wanted, 0
    while missing > 0:
        count = max(1, round(missing / mean))
        part = growth.grow(Choices(roots), count, missing, rng).cut(missing)
        parts.append(part.shifted(agents=wanted - missing, trees=trees))
        missing -= len(part.parent)
        trees += part.trees
    whole = _Part(*(np.concatenate([getattr(part, name) for part in parts]) for name in _Part.__slots__))
    counts = np.bincount(whole.parent[whole.parent >= 0], minlength=wanted)
    first = np.zeros(wanted, np.int32)
    has_parent = np.flatnonzero(whole.parent >= 0)
    # Written from the last child to the first, so that the first stays.
    first[whole.parent[has_parent[::-1]]] = has_parent[::-1]
    return Population(
        tenant, catalogue, whole.parent, whole.tree, whole.depth, whole.role, first, counts.astype(np.int32)
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """Some whole trees (the last one perhaps cut), in the order of :class:`Population`."""

    parent: Ints
    tree: Ints
    depth: npt.NDArray[np.int16]
    role: npt.NDArray[np.int16]

    @property
    def trees(self) -> int:
        return int(self.tree[-1]) + 1

    def cut(self, most: int) -> _Part:
        # Parents come before children, so any beginning is closed under parents.
        return _Part(self.parent[:most], self.tree[:most], self.depth[:most], self.role[:most])

    def shifted(self, *, agents: int, trees: int) -> _Part:
        parent = np.where(self.parent >= 0, self.parent + agents, -1).astype(np.int32)
        return _Part(parent, self.tree + np.int32(trees), self.depth, self.role)


class _Growth:
    """Grows trees: each agent has a Poisson number of children, as its role says."""

    def __init__(self, scenario: Scenario, catalogue: Catalogue) -> None:
        self._max_depth = scenario.population.max_depth
        self._max_fanout = scenario.population.max_fanout
        self._choices = catalogue.children
        self._fanout = np.array([role.fanout for role in catalogue.settings])
        weights = np.array(
            [[role.child_roles.get(name, 0.0) for name in catalogue.roles] for role in catalogue.settings]
        )
        totals = weights.sum(axis=1, keepdims=True)
        self._children = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0)

    def mean_size(self, roots: npt.NDArray[np.float64], most: int) -> float:
        """Expected agents of a tree, at most ``most``."""
        level, total = roots, 1.0
        for _ in range(self._max_depth):
            level = (level * np.minimum(self._fanout, self._max_fanout)) @ self._children
            total += float(level.sum())
            if total >= most:
                return float(most)
        return total

    def grow(self, roots: Choices, count: int, most: int, rng: np.random.Generator) -> _Part:
        """Grow ``count`` trees; one that is alone stops growing when it has ``most`` agents."""
        role = roots.draw(np.zeros(count, np.int64), rng.random(count))
        tree = np.arange(count)
        parent = np.full(count, -1)
        parents, trees, depths, codes = [parent], [tree], [np.zeros(count, np.int64)], [role]
        begun, total = 0, count
        for depth in range(1, self._max_depth + 1):
            born = np.minimum(rng.poisson(self._fanout[role]), self._max_fanout)
            if count == 1:
                born = np.diff(np.minimum(np.cumsum(born), most - total), prepend=0)
            if not born.sum():
                break
            parent = begun + np.repeat(np.arange(len(role)), born)
            tree = np.repeat(tree, born)
            role = self._choices.draw(np.repeat(role, born), rng.random(len(tree)))
            begun, total = total, total + len(tree)
            parents.append(parent)
            trees.append(tree)
            depths.append(np.full(len(tree), depth))
            codes.append(role)
        return _in_tree_order(*map(np.concatenate, (parents, trees, depths, codes)))


def _in_tree_order(
    parent: npt.NDArray[np.int64],
    tree: npt.NDArray[np.int64],
    depth: npt.NDArray[np.int64],
    role: npt.NDArray[np.int64],
) -> _Part:
    """Bring agents from level order into tree order, levels within a tree staying in order."""
    order = np.argsort(tree, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    moved = np.where(parent >= 0, place[parent], -1)[order]
    return _Part(
        moved.astype(np.int32),
        tree[order].astype(np.int32),
        depth[order].astype(np.int16),
        role[order].astype(np.int16),
    )
