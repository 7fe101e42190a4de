"""How a notebook shows a forest: how many trees and grants, how deep, how large."""

from __future__ import annotations

import numpy as np

from agentsim import fragments
from agentsim.lineage.forest import Forest

#: More levels than these are told together.
_LEVELS = 8


def forest_html(forest: Forest) -> str:
    """A forest as HTML."""
    sizes = forest.size[forest.roots()]
    told = {
        "grants": len(forest),
        "trees": len(sizes),
        "trees of one grant": int((sizes == 1).sum()),
        "grants in a tree": _spread(sizes) if len(sizes) else None,
        "most children of one grant": int(forest.children.max(initial=0)),
        "parents that the Run does not hold": len(forest.orphans) or None,
        "grants in a loop": len(forest.looped) or None,
    }
    by_depth = np.bincount(forest.depth).tolist() if len(forest) else []
    rows: list[tuple[str, int]] = [
        ("root" if depth == 0 else str(depth), grants) for depth, grants in enumerate(by_depth[:_LEVELS])
    ]
    if deeper := by_depth[_LEVELS:]:
        rows.append((f"{_LEVELS} to {len(by_depth) - 1}", sum(deeper)))
    return fragments.fragment("Forest", fragments.facts(told), fragments.table(("depth", "grants"), rows))


def _spread(sizes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> str:
    median, most = np.quantile(sizes, [0.5, 0.95], method="inverted_cdf")
    return f"median {median:,}, 95 % have at most {most:,}, the largest {sizes.max():,}"
