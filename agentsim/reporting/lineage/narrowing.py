"""Pictures of how scopes narrow on their way down, and how much of them is used."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from agentsim.palette import ACCENT
from agentsim.reporting import words
from agentsim.reporting.charts import dots
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.reporting.lineage.tables import Lineage

_QUARTERS = {
    "low": "lowest quarter below (%)",
    "median": "median (%)",
    "high": "highest quarter above (%)",
}


def narrowing(facts: Lineage) -> list[Picture | Note]:
    """What children are given, and what of it is used."""
    return [kept(facts), used(facts)]


def kept(facts: Lineage) -> Picture | Note:
    """The share of its parent's scope that a child holds, by depth."""
    children = facts.children
    if children.empty:
        return Note("No grant was delegated, so no scope was narrowed.")
    table = _spread(children, "kept")
    table["same"] = children["kept"].ge(1).groupby(children["depth"]).mean().to_numpy()
    notes = [
        f"{words.plural(grants, 'grant')}, {words.percent(same)} hold the same"
        for grants, same in zip(table["grants"], table["same"], strict=True)
    ]
    labels = [str(depth) for depth in table["depth"]]
    across = "share of the parent's scope that the child holds (%)"
    figure = _dots(table, labels, notes, across, "depth of the child")
    mean, same = float(children["kept"].mean()), float(children["kept"].ge(1).mean())
    finding = (
        f"A child gets {words.percent(mean)} of its parent's scope on average; "
        f"{words.percent(same)} of the children hold as much as their parent"
    )
    told = _means(table, [f"depth {label}" for label in labels])
    alt = f"Dots of the share of its parent's scope that a child holds. {told}. {finding}."
    named = {"grants": "delegated grants", "mean": "kept (%, mean)", "same": "same as parent (%)"}
    shown = table.assign(same=100 * table["same"]).rename(columns=_QUARTERS | named)
    return Picture(figure, finding, alt, shown)


def used(facts: Lineage) -> Picture | Note:
    """The share of its scope that a grant ever used, by depth."""
    grants = facts.grants[facts.grants["held"] > 0]
    if grants.empty or not grants["used"].any():
        return Note("No use was verified in this run, so nothing can be said of unused scope.")
    grants = grants.assign(share=grants["used"] / grants["held"])
    table = _spread(grants, "share")
    table["never"] = grants["used"].eq(0).groupby(grants["depth"]).mean().to_numpy()
    labels = ["root" if depth == 0 else str(depth) for depth in table["depth"]]
    notes = [
        f"{words.plural(count, 'grant')}, {words.percent(never)} never used"
        for count, never in zip(table["grants"], table["never"], strict=True)
    ]
    across = "share of its scope that a grant used (%)"
    figure = _dots(table, labels, notes, across, "depth of the grant", ACCENT, "s")
    unused = 1 - float(grants["used"].sum() / grants["held"].sum())
    finding = f"{words.percent(unused)} of all that was granted was never used"
    told = _means(table, labels, " used")
    alt = f"Dots of the share of its scope that a grant used, by depth. {told}. {finding}."
    named = {"mean": "used (%, mean)", "never": "never used at all (%)"}
    shown = table.assign(never=100 * table["never"]).rename(columns=_QUARTERS | named)
    return Picture(figure, finding, alt, shown)


def _spread(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Per depth: ``grants``, and of a share in per cent the ``mean``, quartiles ``low`` and ``high``, ``median``."""
    by_depth = (100 * frame[name]).groupby(frame["depth"])
    return pd.DataFrame(
        {
            "grants": by_depth.size(),
            "mean": by_depth.mean(),
            "low": by_depth.quantile(0.25),
            "median": by_depth.median(),
            "high": by_depth.quantile(0.75),
        }
    ).reset_index()


def _dots(
    table: pd.DataFrame, labels: list[str], notes: list[str], across: str, down: str, *style: str
) -> Figure:
    """Mean and middle half of a share by depth; ``style`` is a colour and a mark."""
    estimates = list(table[["mean", "low", "high"]].itertuples(index=False, name=None))
    with canvas(0.9 + 0.36 * max(2, len(labels))) as (figure, axes):
        dots(axes, labels, estimates, notes, *style)
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"{across}\nmean, and the middle half of the grants")
        axes.set_ylabel(down)
    return figure


def _means(table: pd.DataFrame, labels: list[str], of: str = "") -> str:
    """The same in words."""
    pairs = zip(labels, table["mean"], strict=True)
    return "; ".join(f"{label}: {words.percent(mean / 100)}{of}" for label, mean in pairs)
