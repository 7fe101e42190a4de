"""Pictures of what a Run did: refusals, lineage trees, revocations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from agentsim.lineage import pick_tree, tree_graph
from agentsim.reporting import words
from agentsim.reporting.figures import (
    ALARM,
    KINDS,
    PALE,
    Note,
    Picture,
    bar_places,
    bars,
    canvas,
    clock,
    pairs,
    thousands,
)
from agentsim.reporting.scale.tables import Scale

_MARKS = {
    "grant": "a grant and all below it",
    "grant_only": "one grant alone",
    "task": "a task",
    "client": "an agent",
    "principal": "a principal",
}


def refusals(scale: Scale) -> Picture | Note:
    """Refusals by reason, those of simulated attackers apart."""
    told = scale.refusals
    shown = told.head(12)
    if told.empty:
        return Note("Nothing was refused.")
    total, attackers = int(told["count"].sum()), int(told["by_attackers"].sum())
    with canvas(1.1 + 0.3 * max(2, len(shown))) as (figure, axes):
        places = bar_places(len(shown))
        bars(
            axes,
            list(shown["reason"]),
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
        finding = f"{share} of the operations were refused, most often: {shown['reason'].iloc[0]}"
    listed = pairs(list(shown["reason"]), [words.count(count) for count in shown["count"]])
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
    edges = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000, 100_000, 10**9]
    edges = [edge for place, edge in enumerate(edges) if place == 0 or edges[place - 1] <= largest]
    counts, _ = np.histogram(sizes, edges)
    labels = [_span(low, high - 1, largest) for low, high in pairwise(edges)]
    share = counts / counts.sum()
    notes = [
        f"{words.count(count)} · {words.percent(part)}" for count, part in zip(counts, share, strict=True)
    ]
    with canvas(0.9 + 0.3 * max(2, len(labels))) as (figure, axes):
        bars(axes, labels, list(counts), notes)
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
    """How many grants each mark ended, and when."""
    frame = scale.marks
    if frame.empty:
        return Note("Nothing was revoked in this run.")
    unit, name = clock(scale.windows["start"].to_numpy())
    kinds = list(frame["kind"].value_counts().index)
    with canvas(3.0) as (figure, axes):
        for kind, (color, marker) in zip(kinds, KINDS, strict=False):
            chosen = frame[frame["kind"] == kind]
            label = f"{_MARKS.get(kind, kind)} ({words.count(len(chosen))})"
            axes.plot(
                chosen["at"] / unit,
                chosen["grants"],
                marker,
                color=color,
                markersize=4.5,
                alpha=0.75,
                label=label,
            )
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0)
        thousands(axes.yaxis)
        axes.set_xlabel(f"simulated time ({name})")
        axes.set_ylabel("grants ended by the mark")
        axes.legend(loc="upper left", bbox_to_anchor=(0, 1.18), ncols=3, fontsize=8.5, handletextpad=0.2)
    ended, most = int(frame["grants"].sum()), int(frame["grants"].max())
    finding = f"{words.plural(len(frame), 'revocation')} ended {words.plural(ended, 'grant')}, one of them {words.count(most)} at once"
    alt = f"A dot for each revocation over simulated time, at the number of grants that it ended; at most {most}, {ended} in all."
    table = (
        frame.groupby("kind")
        .agg(
            revocations=("grants", "size"),
            grants=("grants", "sum"),
            most=("grants", "max"),
            tokens=("tokens", "sum"),
            lag=("lag_us", "median"),
            longest=("lag_us", "max"),
        )
        .assign(lag=lambda rows: rows["lag"] / 1e6, longest=lambda rows: rows["longest"] / 1e6)
        .reset_index()
        .rename(
            columns={
                "kind": "what was revoked",
                "grants": "grants ended",
                "most": "most at once",
                "tokens": "tokens ended",
                "lag": "rows filled in after (s, median)",
                "longest": "longest (s)",
            }
        )
    )
    table["what was revoked"] = [_MARKS.get(kind, kind) for kind in table["what was revoked"]]
    return Picture(figure, finding, alt, table)


def tree(scale: Scale, grants: int) -> Picture:
    """The largest eventful tree of at most so many grants, drawn."""
    from agentsim.lineage import draw_tree

    graph = tree_graph(scale.run, pick_tree(scale.run, most=grants))
    nodes = pd.DataFrame([data for _, data in graph.nodes(data=True)])
    made = nodes[nodes["kind"] == "grant"]
    revoked, attempts = int(made["revoked"].sum()), int((nodes["kind"] == "attempt").sum())
    depth = int(made["depth"].max())
    with canvas(5.2) as (figure, axes):
        draw_tree(graph, axes)
        axes.set_title("")
    finding = (
        f"One tree: {words.plural(len(made), 'grant')} down to depth {depth}, {words.count(revoked)} revoked, "
        f"{words.plural(attempts, 'request')} for a child refused"
    )
    root = made.iloc[0]
    alt = f"Drawing of the lineage tree below {root['agent_name']} ({root['role']}). {finding}."
    table = pd.DataFrame(
        {
            "agent": made["agent_name"],
            "role": made["role"],
            "depth": made["depth"].astype(int),
            "task": made["task_id"],
            "scope": made["scope"],
            "revoked": made["revoked"].map({True: "yes", False: ""}),
            "refusals": made["refused"].astype(int),
        }
    )
    return Picture(figure, finding, alt, table)


def _span(low: int, high: int, largest: int) -> str:
    high = min(high, largest)
    return words.count(low) if high <= low else f"{words.count(low)}–{words.count(high)}"
