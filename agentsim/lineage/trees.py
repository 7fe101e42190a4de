"""One lineage tree as a graph with all that is known of its grants."""

from typing import Any

import networkx as nx
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentsim.lineage.metrics import tree_metrics
from agentsim.run import Run, RunError

_GRANTS = """
    WITH refused AS (
        SELECT grant_id, count(*) AS refused FROM audit
        WHERE root_grant_id = {root} AND status = 'refused' GROUP BY ALL
    ), issues AS (
        SELECT grant_id, count(*) - 1 AS refreshes, max(expires_at) AS valid_until
        FROM tokens WHERE root_grant_id = {root} GROUP BY ALL
    )
    SELECT t.grant_id::VARCHAR AS grant_id, t.parent_grant_id::VARCHAR AS parent_grant_id,
           t.client_id::VARCHAR AS client_id, a.agent_name, t.role::VARCHAR AS role, t.tenant,
           t.scope::VARCHAR AS scope, t.granted_tools::VARCHAR AS tools,
           t.granted_resources::VARCHAR AS resources, t.max_scope_level::VARCHAR AS level, t.depth,
           t.task_id, t.parent_task_id, t.issued_at, i.valid_until AS expires_at, t.grant_expires_at, i.refreshes,
           t.is_revoked AS revoked, t.revoked_at, t.revocation_reason::VARCHAR AS reason,
           coalesce(r.refused, 0) AS refused
    FROM tokens AS t
    JOIN issues AS i ON i.grant_id = t.grant_id
    LEFT JOIN agents AS a ON a.client_id = t.client_id
    LEFT JOIN refused AS r ON r.grant_id = t.grant_id
    WHERE t.root_grant_id = {root} AND t.token_id = t.grant_id
    ORDER BY t.grant_id
"""
_REFUSALS = """
    SELECT grant_id::VARCHAR AS grant_id, timestamp, reason::VARCHAR AS reason
    FROM audit
    WHERE root_grant_id = {root} AND status = 'refused' AND event_type <> 'child_token_issued'
      AND grant_id IS NOT NULL
    ORDER BY timestamp, log_id
"""
_ATTEMPTS = """
    SELECT l.log_id::VARCHAR AS log_id, l.grant_id::VARCHAR AS grant_id, l.client_id::VARCHAR AS client_id,
           l.task_id, l.timestamp AS issued_at, l.reason::VARCHAR AS reason, a.agent_name, a.role::VARCHAR AS role
    FROM audit AS l LEFT JOIN agents AS a ON a.client_id = l.client_id
    WHERE l.root_grant_id = {root} AND l.event_type = 'child_token_issued' AND l.status = 'refused'
      AND l.grant_id IS NOT NULL
    ORDER BY l.log_id
"""
#: Columns of whole numbers.
_WHOLE = frozenset(
    (
        *("grant_id", "parent_grant_id", "client_id", "log_id", "depth", "refreshes", "refused", "tenant"),
        *("issued_at", "expires_at", "grant_expires_at", "revoked_at"),
    )
)


def tree_graph(run: Run, root_grant_id: int) -> "nx.DiGraph[int]":
    """The lineage tree below a root grant.

    Parameters
    ----------
    root_grant_id : the id of the root grant.

    Returns
    -------
    A directed graph, edges from parent to child. The attribute ``kind`` of a node is

    - ``grant``: the node is the grant_id. Attributes ``agent_name``, ``role``, ``client_id``, ``scope``, ``tools``,
      ``resources``, ``level``, ``depth``, ``task_id``, ``parent_task_id``, ``issued_at``, ``expires_at`` (of its
      last token), ``grant_expires_at``, ``refreshes``, ``revoked``, ``revoked_at`` and ``reason`` (None while it is
      active), ``refused``, the number of refused decisions about it, and ``refusals``, (time, reason) of those that
      were not requests for a child.
    - ``attempt``: a refused request for a child; the node is the log_id of the refusal. Attributes
      ``agent_name``, ``role``, ``client_id``, ``task_id``, ``issued_at`` (when it was asked), ``reason``, ``depth``.

    Times are microseconds. The graph's attributes are ``root``, ``tenant`` and ``run`` (the Run's name).

    Raises
    ------
    RunError
        If the Run has no such root grant.
    """
    # Ids travel as text: a column with nulls would come back as floats and lose their last digits.
    grants = _records(run.sql(_GRANTS.format(root=int(root_grant_id))))
    if not any(grant["grant_id"] == root_grant_id for grant in grants):
        raise RunError(f"{run.path}: no root grant {root_grant_id}; tree_metrics lists them all")
    graph: nx.DiGraph[int] = nx.DiGraph(root=root_grant_id, tenant=grants[0]["tenant"], run=run.name)
    for grant in grants:
        node, parent = grant.pop("grant_id"), grant.pop("parent_grant_id")
        graph.add_node(node, kind="grant", refusals=[], **grant)
        if parent is not None:
            graph.add_edge(parent, node)
    for grant_id, time, reason in run.sql(_REFUSALS.format(root=int(root_grant_id))).itertuples(index=False):
        if int(grant_id) in graph:
            graph.nodes[int(grant_id)]["refusals"].append((int(time), str(reason)))
    for attempt in _records(run.sql(_ATTEMPTS.format(root=int(root_grant_id)))):
        node, parent = attempt.pop("log_id"), attempt.pop("grant_id")
        if parent in graph:
            graph.add_node(node, kind="attempt", depth=graph.nodes[parent]["depth"] + 1, **attempt)
            graph.add_edge(parent, node)
    return graph


def find_root(run: Run, name: str) -> int:
    """The root of the tree that a task, or a grant's id as text, is in.

    Raises
    ------
    RunError
        If there is no such task or grant, or the task is in several trees.
    """
    tokens = run.read("tokens", ["task_id", "grant_id", "root_grant_id"])
    named = pc.or_kleene(
        pc.equal(tokens["task_id"], name), pc.equal(tokens["grant_id"].cast(pa.string()), name)
    )
    roots = pc.unique(tokens.filter(named)["root_grant_id"]).to_pylist()
    if not roots:
        raise RunError(f"{run.path}: no task or grant {name!r} in this run")
    if len(roots) > 1:
        raise RunError(f"{run.path}: task {name!r} is in {len(roots)} trees; name one of its grants")
    return int(roots[0])


def pick_tree(run: Run, *, most: int = 200, metrics: pd.DataFrame | None = None) -> int:
    """The root of a tree worth drawing: the largest that fits and has something refused or stopped in it.

    Parameters
    ----------
    most : the tree has at most this many grants.
    metrics : :func:`~agentsim.lineage.metrics.tree_metrics` of the Run, where the caller has them already.

    Returns
    -------
    A ``root_grant_id``. A grant that was revoked because its task was completed is nothing special. Where no tree
    with a refusal or another revocation fits, the largest that fits; where none fits, the smallest of all.

    Raises
    ------
    RunError
        If the Run has no grants.
    """
    trees = tree_metrics(run) if metrics is None else metrics
    if trees.empty:
        raise RunError(f"{run.path}: no grants, so no lineage tree to draw")
    small = trees[trees["size"] <= most]
    if small.empty:
        small = trees[trees["size"] == trees["size"].min()]
    eventful = small[(small["refused"] > 0) | (small["stopped_grants"] > 0)]
    candidates = small if eventful.empty else eventful
    ranked = candidates.sort_values(
        ["size", "stopped_grants", "refused", "root_grant_id"], ascending=[False, False, False, True]
    )
    return int(ranked["root_grant_id"].iloc[0])


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries of plain Python values, None for null."""
    rows = frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None)
    return [
        {
            name: int(value) if name in _WHOLE and value is not None else value
            for name, value in zip(frame.columns, row, strict=True)
        }
        for row in rows
    ]
