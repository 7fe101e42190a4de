"""Which rows the picture of a lineage tree has: one grant each, or quiet subtrees folded together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import networkx as nx

#: A picture with more rows than this folds quiet subtrees.
MOST_ROWS = 90
_COMPLETED = "completed"


@dataclass
class Bar:
    """One grant. Times in microseconds; ``stop`` is when it was revoked, if that ended anything."""

    depth: int
    start: int
    expires: int
    stop: int | None = None
    completed: bool = False
    reason: str = ""

    @property
    def stopped(self) -> bool:
        return self.stop is not None and not self.completed

    @property
    def end(self) -> int:
        """The last moment at which one of its tokens was valid."""
        return max(self.start, self.expires if self.stop is None else min(self.stop, self.expires))


@dataclass
class Row:
    """One line of the picture: a grant, several alike, or what one agent was refused on one grant."""

    label: str
    depth: int
    parent: int
    start: int
    bars: list[Bar] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    remark: str = ""

    @property
    def stopped(self) -> bool:
        return any(bar.stopped for bar in self.bars)

    @property
    def last(self) -> int:
        """The last moment at which something is drawn, but for dotted lines."""
        return max([self.start, *self.refusals, *(max(bar.end, bar.stop or 0) for bar in self.bars)])


def tree_rows(graph: nx.DiGraph[int]) -> list[Row]:
    """All rows where they are few; else quiet subtrees are folded, from the deepest upwards as far as needed."""
    deepest = max(int(graph.nodes[node]["depth"]) for node in graph)
    quiet = _quiet(graph)
    rows = _unfolded(graph, set())
    for depth in range(deepest, 0, -1):
        if len(rows) <= MOST_ROWS:
            break
        rows = _unfolded(graph, {node for node in quiet if graph.nodes[node]["depth"] >= depth})
    return rows


def _quiet(graph: nx.DiGraph[int]) -> set[int]:
    """Grants for which, and below which, nothing was refused or stopped."""
    quiet: set[int] = set()
    for node in nx.dfs_postorder_nodes(graph, graph.graph["root"]):
        attributes = graph.nodes[node]
        eventful = attributes["kind"] == "attempt" or attributes["refusals"] or _bar(attributes).stopped
        if not eventful and quiet.issuperset(graph.successors(node)):
            quiet.add(node)
    return quiet


def _unfolded(graph: nx.DiGraph[int], folded: set[int]) -> list[Row]:
    """Depth first, children in order of time; folded siblings of one role share a row with all below them."""
    rows: list[Row] = []
    pending: list[tuple[list[int], int]] = [([graph.graph["root"]], -1)]
    while pending:
        nodes, parent = pending.pop()
        number = len(rows)
        if nodes[0] in folded:
            rows.append(_folded_row(graph, nodes, parent))
            continue
        rows.append(_row([graph.nodes[node] for node in nodes], parent))
        groups: dict[Any, list[int]] = {}
        for child in sorted(
            graph.successors(nodes[0]), key=lambda child: (graph.nodes[child]["issued_at"], child)
        ):
            attributes = graph.nodes[child]
            key: Any = child
            if attributes["kind"] == "attempt":
                key = "attempt", attributes["client_id"]
            elif child in folded:
                key = "folded", attributes["role"]
            groups.setdefault(key, []).append(child)
        pending += [(group, number) for group in reversed(groups.values())]
    return rows


def _row(nodes: list[dict[str, Any]], parent: int) -> Row:
    """One grant, or the attempts of one agent on one grant."""
    first = nodes[0]
    row = Row(
        label=str(first["agent_name"] or first["role"] or "unknown agent"),
        depth=first["depth"],
        parent=parent,
        start=first["issued_at"],
    )
    if first["kind"] == "grant":
        row.bars = [_bar(first)]
        row.refusals = [time for time, _ in first["refusals"]]
    else:
        row.refusals = [node["issued_at"] for node in nodes]
        reasons = list(dict.fromkeys(words(str(node["reason"])) for node in nodes))
        row.remark = ", ".join(reasons[:2])
    return row


def _folded_row(graph: nx.DiGraph[int], nodes: list[int], parent: int) -> Row:
    """Sibling subtrees in one row, their bars from the top down."""
    row = _row([graph.nodes[nodes[0]]], parent)
    below = [one for node in nodes for one in nx.descendants(graph, node)]
    row.bars = [_bar(graph.nodes[node]) for node in (*nodes, *below)]
    row.bars.sort(key=lambda bar: (bar.depth, bar.start))
    if len(nodes) > 1:
        row.label = f"{len(nodes)} × {graph.nodes[nodes[0]]['role']}"
    if below:
        row.label += f" +{len(below)} below"
    return row


def _bar(grant: dict[str, Any]) -> Bar:
    bar = Bar(grant["depth"], grant["issued_at"], grant["expires_at"])
    completed = grant["reason"] == _COMPLETED
    # The task of a grant that has run out may be completed later; that ended nothing. Another revocation did end
    # something, because the grant could still have been refreshed.
    if grant["revoked"] and not (completed and grant["revoked_at"] >= grant["expires_at"]):
        bar.stop, bar.completed, bar.reason = grant["revoked_at"], completed, str(grant["reason"])
    return bar


def words(code: str) -> str:
    """A machine code as one reads it."""
    return code.replace("_", " ")
