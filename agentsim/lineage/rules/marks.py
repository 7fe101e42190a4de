"""After a mark nothing below it is active, and the rows below a closed mark are filled in.

The order is that of ids: within a tenant they grow with every decision, so a decision with a larger id than a
mark came after it.
"""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentsim.lineage.forest import Indices, find
from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation, tell

#: Later than any id.
_NEVER = np.iinfo(np.int64).max
#: Which of a lineage triple a mark's key names. ``grant_only`` and ``principal`` name a grant by other columns.
_PLACE = {"grant": 0, "client": 1, "task": 2}
#: Marks that end only what was issued before them.
_ENDS_OLDER = ("client", "principal")
#: Decisions that give or confirm a grant's power, and those that give it to a child.
ISSUING = ("token_verified", "token_issued", "child_token_issued", "token_refreshed")
_DELEGATING = ("child_token_issued",)
#: Columns that name what a decision lets act, the decisions in question, and what is wrong after a mark.
_LATE = (
    ("grant_id", ISSUING, "granted after the grant, or one above it, was revoked"),
    ("parent_grant_id", _DELEGATING, "granted after the parent's grant was revoked"),
)


def check_marks(evidence: Evidence) -> list[Violation]:
    """No decision after a mark lets anything act that carries its key, and no child is born below it."""
    ended = _ended_at(evidence, ended_by(evidence))
    if not (ended < _NEVER).any():
        return []
    found = []
    for column, events, message in _LATE:
        granted = (pc.field("status") == "granted") & pc.field("event_type").isin(events)
        columns = ["tenant", "log_id", "event_type", column]
        parts = [_late(evidence, ended, part, column) for part in evidence.parts("audit", columns, granted)]
        rows = pa.concat_tables(parts).sort_by("log_id") if parts else pa.table({})
        found += tell("marks", np.arange(len(rows)), partial(_named, rows), message)
    return found


def _late(evidence: Evidence, ended: Indices, rows: pa.Table, column: str) -> pa.Table:
    """The audit rows that are younger than the mark that ended what the column names."""
    grant = find(evidence.tokens.ids, rows[column].fill_null(0).to_numpy())
    return rows.take(np.flatnonzero((grant >= 0) & (rows["log_id"].to_numpy() > ended[grant])))


def _named(rows: pa.Table, row: int) -> tuple[int, str]:
    tenant, log_id, event = (rows[name][row].as_py() for name in ("tenant", "log_id", "event_type"))
    return tenant, f"audit row {log_id} ({event})"


def check_closure(evidence: Evidence) -> list[Violation]:
    """Below a closed mark every token is revoked; every revoked token is below the mark that it names."""
    tokens, marks = evidence.tokens, evidence.marks
    hits = ended_by(evidence)
    closed = marks.loc[marks["closure"] == "closed", "revocation_id"].to_numpy(np.int64)
    ended = _ended_at(evidence, hits[hits["revocation_id"].isin(closed)])
    is_revoked, named = tokens.flags("is_revoked"), tokens.ints("revocation_id")
    known = evidence.first >= 0
    active = known & ~is_revoked & (ended[evidence.first] < _NEVER)
    found = tell(
        "closure",
        active,
        evidence.token,
        "it is active below a mark whose closure is closed",
    )
    below = pd.MultiIndex.from_arrays([hits["row"], hits["revocation_id"]])
    told = pd.MultiIndex.from_arrays([evidence.first, named])
    found += tell(
        "closure",
        known & is_revoked & ~told.isin(below),
        evidence.token,
        "it is revoked, but not below the mark that it names",
    )
    found += tell(
        "closure",
        is_revoked != (named > 0),
        evidence.token,
        "is_revoked and revocation_id disagree",
    )
    found += tell(
        "closure",
        is_revoked != (tokens.ints("revoked_at") > 0),
        evidence.token,
        "is_revoked and revoked_at disagree",
    )
    return found + _counts(evidence)


def ended_by(evidence: Evidence) -> pd.DataFrame:
    """Which mark ends which grant: (row of its first token, revocation_id), each pair at least once."""
    marks, triples = evidence.marks, evidence.lineage
    owner = triples.owners()
    first = np.zeros(len(evidence.tokens), dtype=bool)
    first[evidence.grants] = True
    of_first = np.flatnonzero(first[owner])
    candidates = partial(_matches, evidence)
    parts = []
    for kind, place in _PLACE.items():
        of_kind = marks[marks["kind"] == kind]
        keys = np.sort(of_kind["key"].to_numpy(np.int64))
        hit = of_first[find(keys, triples.flat[of_first, place]) >= 0]
        since = triples.flat[hit, 0] if kind in _ENDS_OLDER else np.zeros_like(hit)
        parts.append(candidates(of_kind, owner[hit], pd.Series(triples.flat[hit, place]), since))
    tokens, rows = evidence.tokens, evidence.grants
    of_kind = marks[marks["kind"] == "grant_only"]
    parts.append(candidates(of_kind, rows, pd.Series(tokens.ids[rows]), np.zeros_like(rows)))
    of_kind = marks[marks["kind"] == "principal"]
    # A principal is held against the mark's words, not its key: the hash is the server's own affair.
    of_kind = of_kind.assign(key=of_kind["owner"].astype(str) + "\n" + of_kind["subject"].astype(str))
    if len(of_kind):
        owners, principals = tokens.words("owner"), tokens.words("principal")
        names = pd.Series([f"{owners[row]}\n{principals[row]}" for row in rows])
        parts.append(candidates(of_kind, rows, names, tokens.ints("root_grant_id")[rows]))
    return pd.concat(parts, ignore_index=True)


def _matches(
    evidence: Evidence,
    marks: pd.DataFrame,
    rows: Indices,
    keys: "pd.Series[int] | pd.Series[str]",
    since: Indices,
) -> pd.DataFrame:
    """Join token rows with the marks of their tenant on a key; ``since``: a mark must be younger than this id."""
    left = pd.DataFrame(
        {"tenant": evidence.tokens.ints("tenant")[rows], "key": keys, "row": rows, "since": since}
    )
    right = marks[["tenant", "key", "revocation_id"]].astype({"tenant": np.int64, "revocation_id": np.int64})
    right = right.astype({"key": left["key"].dtype})
    joined = left.merge(right, on=["tenant", "key"])
    return joined.loc[joined["revocation_id"] > joined["since"], ["row", "revocation_id"]]


def _ended_at(evidence: Evidence, hits: pd.DataFrame) -> Indices:
    """The earliest mark that ends each row's grant; later than any id where none does."""
    ended = np.full(len(evidence.tokens), _NEVER, dtype=np.int64)
    np.minimum.at(ended, hits["row"].to_numpy(), hits["revocation_id"].to_numpy())
    return ended


def _counts(evidence: Evidence) -> list[Violation]:
    """A closed mark counts the tokens and grants that name it."""
    marks, tokens = evidence.marks, evidence.tokens
    named = tokens.ints("revocation_id")
    is_first = tokens.ids == tokens.ints("grant_id")
    ids = marks["revocation_id"].to_numpy(np.int64)
    wrong = np.zeros(len(marks), dtype=bool)
    for column, of in (("affected_tokens", named), ("affected_grants", named[is_first])):
        distinct, count = np.unique(of, return_counts=True)
        place = find(distinct, ids)
        counted = np.where(place >= 0, count[place] if len(count) else 0, 0)
        wrong |= marks[column].to_numpy(np.int64) != counted
    wrong &= (marks["closure"] == "closed").to_numpy()
    return tell(
        "closure",
        wrong,
        lambda row: (int(marks["tenant"].iloc[row]), f"mark {ids[row]}"),
        "affected_tokens or affected_grants is not the number of tokens that name it",
    )
