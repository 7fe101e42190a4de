"""The grants of one tree as rows with their bars in time: in a page, subtrees can be folded and agents searched."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import networkx as nx
from matplotlib.ticker import MaxNLocator

from agentsim.lineage.bars import Bar, words
from agentsim.palette import ACCENT, ALARM, INK, MAIN, OTHER
from agentsim.reporting.interactive import Interactive
from agentsim.reporting.summary import TEMPLATES
from agentsim.reporting.words import duration, plural

#: Pixels of the column in which time runs, and of a row's picture; room at both ends for marks.
_WIDTH, _HEIGHT, _END = 300, 16, 16
#: Units of the axis of time, and their microseconds.
_UNITS = (("days", 86_400_000_000), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("µs", 1))
#: Rows that stand as deep as this are not moved further to the right.
_DEEPEST = 12


def tree_view(graph: nx.DiGraph[int], attacked: Mapping[int, str]) -> Interactive:
    """All grants of a tree, and all requests for a child that were refused, as rows below their parent.

    Parameters
    ----------
    graph : as :func:`~agentsim.lineage.tree_graph` gives it.
    attacked : what labels call the attack on a grant, by grant_id.
    """
    scale = _Scale(graph)
    path = {above for node in attacked if node in graph for above in (node, *nx.ancestors(graph, node))}
    rows = "".join(_row(graph, node, attacked, path, scale) for node in _in_order(graph))
    grants = sum(told["kind"] == "grant" for _, told in graph.nodes(data=True))
    told = plural(grants, "grant")
    style = (TEMPLATES / "tree.css").read_text(encoding="utf-8")
    html = f"""<style>{style}</style>
<section class="agentsim-tree" aria-label="All grants of the tree">
<h3>The same tree, row by row: {told}</h3>
<div class="controls" role="search" hidden>
<label>Agent, role or task <input type="search" autocomplete="off" spellcheck="false"></label>
<button type="button" class="fold-all">Fold all</button> <button type="button" class="unfold-all">Unfold all</button>
<p role="status"></p>
</div>
<div class="rows" role="region" tabindex="0" aria-label="Grants, each below its parent">
<table><caption>{_CAPTION}</caption>
<thead><tr><th scope="col">Agent</th><th scope="col">{scale.axis()}</th><th scope="col">What happened</th>
<th scope="col">Role</th><th scope="col">Task</th><th scope="col">Scope</th></tr></thead>
<tbody>{rows}</tbody></table></div></section>"""
    return Interactive(html, {"grants": grants}, script="tree")


_CAPTION = (
    "A bar runs from the first issue of a grant to the end of its last token; a cross is where it was stopped, "
    "a stroke where its task was completed, a diamond a refused decision."
)


class _Scale:
    """Where in its column a moment stands."""

    def __init__(self, graph: nx.DiGraph[int]) -> None:
        told = [grant for _, grant in graph.nodes(data=True)]
        bars = [Bar.of(grant) for grant in told if grant["kind"] == "grant"]
        ends = [bar.end for bar in bars] + [bar.stop for bar in bars if bar.stop is not None]
        ends += [time for grant in told for time, _ in grant.get("refusals", ())]
        self.begin = int(graph.nodes[graph.graph["root"]]["issued_at"])
        last = max([*ends, *(grant["issued_at"] for grant in told)])
        self.span = max(1, int(last) - self.begin)

    def x(self, moment: int) -> float:
        return round(_END + (_WIDTH - 2 * _END) * (moment - self.begin) / self.span, 1)

    def axis(self) -> str:
        """The head of the column: round times, the last one with their unit."""
        unit, size = next((unit, size) for unit, size in _UNITS if self.span >= 2 * size or size == 1)
        ticks = [
            tick
            for tick in MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(0, self.span / size)
            if 0 <= tick * size <= self.span
        ]
        texts = "".join(
            f'<text x="{self.x(self.begin + int(tick * size))}" y="12" text-anchor="{_anchor(tick * size / self.span)}">'
            f"{tick:g}{f' {unit}' if tick == ticks[-1] else ''}</text>"
            for tick in ticks
        )
        return f'<span class="unseen">When, since the root was issued</span>{_svg(texts)}'


def _anchor(share: float) -> str:
    """Texts near an end of the axis stay within it."""
    return "start" if share == 0 else "end" if share > 0.93 else "middle"


def _svg(inner: str) -> str:
    return f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-hidden="true">{inner}</svg>'


def _in_order(graph: nx.DiGraph[int]) -> list[int]:
    """Depth first, children in order of time."""
    order, pending = [], [graph.graph["root"]]
    while pending:
        node = pending.pop()
        order.append(node)
        pending += sorted(
            graph.successors(node), key=lambda one: (graph.nodes[one]["issued_at"], one), reverse=True
        )
    return order


def _row(
    graph: nx.DiGraph[int], node: int, attacked: Mapping[int, str], path: set[int], scale: _Scale
) -> str:
    told = graph.nodes[node]
    bar = Bar.of(told) if told["kind"] == "grant" else None
    kinds = ["path"] if node in path else []
    kinds += ["attacked"] if node in attacked else ["refused"] if bar is None else []
    name = escape(str(told["agent_name"] or told["role"] or "unknown agent"))
    role, task = (escape(str(told[column] or "")) for column in ("role", "task_id"))
    colour = (
        ALARM
        if node in attacked
        else ACCENT
        if bar and bar.stopped
        else OTHER
        if path and node not in path
        else MAIN
    )
    depth, below = told["depth"], len(nx.descendants(graph, node))
    return (
        f'<tr class="{" ".join(kinds)}" data-depth="{depth}" data-below="{below}">'
        f'<th scope="row"><span style="--depth: {min(depth, _DEEPEST)}"><bdi>{name}</bdi></span></th>'
        f"<td>{_svg(_marks(told, bar, colour, scale))}</td>"
        f"<td>{escape(_happened(told, bar, attacked.get(node), scale))}</td>"
        f"<td>{role}</td><td><bdi>{task}</bdi></td><td>{_scope(graph, node)}</td></tr>"
    )


def _marks(told: Mapping[str, Any], bar: Bar | None, colour: str, scale: _Scale) -> str:
    """The bar of a row and what is marked on it."""
    parts = []
    if bar is not None:
        start, end = scale.x(bar.start), scale.x(bar.end)
        parts.append(
            f'<rect x="{start}" y="4" width="{max(1.5, end - start):.1f}" height="8" fill="{colour}"/>'
        )
        if bar.stop is not None:
            x = scale.x(bar.stop)
            shape = f"M{x} 2v12" if bar.completed else f"M{x - 4} 4l8 8m0 -8l-8 8"
            parts.append(f'<path d="{shape}" stroke="{INK}" stroke-width="1.8" fill="none"/>')
    refusals = [time for time, _ in told["refusals"]] if bar else [told["issued_at"]]
    parts += [
        f'<path d="M{scale.x(time)} 4l4 4l-4 4l-4 -4z" fill="#fff" stroke="{INK}" stroke-width="1.2"/>'
        for time in refusals
    ]
    return "".join(parts)


def _happened(told: Mapping[str, Any], bar: Bar | None, attack: str | None, scale: _Scale) -> str:
    """What a row's marks say, in words."""
    if bar is None:
        return f"asked for a grant, refused: {words(str(told['reason']))}"
    said = [f"attacked, by the labels: {words(attack)}"] if attack else []
    if bar.stop is not None:
        after = duration(bar.stop - scale.begin)
        said.append(
            f"task completed after {after}"
            if bar.completed
            else f"stopped after {after}: {words(bar.reason)}"
        )
    if told["refusals"]:
        reasons = ", ".join(dict.fromkeys(words(reason) for _, reason in told["refusals"]))
        said.append(f"{len(told['refusals'])} refused: {reasons}")
    return "; ".join(said)


def _scope(graph: nx.DiGraph[int], node: int) -> str:
    """How large a scope is, beside the parent's; what is in it is told on request."""
    scope = graph.nodes[node].get("scope")
    if scope is None:
        return ""
    size = str(len(scope.split()))
    above = next(iter(graph.predecessors(node)), None)
    if above is not None:
        size += f" of {len(graph.nodes[above]['scope'].split())}"
    return f'<span title="{escape(scope)}">{size}</span>'
