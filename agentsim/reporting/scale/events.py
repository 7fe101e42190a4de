"""Pictures of what a Run did: refusals, lineage trees, revocations."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.lineage import draw_tree, pick_tree, tree_graph
from agentsim.palette import ALARM, PALE
from agentsim.reporting import words
from agentsim.reporting.charts import bar_places, bars, pairs, thousands
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.reporting.scale.tables import COMPLETED, Scale

#: Inches for one row of a drawn tree, and rows from which on the drawing folds some.
_ROW, _MOST_ROWS = 0.19, 90
_MARKS = {
    "grant": "a grant and all below it",
    "grant_only": "one grant alone",
    "task": "a task",
    "client": "an agent",
    "principal": "a principal",
}
#: Where the steps of a size begin.
_EDGES = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000)


def refusals(scale: Scale) -> Picture | Note:
    """Refusals by reason, those of simulated attackers apart."""
    told = scale.refusals
    shown = told.head(12)
    reasons = [reason.replace("_", " ") for reason in shown["reason"]]
    if told.empty:
        return Note("Nothing was refused.")
    total, attackers = int(told["count"].sum()), int(told["by_attackers"].sum())
    with canvas(1.1 + 0.3 * max(2, len(shown))) as (figure, axes):
        places = bar_places(len(shown))
        bars(
            axes,
            reasons,
            list(shown["count"]),
            [words.count(count) for count in shown["count"]],
            PALE,
        )
        axes.barh(places, shown["by_attackers"], color=ALARM, height=0.66)
        axes.set_xlabel("refused operations" + (" (dark: asked by attackers)" if attackers else ""))
        thousands(axes.xaxis)
    share = words.percent(total / max(1, scale.summary.operations))
    if attackers:
        finding = f"{share} of the operations were refused, {words.percent(attackers / total)} of these to attackers"
    else:
        finding = f"{share} of the operations were refused, most often: {reasons[0]}"
    listed = pairs(reasons, [words.count(count) for count in shown["count"]])
    alt = f"Bars of refusals by reason: {', '.join(listed[:6])}."
    table = told.rename(
        columns={"asked": "decision", "count": "refused", "by_attackers": "of these to attackers"}
    )
    return Picture(figure, finding, alt, table)


def tree_sizes(scale: Scale) -> Picture | Note:
    """How many trees have how many grants."""
    sizes = scale.trees["size"]
    if sizes.empty:
        return Note("No grant was issued in this run.")
    largest = int(sizes.max())
    labels, counts = by_size(sizes)
    share = np.array(counts) / len(sizes)
    notes = [
        f"{words.count(count)} · {words.percent(part)}" for count, part in zip(counts, share, strict=True)
    ]
    with canvas(0.9 + 0.3 * max(2, len(labels))) as (figure, axes):
        bars(axes, labels, counts, notes)
        axes.set_ylabel("grants per tree")
        axes.set_xlabel("lineage trees")
        thousands(axes.xaxis)
    single = words.percent(float(share[0]))
    mean = words.number(float(sizes.mean()))
    finding = f"{single} of the {words.count(len(sizes))} lineage trees are one grant; the largest has {words.count(largest)}"
    alt = f"Bars of lineage trees by size. Mean {mean} grants; {'; '.join(pairs(labels, notes))}."
    table = pd.DataFrame({"grants in the tree": labels, "trees": counts, "share (%)": 100 * share})
    return Picture(figure, finding, alt, table)


def depths(scale: Scale) -> Picture | Note:
    """How many grants lie how deep."""
    levels = scale.levels
    deepest = int(levels["depth"].max()) if len(levels) else 0
    if not deepest:
        return Note("No grant was delegated: every one is a root.")
    total = int(levels["grants"].sum())
    notes = [f"{words.count(grants)} · {words.percent(grants / total)}" for grants in levels["grants"]]
    labels = ["root" if depth == 0 else str(depth) for depth in levels["depth"]]
    with canvas(0.9 + 0.3 * len(labels)) as (figure, axes):
        bars(axes, labels, list(levels["grants"]), notes)
        axes.set_ylabel("depth")
        axes.set_xlabel("grants")
        thousands(axes.xaxis)
    below = words.percent(1 - levels["grants"].iloc[0] / total)
    finding = f"{below} of the grants were delegated by another agent, down to depth {deepest}"
    alt = f"Bars of grants by depth: {'; '.join(pairs(labels, notes))}."
    table = pd.DataFrame(
        {
            "depth": levels["depth"],
            "grants": levels["grants"],
            "share (%)": 100 * levels["grants"] / total,
        }
    )
    return Picture(figure, finding, alt, table)


def marks(scale: Scale) -> Picture | Note:
    """How many grants each revocation ended; completed tasks are told apart."""
    every = scale.marks
    frame = every[every["reason"] != COMPLETED]
    done = every[every["reason"] == COMPLETED]
    completed = f"{words.plural(len(done), 'completed task')} ended {words.plural(int(done['grants'].sum()), 'grant')}"
    if frame.empty:
        return Note(f"Nothing was revoked in this run; {completed}.")
    labels, counts = by_size(frame["grants"])
    notes = [f"{words.count(count)} · {words.percent(count / len(frame))}" for count in counts]
    with canvas(0.9 + 0.3 * max(2, len(labels))) as (figure, axes):
        bars(axes, labels, counts, notes)
        axes.set_ylabel("grants ended")
        axes.set_xlabel("revocations")
        thousands(axes.xaxis)
    ended, most = int(frame["grants"].sum()), int(frame["grants"].max())
    finding = (
        f"{words.plural(len(frame), 'revocation')} ended {words.plural(ended, 'grant')}, up to {words.count(most)} at once"
        + (f"; {completed}" if len(done) else "")
    )
    alt = f"Bars of revocations by the number of grants that each ended: {'; '.join(pairs(labels, notes))}."
    return Picture(figure, finding, alt, _marks_by_reason(every))


def _marks_by_reason(frame: pd.DataFrame) -> pd.DataFrame:
    """Marks by what they name and why, the commonest first."""
    rows = []
    for (kind, reason), of_kind in frame.groupby(["kind", "reason"]):
        seconds = of_kind["lag_us"] / 1e6
        rows.append(
            {
                "what was ended": _MARKS.get(str(kind), str(kind)),
                "why": str(reason).replace("_", " "),
                "times": len(of_kind),
                "grants": of_kind["grants"].sum(),
                "most at once": of_kind["grants"].max(),
                "tokens": of_kind["tokens"].sum(),
                "rows filled in after (s, median)": seconds.median(),
                "longest (s)": seconds.max(),
            }
        )
    return pd.DataFrame(rows).sort_values("times", ascending=False)


def tree(scale: Scale, grants: int) -> Picture | Note:
    """The largest eventful tree of at most so many grants, drawn."""
    if not scale.summary.grants:
        return Note("No grant was issued in this run.")
    graph = tree_graph(scale.run, pick_tree(scale.run, most=grants))
    nodes = pd.DataFrame([data for _, data in graph.nodes(data=True)])
    made = nodes[nodes["kind"] == "grant"]
    with canvas(1.4 + _ROW * min(len(nodes), _MOST_ROWS)) as (figure, axes):
        draw_tree(graph, axes)
        # What the drawing calls itself stands above it, as with every other picture.
        told = axes.get_title(loc="left")
        axes.set_title("", loc="left")
    finding = f"One lineage tree: {told}"
    root = made.iloc[0]
    alt = f"Drawing of the lineage tree below {root['agent_name']} ({root['role']}). {finding}."
    table = pd.DataFrame(
        {
            "agent": made["agent_name"],
            "role": made["role"],
            "depth": made["depth"].astype(int),
            "task": made["task_id"],
            "scope": made["scope"],
            "ended": made["reason"].fillna("").str.replace("_", " "),
            "refusals": made["refused"].astype(int),
        }
    )
    return Picture(figure, finding, alt, table)


def by_size(sizes: pd.Series[int]) -> tuple[list[str], list[int]]:
    """Count sizes in steps that grow with them: what the steps are called, and how many sizes lie in each."""
    largest = int(sizes.max())
    edges = [edge for edge in _EDGES if min(int(sizes.min()), 1) <= edge <= largest]
    counts, _ = np.histogram(sizes, [*edges, largest + 1])
    ends = [*(edge - 1 for edge in edges[1:]), largest]
    return [_span(low, high) for low, high in zip(edges, ends, strict=True)], [int(count) for count in counts]


def _span(low: int, high: int) -> str:
    return words.count(low) if high <= low else f"{words.count(low)}–{words.count(high)}"
