"""Who delegated to whom, as matrices that can be read."""

from __future__ import annotations

import pandas as pd

from agentsim.lineage import delegations_by_agent, delegations_by_role
from agentsim.reporting import words
from agentsim.reporting.charts import matrix
from agentsim.reporting.figures import Note, Picture, canvas
from agentsim.reporting.lineage.tables import Lineage

#: Columns beyond these are put together.
_MOST_COLUMNS = 12
_OTHERS = "all others"


def delegations(facts: Lineage, most_rows: int) -> list[Picture | Note]:
    """Role by role, and the agents that delegated most."""
    if not facts.deepest:
        return [Note("No grant was delegated in this run.")]
    return [by_role(facts, most_rows), by_agent(facts, most_rows)]


def by_role(facts: Lineage, most_rows: int) -> Picture:
    """How many grants each role passed on to each."""
    edges = delegations_by_role(facts.run)
    counts = _grid(edges, "giver", "taker", most_rows)
    total, top = int(edges["grants"].sum()), edges.iloc[0]
    own = int(edges.loc[edges["giver"] == edges["taker"], "grants"].sum())
    finding = (
        f"{words.percent(top['grants'] / total)} of the delegations go from {top['giver']} to {top['taker']}; "
        f"{words.percent(own / total)} stay within a role"
    )
    return _picture(counts, ("role that received", "role that delegated"), finding, _named(edges, total))


def by_agent(facts: Lineage, most_rows: int) -> Picture:
    """The agents that passed on most, to which agents; or to which roles where no pair of agents met twice."""
    edges = delegations_by_agent(facts.run)
    givers, repeated = edges["giver"].nunique(), int((edges["grants"] > 1).sum())
    # Two agents of one name are still two.
    edges["from"] = _told_apart(edges, "giver")
    edges["to"] = _told_apart(edges, "taker") if repeated else edges["taker_role"]
    counts = _grid(edges, "from", "to", most_rows)
    total = int(edges["grants"].sum())
    most = edges.groupby("from")["grants"].sum()
    first, again = (
        f"{most.idxmax()} delegated most, {words.plural(int(most.max()), 'grant')} of {words.count(total)}",
        "",
    )
    if repeated:
        top = edges.iloc[0]
        again = f"; the closest pair is {top['from']} and {top['to']} with {words.plural(int(top['grants']), 'grant')}"
    else:
        again = "; no agent delegated twice to the same one, so roles are shown"
    shown = edges.groupby(["from", "to"], sort=False)["grants"].sum().reset_index()
    shown = (
        shown[shown["from"].isin(counts.index)]
        .sort_values("grants", ascending=False, kind="stable")
        .head(100)
    )
    table = shown.rename(columns={"from": "delegated by", "to": "to"}).assign(
        share=100 * shown["grants"] / total
    )
    return _picture(
        counts,
        (
            "agent that received" if repeated else "role that received",
            f"agent that delegated ({len(counts)} of {words.count(givers)})",
        ),
        first + again,
        table.rename(columns={"share": "share (%)"}),
    )


def _told_apart(edges: pd.DataFrame, side: str) -> pd.Series[str]:
    """Names; where several agents have the same, with their owner, and where that is the same, too, with the id."""
    names = edges[f"{side}_name"].astype(str)
    for more in (edges[f"{side}_owner"].astype(str), edges[side].astype(str)):
        several = edges[side].groupby(names).transform("nunique") > 1
        names = names.where(~several, names + " (" + more + ")")
    return names


def _grid(edges: pd.DataFrame, giver: str, taker: str, most_rows: int) -> pd.DataFrame:
    """Counts of the givers who gave most, the busiest first; takers without a column stand under :data:`_OTHERS`."""
    rows = _busiest(edges, giver)[:most_rows]
    shown = edges[edges[giver].isin(rows)]
    columns = _busiest(shown, taker)
    if len(columns) > _MOST_COLUMNS:
        columns = [*columns[: _MOST_COLUMNS - 1], _OTHERS]
        shown = shown.assign(**{taker: shown[taker].where(shown[taker].isin(columns), _OTHERS)})
    counts = shown.pivot_table("grants", giver, taker, aggfunc="sum", fill_value=0)
    return counts.loc[rows, columns].astype("int64")


def _busiest(edges: pd.DataFrame, name: str) -> list[str]:
    sums = edges.groupby(name)["grants"].sum().reset_index()
    return list(sums.sort_values(["grants", name], ascending=[False, True])[name])


def _picture(counts: pd.DataFrame, axis: tuple[str, str], finding: str, table: pd.DataFrame) -> Picture:
    with canvas(1.75 + 0.3 * max(2, len(counts))) as (figure, axes):
        matrix(axes, list(counts.index), list(counts.columns), counts.to_numpy())
        axes.set_xlabel(axis[0])
        axes.set_ylabel(axis[1])
    cells = [(int(counts[column][row]), row, column) for row in counts.index for column in counts]
    most = sorted(cells, key=lambda cell: -cell[0])[:5]
    told = [f"{giver} to {taker} {words.count(count)}" for count, giver, taker in most if count]
    alt = f"Matrix of delegated grants, {axis[1]} by {axis[0]}; the most: {'; '.join(told)}."
    return Picture(figure, finding, alt, table)


def _named(edges: pd.DataFrame, total: int) -> pd.DataFrame:
    return edges.assign(share=100 * edges["grants"] / total).rename(
        columns={"giver": "delegated by", "taker": "to", "share": "share (%)"}
    )
