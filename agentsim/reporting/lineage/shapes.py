"""Pictures of the forest: how large, how deep and how broad its trees are, and which shapes are common."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from agentsim.lineage import Forest, tree_shapes
from agentsim.palette import GUIDE, MAIN, SOFT
from agentsim.reporting import words
from agentsim.reporting.charts import bar_places, bars, by_size, pairs, whole
from agentsim.reporting.figures import Note, Picture, canvas

#: Grants of the largest tree that is drawn small.
_DRAWN = 200
_NO_GRANT = "No grant was issued in this run."


def tree_sizes(forest: Forest) -> Picture | Note:
    """How many trees have how many grants."""
    if not len(forest):
        return Note(_NO_GRANT)
    sizes = forest.size[forest.roots()]
    labels, counts = by_size(sizes)
    single = words.percent(float((sizes == 1).mean()))
    largest = words.count(sizes.max())
    return _counted(
        labels,
        counts,
        axis=("lineage trees", "grants per tree"),
        finding=f"{single} of the {words.plural(len(sizes), 'lineage tree')} are one grant; the largest has {largest}",
        what=f"Bars of lineage trees by size; the mean is {words.number(float(sizes.mean()))} grants",
        columns=("grants in the tree", "trees"),
    )


def depths(forest: Forest) -> Picture | Note:
    """How many grants lie how deep."""
    deepest = int(forest.depth.max(initial=0))
    if not deepest:
        return Note("No grant was delegated: every one is a root.")
    counts = np.bincount(forest.depth)
    below = words.percent(1 - counts[0] / len(forest))
    return _counted(
        ["root", *(str(depth) for depth in range(1, deepest + 1))],
        counts.tolist(),
        axis=("grants", "depth"),
        finding=f"{below} of the grants were delegated by another agent, down to depth {deepest}",
        what="Bars of grants by depth",
        columns=("depth", "grants"),
    )


def fan_outs(forest: Forest) -> Picture | Note:
    """How many children grants have that have any."""
    children = forest.children[forest.children > 0]
    if not len(children):
        return Note("No grant was delegated: none has children.")
    labels, counts = by_size(children)
    most, parents = int(children.max()), words.percent(len(children) / len(forest))
    mean = words.number(float(children.mean()))
    return _counted(
        labels,
        counts,
        axis=("grants that delegated", "children"),
        finding=f"{parents} of the grants were passed on, {mean} times on average and {words.count(most)} at most",
        what="Bars of grants that delegated by the number of their children",
        columns=("children", "grants"),
    )


def _counted(
    labels: list[str],
    counts: list[int],
    *,
    axis: tuple[str, str],
    finding: str,
    what: str,
    columns: tuple[str, str],
) -> Picture:
    """Bars of counts with their shares, and the same as a table."""
    share = np.array(counts) / max(1, sum(counts))
    notes = [
        f"{words.count(count)} · {words.percent(part)}" for count, part in zip(counts, share, strict=True)
    ]
    with canvas(0.9 + 0.3 * max(2, len(labels))) as (figure, axes):
        bars(axes, labels, counts, notes)
        axes.set_xlabel(axis[0])
        axes.set_ylabel(axis[1])
        whole(axes.xaxis)
    table = pd.DataFrame({columns[0]: labels, columns[1]: counts, "share (%)": 100 * share})
    return Picture(figure, finding, f"{what}: {'; '.join(pairs(labels, notes))}.", table)


def frequent_shapes(forest: Forest, most_rows: int) -> Picture | Note:
    """The commonest shapes of trees, drawn small beside their number."""
    if not len(forest):
        return Note(_NO_GRANT)
    shapes = tree_shapes(forest)
    shown, trees = shapes.head(most_rows), int(shapes["trees"].sum())
    labels = [
        words.plural(size, "grant") + (f", depth {depth}" if depth else "")
        for size, depth in zip(shown["size"], shown["depth"], strict=True)
    ]
    notes = [f"{words.count(count)} · {words.percent(count / trees)}" for count in shown["trees"]]
    rows = max(2, len(shown))
    with canvas(0.8 + 0.42 * rows, 1, ncols=2, width_ratios=(2, 5)) as (figure, (left, right)):
        bars(right, labels, list(shown["trees"]), notes)
        right.set_xlabel("lineage trees")
        whole(right.xaxis)
        left.set_axis_off()
        left.set_ylim(right.get_ylim())
        for place, root in zip(bar_places(len(shown)).tolist(), shown["example"], strict=True):
            _glyph(left, forest, int(root), place)
        left.set_xlim(-0.05, 1.05)
    share = words.percent(float(shown["trees"].sum()) / trees)
    finding = (
        f"The trees have {words.plural(len(shapes), 'shape')}; the commonest {words.plural(len(shown), 'covers', 'cover')} {share} of them"
        if len(shapes) > 1
        else f"All {words.plural(trees, 'tree')} have the same shape"
    )
    alt = f"Small drawings of the commonest shapes of trees beside bars of their number: {'; '.join(pairs(labels, notes))}."
    table = shown[["size", "depth", "trees"]].assign(share=100 * shown["trees"] / trees)
    names = {"size": "grants", "depth": "depth", "trees": "trees of this shape", "share": "share (%)"}
    return Picture(figure, finding, alt, table.rename(columns=names))


def _glyph(axes: Axes, forest: Forest, root: int, place: float) -> None:
    """A tree in one row: depth downwards, leaves side by side, each grant above the middle of its children."""
    below = forest.subtree(root).tolist()
    if len(below) > _DRAWN:
        axes.text(0.5, place, "too large to draw", ha="center", va="center", fontsize=8, color=SOFT)
        return
    children: dict[int, list[float]] = {grant: [] for grant in below}
    across: dict[int, float] = {}
    leaves = sum(1 for grant in below if not forest.children[grant])
    width, left = min(1.0, 0.16 * leaves), 0
    for grant in reversed(below):
        own = children[grant]
        if not own:
            left += 1
        across[grant] = (
            (min(own) + max(own)) / 2 if own else 0.5 + width * ((leaves - left) / max(1, leaves - 1) - 0.5)
        )
        if leaves == 1:
            across[grant] = 0.5
        if grant != root:
            children[int(forest.parent[grant])].append(across[grant])
    deepest = max(1, int((forest.depth[below] - forest.depth[root]).max()))
    points = {
        grant: (across[grant], place + 0.3 - 0.6 * (forest.depth[grant] - forest.depth[root]) / deepest)
        for grant in below
    }
    for grant in below[1:]:
        (x, y), (above, top) = points[grant], points[int(forest.parent[grant])]
        axes.plot([above, x], [top, y], color=GUIDE, linewidth=0.9, zorder=1)
    places, heights = zip(*points.values(), strict=True)
    axes.scatter(places, heights, s=14 if len(below) < 30 else 5, color=MAIN, zorder=2)
