"""The picture of a tree: everything that happened is in it, and it can be read."""

import itertools

import matplotlib as mpl
import networkx as nx
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex

from agentsim.lineage import draw_tree, pick_tree, tree_graph
from agentsim.lineage.layout import MOST_ROWS, tree_rows

SECOND = 1_000_000
START = 1_780_000_000 * SECOND
ORANGE = "#d55e00"


@pytest.fixture(autouse=True)
def _figures():
    mpl.use("Agg")
    yield
    pyplot.close("all")


def a_tree():
    graph = nx.DiGraph(root=1, tenant=0, run="drawn")
    add_grant(graph, 1, None, 0, 600)
    return graph


def add_grant(graph, node, parent, start, end, *, role="coder", stopped=None, reason="incident", refusals=()):
    graph.add_node(
        node,
        kind="grant",
        agent_name=f"{role}-{node}",
        role=role,
        client_id=node,
        depth=0 if parent is None else graph.nodes[parent]["depth"] + 1,
        task_id=f"task-{node}",
        issued_at=START + start * SECOND,
        expires_at=START + end * SECOND,
        revoked=stopped is not None,
        revoked_at=None if stopped is None else START + stopped * SECOND,
        reason=None if stopped is None else reason,
        refused=len(refusals),
        refusals=[(START + moment * SECOND, "expired") for moment in refusals],
    )
    if parent is not None:
        graph.add_edge(parent, node)


def add_attempt(graph, node, parent, moment, *, client=77, reason="scope_exceeds_parent"):
    graph.add_node(
        node,
        kind="attempt",
        agent_name=f"asker-{client}",
        role="asker",
        client_id=client,
        depth=graph.nodes[parent]["depth"] + 1,
        task_id="more",
        issued_at=START + moment * SECOND,
        reason=reason,
    )
    graph.add_edge(parent, node)


def texts(ax):
    return [text.get_text() for text in ax.texts]


def marks(ax, marker):
    """(x, row) of every marker of a shape."""
    lines = [line for line in ax.lines if line.get_marker() == marker]
    return sorted((float(x), int(y)) for line in lines for x, y in zip(*line.get_data(), strict=True))


def bars(ax):
    """(row, start, end, colour) of every bar."""
    boxes = [(patch, patch.get_bbox()) for patch in ax.patches]
    return sorted(
        (round((box.y0 + box.y1) / 2), round(box.x0, 3), round(box.x1, 3), to_hex(patch.get_facecolor()))
        for patch, box in boxes
    )


def test_each_grant_is_a_bar_from_issue_to_end_below_its_parent():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300)
    add_grant(graph, 3, 1, 30, 120)
    add_grant(graph, 4, 3, 40, 100)
    ax = draw_tree(graph)
    assert texts(ax) == ["coder-1", "coder-3", "coder-4", "coder-2"]
    assert [bar[:3] for bar in bars(ax)] == [(0, 0, 10), (1, 0.5, 2), (2, 0.667, 1.667), (3, 1, 5)]
    assert ax.get_xlabel() == "minutes since the root grant of task-1"
    assert ax.get_title(loc="left") == "4 grants to depth 2, 0 stopped, 0 decisions refused"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["grant, paler with depth"]


def test_a_stopped_grant_has_a_cross_another_colour_and_the_time_it_lost():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300, stopped=120)
    add_grant(graph, 3, 2, 90, 240, stopped=120)
    ax = draw_tree(graph)
    assert [bar for bar in bars(ax) if bar[3] == ORANGE] == [(1, 1, 2, ORANGE), (2, 1.5, 2, ORANGE)]
    assert marks(ax, "x") == [(2, 1), (2, 2)]
    dotted = [line.get_xdata().tolist() for line in ax.lines if line.get_linestyle() == ":"]
    assert np.array(dotted).tolist() == [[2, 5], [2, 4]]
    # One mark ended both; it is named once, at the top.
    assert texts(ax).count("incident") == 1
    assert "2 stopped" in ax.get_title(loc="left")


def test_a_completed_task_ends_with_a_stroke_and_no_alarm():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300, stopped=120, reason="completed")
    ax = draw_tree(graph)
    assert marks(ax, "|") == [(2, 1)]
    assert marks(ax, "x") == []
    assert all(bar[3] != ORANGE for bar in bars(ax))
    assert "0 stopped" in ax.get_title(loc="left")


def test_completing_what_had_expired_ends_nothing_but_stopping_it_does():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 120, stopped=240, reason="completed")
    add_grant(graph, 3, 1, 90, 120, stopped=240, reason="client_compromised")
    ax = draw_tree(graph)
    assert marks(ax, "|") == []
    assert marks(ax, "x") == [(4, 2)]
    assert "client compromised" in texts(ax)
    assert [bar[:3] for bar in bars(ax)][1:] == [(1, 1, 2), (2, 1.5, 2)]


def test_refused_uses_stand_on_their_grant_and_refused_children_on_a_row_of_their_own():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300, refusals=[120, 360])
    add_attempt(graph, 10, 1, 90)
    add_attempt(graph, 11, 1, 150, reason="depth_exceeded")
    add_attempt(graph, 12, 2, 180, client=78)
    ax = draw_tree(graph)
    assert marks(ax, "D") == [(1.5, 3), (2, 1), (2.5, 3), (3, 2), (6, 1)]
    labels = texts(ax)
    assert labels[:4] == ["coder-1", "coder-2", "asker-78", "asker-77"]
    assert "scope exceeds parent, depth exceeded" in labels
    assert "5 decisions refused" in ax.get_title(loc="left")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["grant, paler with depth", "refused"]


@pytest.mark.parametrize(
    ("end", "unit"),
    [(100, "seconds"), (200, "minutes"), (4 * 3600, "hours"), (30 * 86400, "days"), (0, "seconds")],
)
def test_time_is_told_in_a_fitting_unit(end, unit):
    graph = nx.DiGraph(root=1, tenant=0, run="drawn")
    add_grant(graph, 1, None, 0, end)
    assert draw_tree(graph).get_xlabel().startswith(unit)


def test_it_draws_where_it_is_told_to():
    figure, ax = pyplot.subplots(figsize=(4, 3))
    assert draw_tree(a_tree(), ax) is ax
    assert figure.get_size_inches().tolist() == [4, 3]


def test_no_guide_crosses_a_bar():
    graph = large_tree(60)
    ax = draw_tree(graph)
    stems = [
        line
        for line in ax.lines
        if line.get_xdata()[0] == line.get_xdata()[-1] and len(line.get_xdata()) == 2
    ]
    assert stems
    for line, (row, start, end, _) in itertools.product(stems, bars(ax)):
        top, bottom = sorted(line.get_ydata())
        assert not (top < row < bottom and start + 0.01 < line.get_xdata()[0] < end - 0.01)


def large_tree(count, seed=5):
    """A tree in which one subtree was stopped, some uses and children were refused, and much is quiet."""
    random = np.random.default_rng(seed)
    graph = a_tree()
    for node in range(2, count + 1):
        parent = int(random.integers(max(1, node // 8), node // 2 + 1))
        above = graph.nodes[parent]
        begin = (above["issued_at"] - START) // SECOND + 1
        end = (above["expires_at"] - START) // SECOND
        start = int(random.integers(begin, max(begin + 1, end - 20)))
        add_grant(
            graph, node, parent, start, max(end - 1, start + 1), role=str(random.choice(["coder", "analyst"]))
        )
    for node in random.choice(count, count // 12, replace=False) + 1:
        begin = (graph.nodes[int(node)]["issued_at"] - START) // SECOND
        graph.nodes[int(node)]["refusals"] = [(START + (begin + 1) * SECOND, "expired")]
        add_attempt(graph, 10_000 + int(node), int(node), begin + 1, client=int(node))
    for node in [4, *nx.descendants(graph, 4)]:
        if graph.nodes[node]["kind"] == "grant" and graph.nodes[node]["issued_at"] < START + 500 * SECOND:
            graph.nodes[node].update(revoked=True, revoked_at=START + 500 * SECOND, reason="incident")
    return graph


@pytest.mark.parametrize("count", [20, 60, 200])
def test_labels_can_be_read_and_do_not_overlap(count):
    graph = large_tree(count)
    ax = draw_tree(graph)
    ax.figure.canvas.draw()
    labels = ax.texts[: len(tree_rows(graph))]
    boxes = sorted((text.get_window_extent() for text in labels), key=lambda box: -box.y1)
    assert min(text.get_fontsize() for text in labels) >= 5.5
    for upper, lower in itertools.pairwise(boxes):
        assert lower.y1 < upper.y1
        assert lower.y1 - upper.y0 < 0.2 * upper.height
    assert max(box.x1 for box in boxes) <= ax.get_window_extent().x0 + 10


def test_folding_hides_no_grant_no_refusal_and_nothing_stopped():
    graph = large_tree(300)
    rows = tree_rows(graph)
    grants = [node for node, kind in graph.nodes(data="kind") if kind == "grant"]
    assert len(rows) < len(graph)
    assert sum(len(row.bars) for row in rows) == len(grants)
    stopped = [node for node in grants if graph.nodes[node]["revoked"]]
    assert sum(bar.stopped for row in rows for bar in row.bars) == len(stopped)
    attempts = len(graph) - len(grants)
    assert sum(len(row.refusals) for row in rows) == attempts + sum(
        len(graph.nodes[one]["refusals"]) for one in grants
    )
    # What is folded is quiet: one bar in every row in which something happened.
    assert all(len(row.bars) <= 1 for row in rows if row.refusals or row.stopped)
    assert any("×" in row.label or "below" in row.label for row in rows)


def test_a_small_tree_is_not_folded():
    graph = large_tree(60)
    assert len(graph) <= MOST_ROWS
    assert len(tree_rows(graph)) == len(graph)


def test_a_star_of_quiet_grants_is_one_row_for_each_role():
    graph = a_tree()
    for node in range(2, 200):
        add_grant(graph, node, 1, node, 500, role="coder" if node % 2 else "analyst")
    assert [row.label for row in tree_rows(graph)] == ["coder-1", "99 × analyst", "99 × coder"]


def test_a_tree_of_a_run_can_be_drawn(told_run):
    ax = draw_tree(tree_graph(told_run, pick_tree(told_run)))
    ax.figure.canvas.draw()
    assert {"incident", "scope exceeds parent"} <= set(texts(ax))
    assert len(marks(ax, "x")) == 4
