"""The picture of a tree: everything that happened is in it, in its place, and it can be read."""

import matplotlib as mpl
import networkx as nx
import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from agentsim.lineage import draw_tree, pick_tree, tree_graph
from agentsim.lineage.layout import THIN, lay_out
from agentsim.palette import ACCENT, ALARM, MAIN, OTHER

SECOND = 1_000_000
START = 1_780_000_000 * SECOND


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


def texts(ax):
    return [text.get_text() for text in ax.texts]


def marks(ax, marker):
    """When each marker of a shape stands."""
    lines = [line for line in ax.lines if line.get_marker() == marker]
    return sorted(float(x) for line in lines for x in line.get_xdata())


def bars(ax):
    """(start, end, colour) of every bar, from top to bottom."""
    boxes = sorted(
        (round(p.get_bbox().y0, 3), p.get_bbox().x0, p.get_bbox().x1, to_hex(p.get_facecolor()))
        for p in drawn(ax)
    )
    return [(round(start, 3), round(end, 3), colour) for _, start, end, colour in boxes]


def drawn(ax):
    """The patches that are bars, and no bands."""
    return [patch for patch in ax.patches if patch.get_zorder() >= 2]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_each_grant_is_a_bar_from_issue_to_end_in_the_band_of_its_depth():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300)
    add_grant(graph, 3, 1, 30, 120)
    add_grant(graph, 4, 3, 40, 100)
    ax = draw_tree(graph)
    assert bars(ax) == [(0, 10, MAIN), (0.5, 2, MAIN), (1, 5, MAIN), (0.667, 1.667, MAIN)]
    assert sorted(texts(ax)) == ["coder-1", "coder-2", "coder-3", "coder-4"]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["root", "depth 1\n(2)", "depth 2\n(1)"]
    assert ax.get_xlabel() == "minutes since the root grant was issued"
    assert ax.get_title(loc="left") == "4 grants to depth 2, 0 stopped, 0 decisions refused"
    assert ax.get_legend() is None


def test_a_line_leads_from_a_grant_to_the_beginning_of_each_child():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300)
    add_grant(graph, 3, 2, 120, 240)
    layout = lay_out(graph, {}, 500)
    ax = draw_tree(graph)
    middles = [box.top + box.height / 2 for box in layout.boxes]
    lines = [(line.get_xdata()[0], *line.get_ydata()) for line in ax.lines if line.get_linestyle() == "-"]
    assert lines == [(1, middles[0], middles[1]), (2, middles[1], middles[2])]


def test_the_path_of_an_attack_stands_out_from_all_else():
    graph = a_tree()
    for node, parent in ((2, 1), (3, 2), (4, 2), (5, 1)):
        add_grant(graph, node, parent, 60 * node, 580)
    ax = draw_tree(graph, attacked={3: "token_theft"})
    colours = {start: colour for start, _, colour in bars(ax)}
    assert colours == {0: MAIN, 2: MAIN, 3: ALARM, 4: OTHER, 5: OTHER}
    assert "coder-3 · attack: token theft" in texts(ax)
    assert [line.get_xdata()[0] for line in ax.lines if line.get_color() == ALARM] == [2, 3]
    assert legend(ax) == ["attacked, by the labels", "above it"]


def test_a_stopped_grant_has_a_cross_another_colour_and_the_time_it_lost():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300, stopped=120)
    add_grant(graph, 3, 2, 90, 240, stopped=120)
    ax = draw_tree(graph)
    assert [bar for bar in bars(ax) if bar[2] == ACCENT] == [(1, 2, ACCENT), (1.5, 2, ACCENT)]
    assert marks(ax, "x") == [2, 2]
    dotted = [line.get_xdata() for line in ax.lines if line.get_linestyle() == ":"]
    assert [tuple(ends) for ends in dotted] == [(2, 5), (2, 4)]
    assert "coder-2 · stopped: incident" in texts(ax)
    assert "2 stopped" in ax.get_title(loc="left")


def test_a_completed_task_ends_with_a_stroke_and_no_alarm():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300, stopped=120, reason="completed")
    ax = draw_tree(graph)
    assert marks(ax, "|") == [2]
    assert marks(ax, "x") == []
    assert {colour for *_, colour in bars(ax)} == {MAIN}
    assert legend(ax) == ["task completed"]


def test_completing_what_had_expired_ends_nothing_but_stopping_it_does():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 120, stopped=240, reason="completed")
    add_grant(graph, 3, 1, 90, 120, stopped=240, reason="client_compromised")
    ax = draw_tree(graph)
    assert marks(ax, "|") == []
    assert marks(ax, "x") == [4]
    assert "coder-3 · stopped: client compromised" in texts(ax)
    assert [bar[:2] for bar in bars(ax)][1:] == [(1, 2), (1.5, 2)]


def test_refused_uses_stand_on_their_bar_and_refused_children_alone():
    graph = a_tree()
    add_grant(graph, 2, 1, 60, 300, refusals=[120, 360])
    add_attempt(graph, 10, 1, 90)
    add_attempt(graph, 12, 2, 180, client=78, reason="depth_exceeded")
    ax = draw_tree(graph)
    assert marks(ax, "D") == [1.5, 2, 3, 6]
    assert {"asker-77 · scope exceeds parent", "asker-78 · depth exceeded"} <= set(texts(ax))
    assert "4 decisions refused" in ax.get_title(loc="left")
    assert legend(ax) == ["refused"]


@pytest.mark.parametrize(
    ("end", "unit"),
    [(100, "seconds"), (200, "minutes"), (4 * 3600, "hours"), (30 * 86400, "days"), (0, "seconds")],
)
def test_time_is_told_in_a_fitting_unit(end, unit):
    graph = nx.DiGraph(root=1, tenant=0, run="drawn")
    add_grant(graph, 1, None, 0, end)
    ax = draw_tree(graph)
    assert ax.get_xlabel().startswith(unit)
    assert ax.get_title(loc="left") == "one grant alone, 0 stopped, 0 decisions refused"


def test_it_draws_where_it_is_told_to():
    figure = Figure(figsize=(4, 3))
    ax = figure.subplots()
    assert draw_tree(large_tree(300), ax) is ax
    assert figure.get_size_inches().tolist() == [4, 3]


@pytest.mark.parametrize("count", [1, 20, 60, 500])
def test_no_two_bars_or_names_cover_each_other(count):
    graph = large_tree(count) if count > 1 else a_tree()
    deepest = max(
        (one for one in graph if graph.nodes[one]["kind"] == "grant"),
        key=lambda one: graph.nodes[one]["depth"],
    )
    ax = draw_tree(graph, attacked={deepest: "token_theft"})
    ax.figure.canvas.draw()
    boxes = np.array([patch.get_window_extent().extents for patch in drawn(ax)])
    assert len(boxes) == sum(kind == "grant" for _, kind in graph.nodes(data="kind"))
    assert not covering(boxes).any()
    # On a screen of 100 dots to the inch each bar is two dots high or more.
    assert (boxes[:, 3] - boxes[:, 1]).min() >= 2
    names = np.array([text.get_window_extent().extents for text in ax.texts])
    assert not covering(names).any()
    assert min(text.get_fontsize() for text in ax.texts) >= 7
    right = ax.figure.bbox.x1
    assert (names[:, 2] <= right).all()


def covering(boxes, least=0.3):
    """Pairs of boxes (x0, y0, x1, y1) that share more than a hairline of room."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low > least).all(axis=2)
    return shared & ~np.eye(len(boxes), dtype=bool)


def test_of_many_grants_those_that_matter_are_named():
    graph = large_tree(500)
    deepest = max(
        (one for one in graph if graph.nodes[one]["kind"] == "grant"),
        key=lambda one: graph.nodes[one]["depth"],
    )
    layout = lay_out(graph, {deepest: "token_theft"}, 640)
    named = {box.node for box in layout.boxes if box.labelled}
    assert {1, deepest, *nx.ancestors(graph, deepest)} <= named
    assert 4 in named  # The topmost that was stopped.
    assert len(named) < 40
    assert {box.height for box in layout.boxes if not box.labelled} == {THIN}
    # Everything is there, nothing folded, and no taller than a few screens.
    assert len(layout.boxes) == len(graph)
    assert layout.height < 2_000


def test_children_stand_below_their_parents():
    layout = lay_out(large_tree(200), {}, 640)
    for box in layout.boxes:
        if box.parent >= 0:
            above = layout.boxes[box.parent]
            assert above.depth == box.depth - 1
            assert above.top + above.height < box.top


def test_a_name_is_text_whatever_is_in_it():
    graph = a_tree()
    graph.nodes[1]["agent_name"] = "$\\frac{<script>"
    ax = draw_tree(graph)
    ax.figure.canvas.draw()
    assert texts(ax) == ["$\\frac{<script>"]


def test_a_tree_of_a_run_can_be_drawn(told_run):
    ax = draw_tree(tree_graph(told_run, pick_tree(told_run)))
    ax.figure.canvas.draw()
    assert any("stopped: incident" in text for text in texts(ax))
    assert any("scope exceeds parent" in text for text in texts(ax))
    assert len(marks(ax, "x")) == 4
