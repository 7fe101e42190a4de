"""Pictures of what a Run did: refusals, lineage trees, revocations."""

from __future__ import annotations

import pandas as pd

from agentsim.lineage import attacked_grants, pick_tree, tree_graph
from agentsim.lineage.bars import COMPLETED
from agentsim.palette import ALARM, PALE
from agentsim.reporting import words
from agentsim.reporting.charts import bar_places, bars, by_size, pairs, whole
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.reporting.interactive import Interactive
from agentsim.reporting.lineage.one import show_tree
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
        whole(axes.xaxis)
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


def marks(scale: Scale) -> Picture | Note:
    """How many grants each revocation ended; completed tasks are told apart."""
    every = scale.marks
    frame = every[every["reason"] != COMPLETED]
    done = every[every["reason"] == COMPLETED]
    completed = f"{words.plural(len(done), 'completed task')} ended {words.plural(int(done['grants'].sum()), 'grant')}"
    if frame.empty:
        return Note(f"Nothing was revoked in this run; {completed}.")
    labels, counts = by_size(frame["grants"].to_numpy())
    notes = [f"{words.count(count)} · {words.percent(count / len(frame))}" for count in counts]
    with canvas(0.9 + 0.3 * max(2, len(labels))) as (figure, axes):
        bars(axes, labels, counts, notes)
        axes.set_ylabel("grants ended")
        axes.set_xlabel("revocations")
        whole(axes.xaxis)
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


def tree(scale: Scale, grants: int) -> list[Picture | Interactive | Note]:
    """The largest eventful tree of at most so many grants."""
    if not scale.summary.grants:
        return [Note("No grant was issued in this run.")]
    root = pick_tree(scale.run, most=grants)
    return show_tree(tree_graph(scale.run, root), attacked_grants(scale.run))
