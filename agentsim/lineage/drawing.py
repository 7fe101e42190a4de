"""A picture of one lineage tree: who got a grant from whom, when, for how long, and what was refused or revoked.

Rows are grants, children below their parent in order of issue and indented by depth, so a subtree is one block.
Bars run in time. Guides from a parent to its children never cross a bar: a child begins after its parent and
the guide stands where the parent begins. In a large tree, subtrees in which
nothing was refused or stopped are folded into one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import networkx as nx

from agentsim.lineage.layout import Bar, Row, tree_rows, words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

#: Okabe and Ito's colours, told apart by colour-blind eyes; in grey the shapes tell the rest.
_STOPPED, _REFUSED, _GUIDE = "#D55E00", "#000000", "#BBBBBB"
#: Bars by depth, dark at the root: the blues of ColorBrewer, without those too light for white paper.
_SHADES = ("#08306B", "#08519C", "#2171B5", "#4292C6", "#6BAED6", "#9ECAE1")
#: Unit of the time axis, the shortest span it is for, and its microseconds.
_UNITS = (
    ("days", 3 * 86_400_000_000, 86_400_000_000),
    ("hours", 3 * 3_600_000_000, 3_600_000_000),
    ("minutes", 180_000_000, 60_000_000),
    ("seconds", 0, 1_000_000),
)
#: Letters of a label that are shown.
_LONGEST = 34


def draw_tree(graph: nx.DiGraph[int], ax: Axes | None = None) -> Axes:
    """Draw a lineage tree.

    Parameters
    ----------
    graph : as :func:`~agentsim.lineage.trees.tree_graph` gives it.
    ax : where to draw; by default a new figure whose height fits the number of rows.

    Returns
    -------
    The axes, time since the root's issue on x. The title states what is drawn and may be replaced.

    Notes
    -----
    A bar is a grant from its first issue to its last token's end, darker nearer the root. A grant that was stopped
    is orange, with a cross at that moment and a dotted line over the time that it lost; one whose task was
    completed before it expired ends with a stroke. A diamond is a refused decision: on a grant's row a refused
    use, on a row of its own a child that was asked for and refused. In a tree of more than 90 rows subtrees in
    which nothing was refused or stopped are folded into one row with all their bars, the deepest first.
    """
    rows = tree_rows(graph)
    if ax is None:
        from matplotlib import pyplot

        height = _row_height(len(rows)) * len(rows) + 1.4
        _, ax = pyplot.subplots(figsize=(10, height), layout="constrained")
    begin, last = rows[0].start, max(row.last for row in rows)
    unit, scale = next((unit, scale) for unit, least, scale in _UNITS if last - begin >= least)
    points = ax.bbox.height / ax.figure.dpi * 72 / len(rows)
    picture = _Picture(ax, rows, begin, last, scale, size=min(8.0, max(4.5, 0.8 * points)))
    picture.guides()
    picture.bars()
    picture.refusals()
    picture.labels()
    picture.frame(unit, graph)
    return ax


def _row_height(rows: int) -> float:
    """Inches: comfortable for few rows, and for many what small print needs."""
    return min(0.24, max(0.12, 10 / rows))


@dataclass
class _Picture:
    """What the parts of the drawing share. ``scale`` is microseconds per unit of x, ``size`` a font size."""

    ax: Axes
    rows: list[Row]
    begin: int
    last: int
    scale: int
    size: float

    def x(self, moment: int) -> float:
        return (moment - self.begin) / self.scale

    def line(self, x: tuple[float, float], y: tuple[float, float], colour: str, **style: Any) -> None:
        self.ax.plot(x, y, color=colour, **style)

    def guides(self) -> None:
        """From the beginning of a parent down to its last child, and across to each child's beginning."""
        lowest: dict[int, int] = {}
        for number, row in enumerate(self.rows):
            if row.parent >= 0:
                lowest[row.parent] = number
                stem = self.x(self.rows[row.parent].start)
                self.line((stem, max(self.x(row.start), stem)), (number, number), _GUIDE, lw=0.5, zorder=1)
        for parent, child in lowest.items():
            stem = self.x(self.rows[parent].start)
            self.line((stem, stem), (parent, child), _GUIDE, lw=0.5, zorder=1)

    def bars(self) -> None:
        for number, row in enumerate(self.rows):
            for bar in row.bars:
                self.bar(number, bar, 0.62 * 0.75 ** (bar.depth - row.depth))

    def bar(self, number: int, bar: Bar, height: float) -> None:
        """One grant. Its edge is white, so that bars which share a row can be told apart."""
        colour = _STOPPED if bar.stopped else _SHADES[min(bar.depth, len(_SHADES) - 1)]
        start, end = self.x(bar.start), self.x(bar.end)
        self.ax.barh(
            number, end - start, left=start, height=height, color=colour, ec="white", lw=0.4, zorder=2
        )
        if bar.stop is None:
            return
        stop = self.x(bar.stop)
        if bar.completed:
            self.ax.plot(stop, number, marker="|", ms=self.size, mew=1.2, color=_REFUSED, zorder=3)
            return
        lost = (stop, self.x(min(bar.expires, self.last)))
        if lost[1] > stop:
            self.line(lost, (number, number), _STOPPED, lw=0.9, ls=":", zorder=2)
        elif stop > end:
            self.line((end, stop), (number, number), _STOPPED, lw=1.0, zorder=2)
        self.ax.plot(stop, number, marker="x", ms=0.7 * self.size, mew=1.2, color=_REFUSED, zorder=4)

    def refusals(self) -> None:
        places = [(self.x(time), number) for number, row in enumerate(self.rows) for time in row.refusals]
        if places:
            x, y = zip(*places, strict=True)
            self.ax.plot(
                x, y, "D", ms=0.6 * self.size, mfc="white", mec=_REFUSED, mew=0.8, ls="none", zorder=5
            )

    def labels(self) -> None:
        """Names left of the axes, indented by depth."""
        texts = [
            row.label if len(row.label) <= _LONGEST else row.label[: _LONGEST - 1] + "…" for row in self.rows
        ]
        indents = [0.9 * self.size * row.depth for row in self.rows]
        wide = max(indent + 0.58 * self.size * len(text) for indent, text in zip(indents, texts, strict=True))
        for number, (row, text, indent) in enumerate(zip(self.rows, texts, indents, strict=True)):
            self.ax.annotate(
                text,
                (0, number),
                xycoords=self.ax.get_yaxis_transform(),
                xytext=(indent - wide - 6, 0),
                textcoords="offset points",
                va="center_baseline",
                fontsize=self.size,
                style="normal" if row.bars else "italic",
                color=_STOPPED if row.stopped else _REFUSED,
                annotation_clip=False,
            )
        self.remarks()

    def remarks(self) -> None:
        """Why something was refused or stopped, where it was."""
        told: set[tuple[int | None, str]] = set()
        for number, row in enumerate(self.rows):
            remark, moment = row.remark, row.last
            for bar in row.bars:
                if bar.stopped and (bar.stop, bar.reason) not in told:
                    # A cascade stops many at once; the topmost row says why.
                    told.add((bar.stop, bar.reason))
                    remark, moment = words(bar.reason), bar.stop or bar.end
            if remark:
                self.remark(remark, moment, number)

    def remark(self, text: str, moment: int, number: int) -> None:
        self.ax.annotate(
            text,
            (self.x(moment), number),
            xytext=(0.8 * self.size, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=0.95 * self.size,
            bbox={"boxstyle": "square,pad=0.12", "fc": "white", "ec": "none", "alpha": 0.85},
            zorder=6,
        )

    def frame(self, unit: str, graph: nx.DiGraph[int]) -> None:
        """Title, axis and legend."""
        ax, span = self.ax, self.x(self.last)
        bars = [bar for row in self.rows for bar in row.bars]
        refused = sum(len(row.refusals) for row in self.rows)
        stopped = sum(bar.stopped for bar in bars)
        depth = max(row.depth for row in self.rows if row.bars)
        title = f"{len(bars)} grants to depth {depth}, {stopped} stopped, {refused} decisions refused"
        ax.set_title(title, loc="left", fontsize=10, pad=22)
        root = graph.nodes[graph.graph["root"]]
        ax.set_xlabel(f"{unit} since the root grant of {root['task_id']}", fontsize=9)
        ax.set_xlim(-0.01 * span, 1.02 * span if span else 1)
        ax.set_ylim(len(self.rows) - 0.3, -0.7)
        ax.set_yticks([])
        ax.tick_params(axis="x", labelsize=8)
        ax.grid(axis="x", color="#EEEEEE", lw=0.6)
        ax.set_axisbelow(True)
        for side in ("left", "right", "top"):
            ax.spines[side].set_visible(False)
        ax.legend(
            handles=_legend(
                stopped=stopped > 0, completed=any(bar.completed for bar in bars), refused=refused > 0
            ),
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=4,
            frameon=False,
            fontsize=8,
            borderaxespad=0,
        )


def _legend(*, stopped: bool, completed: bool, refused: bool) -> list[Line2D]:
    """An entry for each thing that the picture shows."""
    from matplotlib.lines import Line2D

    marks = [Line2D([], [], color=_SHADES[1], lw=5, label="grant, paler with depth")]
    if stopped:
        marks.append(
            Line2D([], [], color=_STOPPED, lw=5, marker="x", mec=_REFUSED, mew=1.2, ms=6, label="stopped")
        )
    if completed:
        marks.append(
            Line2D([], [], marker="|", mec=_REFUSED, mew=1.3, ms=8, ls="none", label="task completed")
        )
    if refused:
        marks.append(Line2D([], [], marker="D", mfc="white", mec=_REFUSED, ls="none", ms=5, label="refused"))
    return marks
