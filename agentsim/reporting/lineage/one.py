"""One lineage tree: found by a task or a grant, as a picture, and as rows that can be folded and searched."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx
import pandas as pd

from agentsim.lineage import find_root, pick_tree, tree_graph
from agentsim.lineage.bars import Bar
from agentsim.lineage.drawing import draw_layout, inches_of, points_of, told
from agentsim.lineage.layout import lay_out
from agentsim.reporting import words
from agentsim.reporting.errors import ReportError
from agentsim.reporting.figures import WIDTH, Note, Picture, canvas
from agentsim.reporting.interactive import Interactive
from agentsim.reporting.lineage.tables import Lineage
from agentsim.reporting.lineage.view import tree_view

#: A tree with more grants than this is not chosen unasked; one that is asked for may have so many.
MOST_CHOSEN, MOST_SHOWN = 500, 2_000


def one_tree(facts: Lineage, tree: str) -> list[Picture | Interactive | Note]:
    """A tree as a picture and as rows.

    Parameters
    ----------
    tree : a task or a grant in it; empty for the most telling tree.
    """
    if not len(facts.forest):
        return [Note("No grant was issued in this run.")]
    return show_tree(tree_graph(facts.run, find_tree(facts, tree)), facts.attacked)


def show_tree(graph: nx.DiGraph[int], attacked: Mapping[int, str]) -> list[Picture | Interactive | Note]:
    """A tree at a glance, and its grants one by one."""
    return [tree_picture(graph, attacked), tree_view(graph, attacked)]


def find_tree(facts: Lineage, tree: str) -> int:
    """The root of the tree in which a task or a grant is; without one, the largest that tells most.

    That is one in which an attack was, by the labels; else one in which something was refused or stopped.

    Raises
    ------
    RunError
        If there is no such task or grant, or the task is in several trees.
    ReportError
        If the tree is too large to be shown.
    """
    if tree:
        root = find_root(facts.run, tree)
        size = int(facts.forest.size[facts.forest.index_of(root)])
        if size > MOST_SHOWN:
            raise ReportError(
                f"the tree of {tree!r} has {size:,} grants; at most {MOST_SHOWN:,} can be shown"
            )
        return root
    forest = facts.forest
    attacked = {int(forest.grant_id[forest.root[forest.index_of(grant)]]) for grant in facts.attacked}
    telling = facts.trees[facts.trees["root_grant_id"].isin(attacked) & (facts.trees["size"] <= MOST_CHOSEN)]
    return pick_tree(facts.run, most=MOST_CHOSEN, metrics=facts.trees if telling.empty else telling)


def tree_picture(graph: nx.DiGraph[int], attacked: Mapping[int, str]) -> Picture:
    """A tree with time across and depth down, its figures by depth beneath."""
    layout = lay_out(graph, attacked, points_of(WIDTH))
    with canvas(inches_of(layout)) as (figure, axes):
        draw_layout(layout, axes)
        # What the drawing calls itself stands above it, as with every other picture.
        axes.set_title("", loc="left")
    root = graph.nodes[graph.graph["root"]]
    hit = [box for box in layout.boxes if box.attacked]
    finding = f"One lineage tree: {told(layout)}"
    if hit:
        kinds = ", ".join(sorted({attacked[box.node].replace("_", " ") for box in hit}))
        finding += f"; labels call {words.plural(len(hit), 'grant')} attacked ({kinds})"
    alt = (
        f"Drawing of the lineage tree below {root['agent_name']} ({root['role']}), time across, depth down. {finding}."
        + (
            f" The attack is at {', '.join(box.name for box in hit[:3])}, depth {hit[0].depth}."
            if hit
            else ""
        )
    )
    return Picture(figure, finding, alt, _by_depth(graph, attacked))


def _by_depth(graph: nx.DiGraph[int], attacked: Mapping[int, str]) -> pd.DataFrame:
    rows = []
    for node, grant in graph.nodes(data=True):
        made = grant["kind"] == "grant"
        rows.append(
            {
                "depth": int(grant["depth"]),
                "grants": int(made),
                "stopped": int(made and Bar.of(grant).stopped),
                "refused": len(grant["refusals"]) if made else 1,
                "attacked (labels)": int(node in attacked),
            }
        )
    return pd.DataFrame(rows).groupby("depth", as_index=False).sum()
