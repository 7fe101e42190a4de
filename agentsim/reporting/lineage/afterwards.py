"""Pictures of where revocations went, and of what was tried and honoured after them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.palette import ALARM, INK, MAIN, SOFT
from agentsim.reporting import words
from agentsim.reporting.charts import bars, pairs, thousands, whole
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.reporting.lineage.tables import Lineage

#: Steps of the time after a mark: what they are called, and where they end in microseconds.
_STEPS = (
    ("within 1 s", 1e6),
    ("1–10 s", 1e7),
    ("10–60 s", 6e7),
    ("1–10 min", 6e8),
    ("later", np.inf),
)
_NEVER = "never"
#: Grants up to which both axes are linear.
_MOST_LINEAR = 20


def afterwards(facts: Lineage) -> list[Picture | Note]:
    """Which trees were hit, who went on trying, and what resource servers let through."""
    if facts.revocations.empty:
        completed = words.plural(len(facts.ends), "completed task")
        return [Note(f"Nothing was revoked in this run; {completed} ended what they had delegated.")]
    return [reached(facts), tried(facts), exposed(facts)]


def reached(facts: Lineage) -> Picture | Note:
    """How many grants each revocation ended, and how large the trees were that it hit."""
    told = facts.revocations[facts.revocations["grants"] > 0]
    if told.empty:
        return Note("No revocation ended a grant: what they named had ended before.")
    points = told.groupby(["tree_grants", "grants"]).size().reset_index(name="times")
    with canvas(3.4) as (figure, axes):
        most = int(told["tree_grants"].max())
        axes.plot([1, most], [1, most], color=SOFT, linewidth=1, linestyle=":")
        axes.text(most, most, "the whole tree ", ha="right", va="bottom", fontsize=8.5, color=SOFT)
        axes.scatter(
            points["tree_grants"], points["grants"], s=45 * np.sqrt(points["times"]), color=MAIN, alpha=0.85
        )
        for row in points[points["times"] > 1].itertuples():
            axes.annotate(
                f"{row.times:,} times",
                (row.tree_grants, row.grants),
                xytext=(7, -3),
                textcoords="offset points",
                fontsize=8.5,
                color=INK,
            )
        if most > _MOST_LINEAR:
            axes.set_xscale("log")
            axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            (thousands if most > _MOST_LINEAR else whole)(axis)
        axes.margins(0.08)
        axes.set_xlabel("grants in the trees that it hit")
        axes.set_ylabel("grants ended by one revocation")
    ended, around = int(told["grants"].sum()), int(told["tree_grants"].sum())
    trees = words.plural(int(told["trees"].sum()), "tree")
    finding = (
        f"{words.plural(len(told), 'revocation')} hit {trees} and ended {words.percent(ended / around)} of the grants in them, "
        f"up to {words.count(int(told['grants'].max()))} at once"
    )
    alt = f"Dots, one for each revocation: grants ended against grants in the trees that were hit. {finding}."
    return Picture(figure, finding, alt, _by_reason(facts.revocations))


def tried(facts: Lineage) -> Picture | Note:
    """When what had been revoked was last used, and with what answer."""
    told = facts.revocations
    uses, honoured = int(told[["refused", "honoured"]].to_numpy().sum()), int(told["honoured"].sum())
    labels, counts = _in_steps(told["last_use"])
    notes = [words.plural(count, "revocation") for count in counts]
    with canvas(0.9 + 0.3 * len(labels)) as (figure, axes):
        bars(axes, labels, counts, notes, ALARM if honoured else MAIN)
        axes.set_ylabel("last use after\nthe revocation")
        axes.set_xlabel("revocations")
        whole(axes.xaxis)
    if not uses:
        finding = "Nobody tried to use what had been revoked"
    else:
        went_on = int(told["last_use"].notna().sum())
        late = words.duration(float(told["last_use"].max()))
        answer = f"{words.count(honoured)} were honoured" if honoured else "none was honoured"
        finding = (
            f"After {words.count(went_on)} of {words.plural(len(told), 'revocation')} somebody went on trying, for up to {late}; "
            f"of {words.plural(uses, 'use')} {answer} by the token server"
        )
    alt = f"Bars of revocations by the time until the last use of what they ended: {'; '.join(pairs(labels, notes))}. {finding}."
    return Picture(figure, finding, alt, pd.DataFrame({"last use": labels, "revocations": counts}))


def exposed(facts: Lineage) -> Picture | Note:
    """How long resource servers that decide by themselves honoured what had been revoked."""
    told = facts.revocations
    calls = int(told["exposed"].sum())
    if not calls:
        return Note("No resource server in this run honoured a call after a revocation.")
    labels, counts = _in_steps(told["last_exposed"])
    notes = [words.plural(count, "revocation") for count in counts]
    with canvas(0.9 + 0.3 * len(labels)) as (figure, axes):
        bars(axes, labels, counts, notes, ALARM)
        axes.set_ylabel("last call honoured after\nthe revocation")
        axes.set_xlabel("revocations")
        whole(axes.xaxis)
    hit = int((told["exposed"] > 0).sum())
    finding = (
        f"Resource servers honoured {words.plural(calls, 'call')} after {words.count(hit)} of "
        f"{words.plural(len(told), 'revocation')}, the last one {words.duration(facts.longest_exposure)} late"
    )
    alt = f"Bars of revocations by the time until the last call that was honoured: {'; '.join(pairs(labels, notes))}. {finding}."
    return Picture(figure, finding, alt, pd.DataFrame({"last call honoured": labels, "revocations": counts}))


def _in_steps(times: pd.Series[float]) -> tuple[list[str], list[int]]:
    """Count times in steps; those that are NaN never came. Steps beyond the last that is used are left out."""
    ends = np.array([end for _, end in _STEPS])
    place = np.searchsorted(ends, times.dropna().to_numpy())
    counts = np.bincount(place, minlength=len(ends)).tolist()
    used = max((number + 1 for number, count in enumerate(counts) if count), default=0)
    names = [name for name, _ in _STEPS[:used]]
    return [_NEVER, *names], [int(times.isna().sum()), *counts[:used]]


def _by_reason(told: pd.DataFrame) -> pd.DataFrame:
    by = told.groupby(["reason", "kind"])
    frame = pd.DataFrame(
        {
            "revocations": by.size(),
            "trees hit": by["trees"].sum(),
            "grants ended": by["grants"].sum(),
            "most at once": by["grants"].max(),
            "deepest (levels)": by["levels"].max(),
            "refused after": by["refused"].sum(),
            "honoured after": by["honoured"].sum(),
            "last use after (s)": by["last_use"].max() / 1e6,
        }
    ).reset_index()
    frame["reason"] = frame["reason"].str.replace("_", " ")
    frame["kind"] = frame["kind"].str.replace("_", " ")
    return frame.sort_values("revocations", ascending=False).rename(
        columns={"reason": "why", "kind": "what was named"}
    )
