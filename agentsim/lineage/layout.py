"""Where everything stands in the picture of a lineage tree: depth in bands from top to bottom, time from left to right.

Within a band grants that live at the same time lie in lanes below each other, as few as will do. A lane is high where
names are written into it and thin where they are not, so that hundreds of grants can be seen and what matters be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import networkx as nx

from agentsim.lineage.bars import Bar, words

#: Points: lanes with and without names, the space between two bands, between two bars, and around a mark.
TALL, THIN, _GAP, _APART, _MARK = 11.0, 3.4, 7.0, 3.0, 4.0
#: Font size of names, and the width of a letter, and of a bold one, as shares of it.
FONT, _LETTER, _BOLD = 7.0, 0.6, 0.7
#: A picture with more high lanes than this names only what matters.
MOST_NAMES = 60
#: Letters of a name that are shown.
_LONGEST = 30
#: Grants with the most children that are named in any case.
_PARENTS = 4


@dataclass
class Box:
    """A grant, or a child that was asked for and refused, and its place. Times are microseconds.

    Attributes
    ----------
    name, remark : whose it is, and what happened to it; empty where nothing did.
    bar : from issue to end; None for a refused child.
    refusals : when something was refused.
    attacked : whether labels call it that.
    on_path : whether it is attacked or above such a one.
    parent : number of the box above, -1 for the root.
    labelled : whether name and remark are written beside it.
    top, height : of its lane, in points from the upper edge.
    text_at : where its text begins, in points from the left edge; or ends, where it is ``before`` the bar.
    inside : whether it is within the bar.
    """

    node: int
    depth: int
    start: int
    name: str
    parent: int
    bar: Bar | None = None
    refusals: list[int] = field(default_factory=list)
    remark: str = ""
    attacked: bool = False
    on_path: bool = False
    labelled: bool = False
    top: float = 0.0
    height: float = 0.0
    text_at: float = 0.0
    inside: bool = False
    before: bool = False

    @property
    def text(self) -> str:
        return f"{shortened(self.name)} · {self.remark}" if self.remark else shortened(self.name)

    @property
    def last(self) -> int:
        """The last moment at which something is drawn, but for dotted lines."""
        moments = [self.start, *self.refusals]
        if self.bar:
            moments += [self.bar.end, self.bar.stop or 0]
        return max(moments)


@dataclass
class Layout:
    """All boxes of a tree, and the band of each depth as (upper edge, height, boxes); ``width`` and ``height`` in points."""

    boxes: list[Box]
    bands: list[tuple[float, float, int]]
    width: float
    height: float
    begin: int
    end: int

    def x(self, moment: float) -> float:
        """Points from the left edge."""
        return self.width * (moment - self.begin) / max(1, self.end - self.begin)


def lay_out(graph: nx.DiGraph[int], attacked: Mapping[int, str], width: float) -> Layout:
    """Place the grants and refused requests of a tree.

    Parameters
    ----------
    graph : as :func:`~agentsim.lineage.trees.tree_graph` gives it.
    attacked : what labels call the attack on a grant, by grant_id.
    width : points from the first moment to the last.
    """
    boxes = _boxes(graph, attacked)
    layout = Layout(boxes, [], width, 0.0, boxes[0].start, max(box.last for box in boxes))
    _choose_names(layout, everything=True)
    _place(layout)
    if sum(height / TALL for _, height, _ in layout.bands) > MOST_NAMES:
        _choose_names(layout, everything=False)
        _place(layout)
    return layout


def shortened(name: str) -> str:
    """A name that fits."""
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _boxes(graph: nx.DiGraph[int], attacked: Mapping[int, str]) -> list[Box]:
    """A box for each node, parents before their children."""
    order = list(nx.bfs_tree(graph, graph.graph["root"]))
    number = {node: place for place, node in enumerate(order)}
    boxes = []
    for node in order:
        told = graph.nodes[node]
        above = next(iter(graph.predecessors(node)), None)
        name = str(told["agent_name"] or told["role"] or "unknown agent")
        box = Box(node, told["depth"], told["issued_at"], name, -1 if above is None else number[above])
        if told["kind"] == "grant":
            box.bar = Bar.of(told)
            box.refusals = [time for time, _ in told["refusals"]]
            box.attacked = node in attacked
            happened = [f"attack: {words(attacked[node])}"] if box.attacked else []
            happened += [f"stopped: {words(box.bar.reason)}"] if box.bar.stopped else []
            box.remark = ", ".join(happened)
        else:
            box.refusals, box.remark = [box.start], words(str(told["reason"]))
        boxes.append(box)
    for box in boxes:
        step = box
        while box.attacked and not step.on_path:
            step.on_path = True
            step = boxes[step.parent] if step.parent >= 0 else step
    return boxes


def _choose_names(layout: Layout, *, everything: bool) -> None:
    """Name all, or the root, the path of an attack, what a mark ended at its top, and who delegated most."""
    boxes = layout.boxes
    children: dict[int, int] = {}
    for box in boxes:
        children[box.parent] = children.get(box.parent, 0) + 1
    most = sorted((number for number in children if number >= 0), key=lambda one: (-children[one], one))
    named = {0, *most[:_PARENTS]}
    told: set[tuple[int | None, str]] = set()
    for number, box in enumerate(boxes):
        if box.on_path:
            named.add(number)
        if box.bar and box.bar.stopped and (box.bar.stop, box.bar.reason) not in told:
            # A cascade stops many at once; the topmost says why.
            told.add((box.bar.stop, box.bar.reason))
            named.add(number)
    for number, box in enumerate(boxes):
        box.labelled = everything or number in named


def _place(layout: Layout) -> None:
    top, layout.bands = 0.0, []
    for depth in range(max(box.depth for box in layout.boxes) + 1):
        band = [box for box in layout.boxes if box.depth == depth]
        bottom = _pack(layout, (box for box in band if box.labelled), top, TALL)
        bottom = _pack(layout, (box for box in band if not box.labelled), bottom, THIN)
        layout.bands.append((top, bottom - top, len(band)))
        top = bottom + _GAP
    layout.height = top - _GAP


def _pack(layout: Layout, boxes: Iterable[Box], top: float, height: float) -> float:
    """Put boxes into the first lane that is free, in order of time; where the last lane ends."""
    free: list[float] = []
    for begin, end, box in sorted(
        ((*_extent(layout, box), box) for box in boxes), key=lambda one: (one[0], one[2].node)
    ):
        lane = next((lane for lane, since in enumerate(free) if since + _APART <= begin), len(free))
        free[lane:] = [end, *free[lane + 1 :]]
        box.top, box.height = top + lane * height, height
    return top + len(free) * height


def _extent(layout: Layout, box: Box) -> tuple[float, float]:
    """From where to where a box and its text reach; says where the text goes."""
    begin, end = layout.x(box.start), layout.x(box.last)
    if box.bar and box.bar.lost:
        end = max(end, layout.x(min(box.bar.expires, layout.end)))
    if box.refusals or (box.bar and box.bar.stop is not None):
        end += _MARK
    if box.bar is None:
        begin -= _MARK
    if not box.labelled:
        return begin, end
    room = (_BOLD if box.attacked else _LETTER) * FONT * len(box.text) + _APART
    free = _free_within(layout, box, room)
    if free is not None:
        box.inside, box.text_at = True, free
        return begin, end
    if end + room <= layout.width:
        box.text_at = end + _APART
        return begin, end + room
    if box.remark and box.bar and not begin > room:
        # Over its own bar nothing could be read; the name alone may have room.
        box.remark = ""
        return _extent(layout, box)
    box.before = begin > room
    box.text_at = begin - _APART if box.before else 0.0
    return max(0.0, begin - room), max(end, room)


def _free_within(layout: Layout, box: Box, room: float) -> float | None:
    """Where a text has room on the bar without covering a refusal."""
    if box.bar is None:
        return None
    edges = [layout.x(box.start) - _MARK, *sorted(map(layout.x, box.refusals)), layout.x(box.bar.end)]
    for left, right in pairwise(edges):
        if right - left > room + 2 * _MARK + _APART:
            return left + _MARK + _APART
    return None
