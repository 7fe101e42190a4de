"""What each grant of a Run did, read from its audit rows once for everything that follows.

Three tables: the grants, the decisions about each (*events*), and the tools each turned to (*uses*).
Ids serve to join and are then replaced by positions: no value that a detector sees is an id, a name of an
agent or its model. The ``labels`` table is not read here, nor anywhere else under ``risk`` but in
:mod:`agentsim.risk.evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from agentsim.run import Run

Ints: TypeAlias = npt.NDArray[np.integer[Any]]
Floats: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

#: What an audit row is called here. A token's issue makes the grant and is no event of it; what happens to
#: a token because somebody answered an alarm (``token_revoked``, ``token_ended``) is no behaviour.
KINDS = {
    "token_verified": "verify",
    "task_execution": "execute",
    "token_refreshed": "refresh",
    "child_token_issued": "delegate",
    "token_introspected": "introspect",
}

# The grant an event belongs to: a granted child counts for the parent that delegated, a refused one was
# already written under the parent's grant. What was too much may also be a depth or a task: then no names are counted.
_EVENTS = """
    SELECT CASE WHEN event_type = 'child_token_issued' AND status = 'granted'
                THEN parent_grant_id ELSE grant_id END AS grant_id,
           event_type, status = 'granted' AS granted, reason, source_ip, timestamp,
           details ->> '$.caller' AS caller, json_array_length(details, '$.excess') AS excess
    FROM audit
    WHERE event_type IN ({kinds}) AND grant_id IS NOT NULL
    ORDER BY timestamp, log_id
"""

_USES = """
    SELECT grant_id, timestamp, unnest(d.tools) AS tool, array_to_string(list_sort(d.resources), ' ') AS resource
    FROM (
        SELECT grant_id, timestamp, log_id,
               json_transform(details, '{"tools": ["VARCHAR"], "resources": ["VARCHAR"]}') AS d
        FROM audit
        WHERE event_type = 'token_verified' AND status = 'granted' AND grant_id IS NOT NULL
    )
    ORDER BY timestamp, log_id, tool
"""

_OUTCOMES = """
    SELECT grant_id, details ->> '$.tool' AS tool, coalesce(details ->> '$.outcome', '') = 'error' AS failed
    FROM audit
    WHERE event_type = 'task_execution' AND grant_id IS NOT NULL
    ORDER BY timestamp, log_id
"""

# Roots first seen are listed in the order in which they were made, so that no row's place depends on an id.
_GRANTS = """
    SELECT a.tenant, a.grant_id, a.client_id, coalesce(a.parent_grant_id, -1) AS parent_grant_id,
           coalesce(a.root_grant_id, a.grant_id) AS root_grant_id, a.timestamp AS issued_at,
           len(a.d.tools) AS granted_tools, len(a.d.resources) AS granted_resources,
           coalesce(g.role, '') AS role, coalesce(t.task_description, '') AS task
    FROM (
        SELECT *, json_transform(details, '{"tools": ["VARCHAR"], "resources": ["VARCHAR"]}') AS d
        FROM audit
        WHERE event_type IN ('token_issued', 'child_token_issued') AND status = 'granted'
    ) a
    LEFT JOIN agents g USING (client_id)
    LEFT JOIN (SELECT token_id, task_description FROM tokens WHERE token_id = grant_id) t
           ON t.token_id = a.grant_id
    ORDER BY a.tenant, a.timestamp, a.log_id
"""


@dataclass(frozen=True)
class Behaviour:
    """Grants, events and uses of a Run.

    Attributes
    ----------
    grants : one row per grant, index ``grant_id``, in the order of issue: ``tenant``, ``tree`` (root grant),
        ``parent`` (position of the parent, -1 for a root), ``role``, ``task`` (what the grant was for, in
        words: the same text is the same task), ``issued_at``, ``granted_tools``, ``granted_resources`` (counts).
    events : one row per decision about a grant, in order of time: ``grant`` (position), ``kind``,
        ``granted``, ``reason``, ``caller``, ``source_ip``, ``excess`` (names asked for and not allowed), ``timestamp``.
    uses : one row per tool of a granted verification, in order of time: ``grant``, ``tool``, ``resource``, ``ok``.
    timing : whether the Run's times mean anything.
    """

    grants: pd.DataFrame
    events: pd.DataFrame
    uses: pd.DataFrame
    timing: bool

    def __len__(self) -> int:
        return len(self.grants)

    def take(self, mask: Flags) -> Behaviour:
        """The grants where ``mask`` holds, with their events and uses; parents left out count as absent."""
        place = np.where(mask, np.cumsum(mask) - 1, -1)
        grants = self.grants[mask]
        parent = grants["parent"].to_numpy()
        grants = grants.assign(parent=np.where(parent >= 0, place[parent], -1))

        def kept(rows: pd.DataFrame) -> pd.DataFrame:
            chosen: pd.DataFrame = rows[mask[rows["grant"].to_numpy()]]
            return chosen.assign(grant=place[chosen["grant"].to_numpy()])

        return replace(self, grants=grants, events=kept(self.events), uses=kept(self.uses))


def read_behaviour(run: Run) -> Behaviour:
    """Read what each grant of a Run did, from audit rows, roles and the tasks' descriptions."""
    grants = run.sql(_GRANTS)
    ids = grants["grant_id"].to_numpy(np.int64)
    order = np.argsort(ids, kind="stable")
    grants["parent"] = _positions(ids, order, grants["parent_grant_id"].to_numpy(np.int64))
    events = _placed(run.sql(_EVENTS.format(kinds=", ".join(f"'{kind}'" for kind in KINDS))), ids, order)
    events["kind"] = events.pop("event_type").map(KINDS).astype("category")
    events["excess"] = events["excess"].fillna(0).astype(np.int64)
    for column in ("reason", "caller", "source_ip"):
        events[column] = events[column].astype("category")
    uses = _placed(run.sql(_USES), ids, order)
    uses["ok"] = ~_failed(uses, _placed(run.sql(_OUTCOMES), ids, order))
    for column in ("tool", "resource"):
        uses[column] = uses[column].astype("category")
    grants = grants.rename(columns={"root_grant_id": "tree"}).set_index("grant_id")
    for column in ("granted_tools", "granted_resources"):
        grants[column] = grants[column].fillna(0).astype(np.int64)
    timing = bool(run.manifest.source.get("timing", True))
    return Behaviour(grants.drop(columns=["parent_grant_id", "client_id"]), events, uses, timing)


def tally(place: Ints | pd.Series[Any], size: int, weights: npt.NDArray[Any] | None = None) -> Floats:
    """How many entries, or how much weight, each place from 0 to ``size`` has."""
    return np.asarray(
        np.bincount(np.asarray(place, np.int64), weights=weights, minlength=size), dtype=np.float64
    )


def ordinal(keys: Ints) -> Ints:
    """For each element, how many equal ones came before it."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.r_[True, ordered[1:] != ordered[:-1]] if len(keys) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    result = np.empty(len(keys), np.int64)
    result[order] = np.arange(len(keys)) - start
    return result


def _positions(ids: Ints, order: Ints, wanted: Ints) -> Ints:
    """Where each wanted id stands in ``ids``; -1 where it does not."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    found = order[np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)]
    return np.where(ids[found] == wanted, found, -1)


def _placed(rows: pd.DataFrame, ids: Ints, order: Ints) -> pd.DataFrame:
    """Replace grant ids by positions, dropping rows of grants whose issue is not in the Run."""
    rows["grant"] = _positions(ids, order, rows.pop("grant_id").to_numpy(np.int64))
    return rows[rows["grant"] >= 0].reset_index(drop=True)


def _failed(uses: pd.DataFrame, outcomes: pd.DataFrame) -> Flags:
    """Whether a use's execution failed: a grant's n-th use of a tool meets its n-th outcome with that tool."""
    names = pd.concat([uses["tool"], outcomes["tool"]]).astype("category").cat.codes.to_numpy(np.int64)
    grants = np.concatenate([uses["grant"].to_numpy(), outcomes["grant"].to_numpy()])
    pair = grants * (names.max(initial=0) + 1) + names
    used, ended = pair[: len(uses)], pair[len(uses) :]
    left = pd.MultiIndex.from_arrays([used, ordinal(used)])
    right = pd.Series(outcomes["failed"].to_numpy(bool), pd.MultiIndex.from_arrays([ended, ordinal(ended)]))
    return right.reindex(left, fill_value=False).to_numpy(bool)
