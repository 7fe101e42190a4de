"""Lineage keys: what a grant carries is its parent's keys and its own, and every column agrees with them."""

import numpy as np

from agentsim.lineage.rules.evidence import Evidence
from agentsim.lineage.rules.violation import Violation, tell

#: Columns in which every issue of a grant equals the first.
_KEPT = (
    "tenant",
    "client_id",
    "parent_token_id",
    "parent_grant_id",
    "root_grant_id",
    "depth",
    "task_key",
    "grant_expires_at",
)


def check_lineage(evidence: Evidence) -> list[Violation]:
    """Keys, depth, root and parent of every grant agree with each other and with the parent's."""
    return _own(evidence) + _parents(evidence) + _refreshes(evidence)


def _own(evidence: Evidence) -> list[Violation]:
    tokens, lineage = evidence.tokens, evidence.lineage
    depth = tokens.ints("depth")
    own = np.column_stack([tokens.ints(name) for name in ("grant_id", "client_id", "task_key")])
    is_root = tokens.ints("parent_grant_id") == 0
    topmost = np.zeros(len(tokens), dtype=np.int64)
    some = lineage.count > 0
    topmost[some] = lineage.flat[lineage.start[some], 0]
    found = []
    for wrong, message in (
        (lineage.count != depth + 1, "its lineage has not one triple for each level"),
        ((lineage.last() != own).any(axis=1), "its lineage does not end with its own grant, client and task"),
        (topmost != tokens.ints("root_grant_id"), "its lineage does not begin with its root"),
        (is_root != (depth == 0), "its depth and its parent disagree"),
        (is_root != (tokens.ints("parent_token_id") == 0), "it names a parent's grant or token, not both"),
    ):
        found += tell("lineage", wrong, evidence.token, message)
    deepest = evidence.run.manifest.most("max_depth")
    if deepest is not None:
        too_deep = depth > deepest
        found += tell("lineage", too_deep, evidence.token, f"deeper than {deepest}")
    return found


def _parents(evidence: Evidence) -> list[Violation]:
    tokens = evidence.tokens
    rows = evidence.grants[tokens.ints("parent_grant_id")[evidence.grants] > 0]
    grants, bounds = evidence.parent_grant[rows], evidence.parent[rows]
    found = tell(
        "lineage",
        rows[(grants < 0) | (bounds < 0)],
        evidence.grant,
        "its parent is not in the Run",
    )
    known = (grants >= 0) & (bounds >= 0)
    rows, grants, bounds = rows[known], grants[known], bounds[known]
    depth, root, tenant = (tokens.ints(name) for name in ("depth", "root_grant_id", "tenant"))
    for wrong, message in (
        (
            tokens.ints("grant_id")[bounds] != tokens.ids[grants],
            "the token that bounded it is not of its parent",
        ),
        (depth[rows] != depth[grants] + 1, "it is not one level below its parent"),
        (root[rows] != root[grants], "it has another root than its parent"),
        (tenant[rows] != tenant[grants], "its parent is of another tenant"),
        (
            evidence.lineage.differ(rows, grants, depth[grants] + 1),
            "its lineage does not begin with its parent's",
        ),
    ):
        found += tell("lineage", rows[wrong], evidence.grant, message)
    return found


def _refreshes(evidence: Evidence) -> list[Violation]:
    tokens, first = evidence.tokens, evidence.first
    found = tell("lineage", first < 0, evidence.token, "its grant has no first token")
    rows = np.flatnonzero((tokens.ids != tokens.ints("grant_id")) & (first >= 0))
    for name in _KEPT:
        wrong = tokens.ints(name)[rows] != tokens.ints(name)[first[rows]]
        found += tell(
            "lineage",
            rows[wrong],
            evidence.token,
            f"another {name} than its grant",
        )
    differ = evidence.lineage.differ(rows, first[rows], tokens.ints("depth")[rows] + 1)
    return found + tell("lineage", rows[differ], evidence.token, "another lineage than its grant")
