"""What came after each revocation: which trees it hit, who tried to go on, and what was still honoured."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentsim.lineage.forest import Forest, find
from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.marks import ISSUING, ended_by
from agentsim.run import Run

_COLUMNS = ["log_id", "grant_id", "timestamp", "status", "reason"]
#: The replay of a refresh token that brings a mark about: answered after it, but no use of what it had ended.
_CAUSE = "refresh_reused"


def aftermath(run: Run, forest: Forest | None = None) -> pd.DataFrame:
    """What each mark ended, and what was asked of that afterwards.

    A grant that several marks end is ended by the first. Uses are verifications, refreshes and requests for a child.

    Parameters
    ----------
    run : any Run.
    forest : its forest, where the caller has it already.

    Returns
    -------
    DataFrame with one row per mark, by ``revocation_id``, and the columns

    - ``revocation_id``, ``tenant``, ``kind``, ``reason``, ``at`` (microseconds)
    - ``grants`` that it ended, and ``trees`` that they stand in; ``tree_grants``: all grants of these trees
    - ``levels``: edges from the topmost to the deepest grant that it ended; 0 where it ended none or one
    - ``refused``, ``honoured``: uses of these grants after the mark, by the token server's answer
    - ``last_use``: microseconds from the mark to the last of both, NaN without any
    - ``exposed``: calls that resource servers which did not ask let through; ``last_exposed``, microseconds from the
      mark to the last of them, NaN without any

    Raises
    ------
    RunError
        If a table cannot be read.
    """
    forest = Forest.from_run(run) if forest is None else forest
    marks = run.sql("""
        SELECT r.revocation_id, r.tenant, r.kind::VARCHAR AS kind, r.reason::VARCHAR AS reason, r.revoked_at AS at,
               coalesce(e.honoured, 0)::BIGINT AS exposed, e.last::DOUBLE AS last_exposed
        FROM revocations AS r LEFT JOIN (
            SELECT tenant, revocation_id, sum(honoured) AS honoured, max(last_us) AS last FROM exposures GROUP BY ALL
        ) AS e USING (tenant, revocation_id)
        ORDER BY r.revocation_id
    """).set_index("revocation_id")
    if marks.empty:
        nothing = ("grants", "trees", "tree_grants", "levels", "refused", "honoured", "last_use")
        return marks.assign(**dict.fromkeys(nothing, 0)).reset_index()
    evidence = Evidence(run)
    ended = ended_by(evidence).groupby("row")["revocation_id"].min()
    mark_of = pd.Series(ended.to_numpy(), index=evidence.tokens.ids[ended.index.to_numpy()], dtype=np.int64)
    mark_of = mark_of.sort_index()
    told = marks.join(_extent(forest, mark_of)).join(_uses(evidence, marks["at"], mark_of))
    counts = ["grants", "trees", "tree_grants", "levels", "refused", "honoured"]
    return told.fillna(dict.fromkeys(counts, 0)).astype(dict.fromkeys(counts, "int64")).reset_index()


def _extent(forest: Forest, mark_of: pd.Series[int]) -> pd.DataFrame:
    """Per mark: how many grants it ended, in how many trees of which size, over how many levels."""
    at = find(forest.grant_id, mark_of.index.to_numpy(np.int64))
    ended = pd.DataFrame({"mark": mark_of.to_numpy(), "root": forest.root[at], "depth": forest.depth[at]})
    by_mark = ended.groupby("mark")
    hit = ended.drop_duplicates(["mark", "root"])
    sizes = pd.Series(forest.size[hit["root"].to_numpy()], index=hit["mark"].to_numpy(), dtype=np.int64)
    return pd.DataFrame(
        {
            "grants": by_mark.size(),
            "trees": by_mark["root"].nunique(),
            "tree_grants": sizes.groupby(level=0).sum(),
            "levels": by_mark["depth"].max() - by_mark["depth"].min(),
        }
    )


def _uses(evidence: Evidence, at: pd.Series[int], mark_of: pd.Series[int]) -> pd.DataFrame:
    """Per mark: uses of what it ended that were answered after it."""
    uses_alone = pc.field("event_type").isin(ISSUING) & (
        pc.field("reason").is_null() | (pc.field("reason") != _CAUSE)
    )
    parts = [_after(part, mark_of) for part in evidence.parts("audit", _COLUMNS, uses_alone)]
    uses = pd.concat(parts) if parts else pd.DataFrame({"mark": [], "granted": [], "time": []})
    uses["after"] = uses["time"] - uses["mark"].map(at)
    by_mark = uses.groupby("mark")
    honoured = by_mark["granted"].sum()
    return pd.DataFrame(
        {"refused": by_mark.size() - honoured, "honoured": honoured, "last_use": by_mark["after"].max()}
    )


def _after(rows: pa.Table, mark_of: pd.Series[int]) -> pd.DataFrame:
    """The decisions on ended grants that are younger than the mark: ids grow with every decision."""
    place = find(mark_of.index.to_numpy(np.int64), rows["grant_id"].fill_null(0).to_numpy())
    mark = mark_of.to_numpy()[place]
    late = np.flatnonzero((place >= 0) & (rows["log_id"].to_numpy() > mark))
    chosen = rows.take(late)
    granted = pc.equal(chosen["status"], "granted").to_numpy()
    return pd.DataFrame({"mark": mark[late], "granted": granted, "time": chosen["timestamp"].to_numpy()})
