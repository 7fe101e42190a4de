"""The forest of grants of a Run as arrays: a million grants in about a second, where a graph takes minutes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from agentsim.run import Run

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Forest:
    """All lineage trees of a Run. Grant ``i`` is the ``i``-th by id, which is also the order of issue.

    Every array is int64 and has one element per grant.

    Attributes
    ----------
    grant_id : ids, ascending.
    tenant : the tenant of each grant.
    parent : index of the parent, -1 for a root.
    root : index of the root of its tree, its own for a root.
    depth : edges up to the root, counted here and not taken from the tokens' column.
    children : number of children.
    size : grants in the subtree below and including it.
    order : the indices depth first, every subtree in one piece.
    position : where each index stands in ``order``; its subtree is ``order[position : position + size]``.
    orphans : indices of grants that name a parent which the Run does not hold. They count as roots.
    looped : indices of grants that are their own ancestor or hang below such a one. Each counts as a root
        without children, because a loop has no beginning.
    """

    grant_id: Indices
    tenant: Indices
    parent: Indices
    root: Indices
    depth: Indices
    children: Indices
    size: Indices
    order: Indices
    position: Indices
    orphans: Indices
    looped: Indices

    @classmethod
    def from_run(cls, run: Run) -> Forest:
        """Build the forest from the first issue of each grant (its ``token_id`` is the ``grant_id``)."""
        tokens = run.read("tokens", ["tenant", "token_id", "grant_id", "parent_grant_id"])
        tokens = tokens.filter(pc.equal(tokens["token_id"], tokens["grant_id"]))
        return cls.from_ids(
            tokens["grant_id"].to_numpy(),
            # Ids are positive: 0 stands for no parent.
            tokens["parent_grant_id"].fill_null(0).to_numpy(),
            tokens["tenant"].to_numpy().astype(np.int64),
        )

    @classmethod
    def from_ids(cls, grant_id: Indices, parent_id: Indices, tenant: Indices | None = None) -> Forest:
        """Build a forest from ids in any order.

        Parameters
        ----------
        grant_id : positive and distinct.
        parent_id : the parent's id, 0 for a root.
        tenant : zeros where not given.

        Raises
        ------
        ValueError
            If an id comes twice.
        """
        by_id = np.argsort(grant_id, kind="stable")
        ids, parents = grant_id[by_id], parent_id[by_id]
        if (ids[1:] == ids[:-1]).any():
            raise ValueError(f"grant {ids[1:][ids[1:] == ids[:-1]][0]} comes twice")
        tenants = np.zeros_like(ids) if tenant is None else tenant[by_id]
        parent = find(ids, parents)
        orphans = np.flatnonzero((parent < 0) & (parents != 0))
        levels, looped = _levels(parent)
        parent[looped] = -1
        if looped.size:
            levels, _ = _levels(parent)
        depth, root = _down(parent, levels)
        size = _sizes(parent, levels)
        position = _positions(parent, size, levels)
        order = np.empty_like(position)
        order[position] = np.arange(len(ids))
        return cls(
            grant_id=ids,
            tenant=tenants,
            parent=parent,
            root=root,
            depth=depth,
            children=np.bincount(parent[parent >= 0], minlength=len(ids)).astype(np.int64),
            size=size,
            order=order,
            position=position,
            orphans=orphans,
            looped=looped,
        )

    def __len__(self) -> int:
        return len(self.grant_id)

    def __repr__(self) -> str:
        return f"Forest({len(self):,} grants in {len(self.roots()):,} trees)"

    def _repr_html_(self) -> str:
        # Only notebooks ask, and the display needs this class.
        from agentsim.lineage.display import forest_html

        return forest_html(self)

    def index_of(self, grant_id: int) -> int:
        """The index of a grant.

        Raises
        ------
        KeyError
            If the forest does not hold it.
        """
        index = int(find(self.grant_id, np.array([grant_id]))[0])
        if index < 0:
            raise KeyError(grant_id)
        return index

    def subtree(self, index: int) -> Indices:
        """Indices of a grant and everything below it, depth first, itself first."""
        start = self.position[index]
        return self.order[start : start + self.size[index]]

    def descendants(self, index: int) -> Indices:
        """Indices of everything below a grant, depth first."""
        return self.subtree(index)[1:]

    def roots(self) -> Indices:
        """Indices of the roots; one tree hangs from each."""
        return np.flatnonzero(self.parent < 0)

    def per_tree(self, values: npt.NDArray[np.generic], how: np.ufunc) -> npt.NDArray[np.generic]:
        """Reduce one value per grant to one per tree, in the order of :meth:`roots`.

        Parameters
        ----------
        values : (grants,) array.
        how : a reducing ufunc such as ``np.maximum`` or ``np.add``.
        """
        roots = self.roots()
        by_tree = np.argsort(self.position[roots])
        reduced = (
            how.reduceat(values[self.order], self.position[roots][by_tree]) if len(roots) else values[:0]
        )
        result = np.empty_like(reduced)
        result[by_tree] = reduced
        return result


def find(sorted_ids: Indices, wanted: Indices) -> Indices:
    """Where each wanted id stands among ascending ids, -1 where it is not among them."""
    if not len(sorted_ids):
        return np.full(len(wanted), -1, dtype=np.int64)
    place = np.minimum(np.searchsorted(sorted_ids, wanted), len(sorted_ids) - 1)
    return np.where(sorted_ids[place] == wanted, place, -1).astype(np.int64)


def ranges(start: Indices, count: Indices) -> Indices:
    """``count[i]`` numbers from ``start[i]`` on, for one ``i`` after the other."""
    return np.repeat(start - (np.cumsum(count) - count), count) + np.arange(count.sum())


def _levels(parent: Indices) -> tuple[list[Indices], Indices]:
    """Indices level by level, siblings side by side, and the indices that no root leads to."""
    by_parent = np.argsort(parent, kind="stable")
    first = np.searchsorted(parent[by_parent], np.arange(len(parent) + 1))
    level = np.flatnonzero(parent < 0)
    levels, reached = [], np.zeros(len(parent), dtype=bool)
    while level.size:
        levels.append(level)
        reached[level] = True
        start, count = first[level], first[level + 1] - first[level]
        # The children of grant i are by_parent[first[i] : first[i + 1]].
        level = by_parent[ranges(start, count)]
    return levels, np.flatnonzero(~reached)


def _down(parent: Indices, levels: list[Indices]) -> tuple[Indices, Indices]:
    depth, root = np.zeros_like(parent), np.arange(len(parent))
    for number, level in enumerate(levels[1:], start=1):
        depth[level] = number
        root[level] = root[parent[level]]
    return depth, root


def _sizes(parent: Indices, levels: list[Indices]) -> Indices:
    size = np.ones_like(parent)
    for level in reversed(levels[1:]):
        np.add.at(size, parent[level], size[level])
    return size


def _positions(parent: Indices, size: Indices, levels: list[Indices]) -> Indices:
    """Place in depth-first order: after the parent and the whole subtrees of the elder siblings."""
    position = np.zeros_like(parent)
    for number, level in enumerate(levels):
        before = np.cumsum(size[level]) - size[level]
        if number == 0:
            position[level] = before
            continue
        above = parent[level]
        eldest = np.concatenate(([True], above[1:] != above[:-1]))
        elder = before - np.maximum.accumulate(np.where(eldest, before, 0))
        position[level] = position[above] + 1 + elder
    return position
