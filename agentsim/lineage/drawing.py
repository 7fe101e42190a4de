"""A picture of one lineage tree: who got a grant from whom, when, for how long, what was refused and what was stopped.

Time runs from left to right, depth from top to bottom. A thin line leads from a grant down to the beginning of each
grant that was delegated from it. Where labels name attacks, the chain from the root to what was attacked stands out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx

from agentsim.lineage.bars import Bar
from agentsim.lineage.layout import FONT, TALL, Box, Layout, lay_out
from agentsim.palette import ACCENT, ALARM, GRID, GUIDE, INK, MAIN, OTHER, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

#: Unit of the time axis, the shortest span it is for, and its microseconds.
_UNITS = (
    ("days", 3 * 86_400_000_000, 86_400_000_000),
    ("hours", 3 * 3_600_000_000, 3_600_000_000),
    ("minutes", 180_000_000, 60_000_000),
    ("seconds", 0, 1_000_000),
)
#: Inches beside, above and below what is drawn.
_BESIDE, _AROUND = 0.95, 0.95


def draw_tree(
    graph: nx.DiGraph[int], ax: Axes | None = None, *, attacked: Mapping[int, str] | None = None
) -> Axes:
    """Draw a lineage tree.

    Parameters
    ----------
    graph : as :func:`~agentsim.lineage.trees.tree_graph` gives it.
    ax : where to draw; by default a new figure whose height fits.
    attacked : what labels call the attack on a grant, by grant_id, as
        :func:`~agentsim.lineage.labelled.attacked_grants` gives it; by default no attack is shown.

    Returns
    -------
    The axes, time since the root's issue on x, depth on y. The title states what is drawn and may be replaced.

    Notes
    -----
    A bar is a grant from its first issue to its last token's end. A grant that was stopped is orange, with a cross at
    that moment and a dotted line over the time that it lost; one whose task was completed before it expired ends with
    a stroke. A diamond is a refused decision: on a bar a refused use, alone a child that was asked for and refused.
    What is attacked is red, the grants above it are dark and everything else is pale. In a large tree only
    what matters is named: the root, the path of an attack, what was stopped first, and who delegated most.
    """
    if ax is not None:
        points = 72 / ax.figure.dpi
        layout = lay_out(graph, attacked or {}, points * ax.bbox.width)
        # Where there is less room than the layout asks for, names are smaller.
        room = points * ax.bbox.height / max(layout.height, TALL)
        return draw_layout(layout, ax, FONT * min(1.0, max(0.5, room)))
    from matplotlib import pyplot

    layout = lay_out(graph, attacked or {}, points_of(10))
    _, ax = pyplot.subplots(figsize=(10, inches_of(layout)), layout="constrained")
    return draw_layout(layout, ax)


def points_of(inches: float) -> float:
    """How many points a figure of this width leaves for time."""
    return 72 * (inches - _BESIDE)


def inches_of(layout: Layout) -> float:
    """The height of a figure in which a layout has the size that it was made for."""
    return max(1.6, layout.height / 72 + _AROUND)


def draw_layout(layout: Layout, ax: Axes, size: float = FONT) -> Axes:
    """Draw a laid out tree, as :func:`draw_tree` does, its names in letters of this size."""
    span = layout.end - layout.begin
    unit, scale = next((unit, scale) for unit, least, scale in _UNITS if span >= least)
    picture = _Picture(ax, layout, scale, size)
    picture.frame(unit)
    for box in layout.boxes:
        picture.guide(box)
        picture.bar(box)
        picture.label(box)
    picture.refusals()
    return ax


class _Picture:
    """What the parts of the drawing share; y is points of the layout, x time in units of ``scale`` microseconds."""

    def __init__(self, ax: Axes, layout: Layout, scale: int, size: float) -> None:
        self.ax, self.layout, self.scale, self.size = ax, layout, scale, size
        self.attack = any(box.attacked for box in layout.boxes)

    def x(self, moment: float) -> float:
        return (moment - self.layout.begin) / self.scale

    def line(self, x: tuple[float, float], y: tuple[float, float], colour: str, **style: Any) -> None:
        self.ax.plot(x, y, color=colour, **style)

    def colour(self, box: Box) -> str:
        if box.attacked:
            return ALARM
        if box.bar and box.bar.stopped:
            return ACCENT
        return OTHER if self.attack and not box.on_path else MAIN

    def guide(self, box: Box) -> None:
        """From the parent's bar down to where this one begins."""
        if box.parent < 0:
            return
        above = self.layout.boxes[box.parent]
        ends = (above.top + above.height / 2, box.top + box.height / 2)
        style = {"lw": 1.5, "zorder": 2.5} if box.on_path else {"lw": 0.5, "zorder": 1}
        self.line((self.x(box.start),) * 2, ends, ALARM if box.on_path else GUIDE, **style)

    def bar(self, box: Box) -> None:
        if box.bar is None:
            return
        bar, middle = box.bar, box.top + box.height / 2
        start, end = self.x(bar.start), self.x(bar.end)
        # What is too short to be seen would otherwise be lost between others.
        least = self.x(self.layout.end) * 0.6 / self.layout.width
        thick = 0.66 * box.height if box.labelled else 0.72 * box.height
        self.ax.barh(
            middle,
            max(end - start, least),
            left=start,
            height=thick,
            color=self.colour(box),
            zorder=3 if box.on_path else 2,
        )
        if bar.stop is not None:
            self.stop(box, bar, middle, end)

    def stop(self, box: Box, bar: Bar, middle: float, end: float) -> None:
        size = self.size if box.labelled else 0.5 * self.size
        stop = self.x(bar.stop or 0)
        if bar.completed:
            self.ax.plot(stop, middle, marker="|", ms=size, mew=0.16 * size, color=INK, zorder=4)
            return
        if bar.lost:
            lost = (stop, self.x(min(bar.expires, self.layout.end)))
            self.line(lost, (middle, middle), ACCENT, lw=0.9, ls=":", zorder=2)
        elif stop > end:
            self.line((end, stop), (middle, middle), ACCENT, lw=0.9, zorder=2)
        self.ax.plot(stop, middle, marker="x", ms=0.75 * size, mew=0.17 * size, color=INK, zorder=5)

    def refusals(self) -> None:
        for tall in (True, False):
            size = self.size if tall else 0.6 * self.size
            places = [
                (self.x(time), box.top + box.height / 2)
                for box in self.layout.boxes
                if box.labelled == tall
                for time in box.refusals
            ]
            if places:
                x, y = zip(*places, strict=True)
                self.ax.plot(
                    x, y, "D", ms=0.55 * size, mfc="white", mec=INK, mew=0.1 * size, ls="none", zorder=6
                )

    def label(self, box: Box) -> None:
        if not box.labelled:
            return
        paper = {"boxstyle": "square,pad=0.08", "fc": "white", "ec": "none", "alpha": 0.8}
        colour = ALARM if box.attacked else INK
        if box.inside:
            colour = INK if self.colour(box) == OTHER else "white"
        self.ax.text(
            self.x(self.layout.begin) + box.text_at / self.layout.width * self.x(self.layout.end),
            box.top + box.height / 2,
            box.text,
            va="center_baseline",
            ha="right" if box.before else "left",
            fontsize=self.size,
            style="normal" if box.bar else "italic",
            color=colour,
            weight="bold" if box.attacked else "normal",
            parse_math=False,
            zorder=5.5,
            bbox=None if box.inside else paper,
        )

    def frame(self, unit: str) -> None:
        """Bands, axes, title and what the marks mean."""
        ax, layout, span = self.ax, self.layout, self.x(self.layout.end)
        middles, names = [], []
        for depth, (top, height, count) in enumerate(layout.bands):
            if depth % 2 == 0:
                ax.axhspan(top - 3, top + height + 3, color=GRID, alpha=0.45, lw=0, zorder=0)
            middles.append(top + height / 2)
            names.append("root" if depth == 0 else f"depth {depth}\n({count:,})")
        ax.set_yticks(middles, names, fontsize=8)
        ax.set_ylim(layout.height + 4, -4)
        ax.set_xlim(-0.008 * span, 1.008 * span if span else 1)
        ax.set_xlabel(f"{unit} since the root grant was issued", fontsize=8.5)
        ax.tick_params(axis="x", labelsize=8, labelcolor=INK, color=SOFT)
        ax.tick_params(axis="y", length=0, labelcolor=INK)
        ax.grid(visible=False, axis="y")
        ax.grid(visible=True, axis="x", color=GRID, lw=0.6)
        ax.set_axisbelow(True)
        for side in ("left", "right", "top"):
            ax.spines[side].set_visible(False)
        ax.set_title(told(layout), loc="left", fontsize=10, pad=20)
        entries = _legend(layout.boxes)
        if entries:
            ax.legend(
                handles=entries,
                loc="lower left",
                bbox_to_anchor=(0, 1),
                ncols=len(entries),
                frameon=False,
                fontsize=8,
                borderaxespad=0.1,
                handletextpad=0.7,
                columnspacing=1.2,
            )


def told(layout: Layout) -> str:
    """What a drawing shows, in figures."""
    bars = [box.bar for box in layout.boxes if box.bar]
    depth = max(box.depth for box in layout.boxes if box.bar)
    stopped = sum(bar.stopped for bar in bars)
    refused = sum(len(box.refusals) for box in layout.boxes)
    grants = f"{len(bars):,} grants to depth {depth}" if depth else "one grant alone"
    return f"{grants}, {stopped:,} stopped, {refused:,} decision{'s' if refused != 1 else ''} refused"


def _legend(boxes: list[Box]) -> list[Line2D]:
    """An entry for each kind of mark that the picture shows; what is attacked is named where it stands."""
    from matplotlib.lines import Line2D

    bars = [box.bar for box in boxes if box.bar]
    entries = []
    if any(box.attacked for box in boxes):
        entries.append(Line2D([], [], color=ALARM, lw=5, label="attacked, by the labels"))
    if any(box.on_path and not box.attacked for box in boxes):
        entries.append(Line2D([], [], color=MAIN, lw=5, label="above it"))
    if any(bar.stopped for bar in bars):
        entries.append(
            Line2D([], [], color=ACCENT, lw=5, marker="x", mec=INK, mew=1.2, ms=6, label="stopped")
        )
    if any(bar.completed for bar in bars):
        entries.append(Line2D([], [], marker="|", mec=INK, mew=1.3, ms=8, ls="none", label="task completed"))
    if any(box.refusals for box in boxes):
        entries.append(Line2D([], [], marker="D", mfc="white", mec=INK, ls="none", ms=5, label="refused"))
    return entries
