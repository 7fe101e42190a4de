"""What grants and agents of a Run did, read from its audit rows once for everything that follows.

Four tables: the grants, the agents, the decisions about each (*events*), and the tools each turned to (*uses*).
Ids serve to join and are then replaced by positions: no value that a detector sees is an id, a name of an
agent or its model. The ``labels`` table is not read here, nor anywhere else under ``risk`` but in
:mod:`agentsim.risk.evaluation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from agentsim.risk.identities import namesakes, withdrawn_uses
from agentsim.run import Run
from agentsim.server.history import RESOURCE_TEXT

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
    # Refused roots have no grant: they are an agent's alone.
    "token_issued": "ask",
}

# A granted child counts for the parent that delegated; a refused one was already written under the parent's grant.
# What was too much may also be a depth or a task: then no names are counted.
_ROWS = """
    SELECT tenant, log_id, client_id, grant_id, parent_grant_id, root_grant_id, event_type, timestamp,
           status = 'granted' AS granted, reason, source_ip, d.caller AS caller, d.cost AS cost,
           d.by_parent AS by_parent, d."foreign" AS "foreign", d.outcome AS outcome, d.tool AS executed, d.task AS task,
           d.agent_name AS agent_name, d.tools AS tools, len(d.resources) AS resources,
           CASE WHEN event_type = 'token_verified' THEN array_to_string(list_sort(d.resources), ' ') END AS resource,
           CASE WHEN status = 'refused' THEN json_array_length(details, '$.excess') END AS excess,
           d.by = 'agent_' || client_id AS by_agent
    FROM (
        SELECT *, json_transform(details, '{"caller": "VARCHAR", "cost": "BIGINT", "by_parent": "BOOLEAN",
            "foreign": "BOOLEAN", "outcome": "VARCHAR", "tool": "VARCHAR", "task": "VARCHAR", "agent_name": "VARCHAR",
            "tools": ["VARCHAR"], "resources": ["VARCHAR"], "by": "VARCHAR"}') AS d
        FROM audit
        WHERE event_type IN ('token_verified', 'task_execution', 'token_refreshed', 'child_token_issued',
            'token_introspected', 'token_issued', 'agent_registered', 'agent_updated', 'token_revoked')
    )
"""


@dataclass(frozen=True)
class Behaviour:
    """Grants, agents, events and uses of a Run. Events and uses are in the order of the audit rows.

    Attributes
    ----------
    grants : one row per grant, index ``grant_id``, in the order of issue: ``tenant``, ``tree`` (root grant),
        ``parent`` (position of the parent, -1 for a root), ``client`` (position of its agent, -1 if unknown), ``role``,
        ``task`` (what the grant was for, in words: the same text is the same task), ``issued_at``, ``granted_tools``,
        ``granted_resources`` (counts).
    agents : one row per agent, index ``client_id``: ``tenant``, ``role``, ``namesakes``, ``withdrawn_uses``,
        ``ended_others`` (counts; see :data:`agentsim.risk.catalogue.FEATURES`).
    events : one row per decision about a grant or by an agent: ``grant`` (position, -1 for none), ``client`` (position of
        the agent, -1 for none), ``kind``, ``granted``, ``reason``, ``caller``, ``source_ip``, ``excess`` (names asked for
        and not allowed), ``cost``, ``by_parent`` (a child that the grant's own agent asked for), ``foreign``
        (looked up by a resource server that it is not for), ``failed`` (an
        execution), ``executed`` (its tool), ``timestamp``.
    uses : one row per tool of a granted verification: ``grant``, ``event`` (position), ``tool``, ``resource``, ``ok``.
    timing : whether the Run's times mean anything.
    """

    grants: pd.DataFrame
    agents: pd.DataFrame
    events: pd.DataFrame
    uses: pd.DataFrame
    timing: bool

    def __len__(self) -> int:
        return len(self.grants)


def read_behaviour(run: Run) -> Behaviour:
    """Read what each grant and agent of a Run did."""
    rows = _in_order(run.arrow(_ROWS))
    kind = pc.cast(rows["event_type"], pa.string()).to_numpy(zero_copy_only=False).astype("U24")
    granted = rows["granted"].to_numpy()
    agents = run.frame("agents", ["tenant", "client_id", "role"]).drop_duplicates("client_id")
    agents = agents.set_index(agents.pop("client_id").astype(np.int64))
    client = _positions(agents.index.to_numpy(), _ids(rows["client_id"]))
    issued = granted & np.isin(kind, ("token_issued", "child_token_issued"))
    grants = _grants(rows.filter(issued), client[issued], agents)
    ids = grants.index.to_numpy()
    delegated = granted & (kind == "child_token_issued")
    subject = np.where(delegated, _ids(rows["parent_grant_id"]), _ids(rows["grant_id"]))
    grant = _positions(ids, subject)
    is_event = np.isin(kind, tuple(KINDS)) & ~(granted & (kind == "token_issued"))
    # What is about a grant that the Run does not have is nobody's.
    is_event &= (grant >= 0) | ((subject < 0) & (client >= 0) & ~granted)
    events = _events(rows.filter(is_event), kind[is_event], grant[is_event], client[is_event])
    uses = _uses(rows.filter(is_event), events)
    return Behaviour(
        grants=grants,
        agents=agents.assign(
            namesakes=namesakes(rows, kind, client, agents),
            withdrawn_uses=withdrawn_uses(rows, kind, client, len(agents)),
            ended_others=_ended_others(rows, kind, client, grant, grants, len(agents)),
        ),
        events=events,
        uses=uses,
        timing=bool(run.manifest.source.get("timing", True)),
    )


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


def _in_order(rows: pa.Table) -> pa.Table:
    """Rows by tenant and time of decision: the order of their ids within a chain."""
    tenant, log_id = rows["tenant"].to_numpy(), rows["log_id"].to_numpy()
    step = np.diff(log_id)
    if ((step > 0) | (np.diff(tenant) > 0)).all() and (np.diff(tenant) >= 0).all():
        return rows
    return rows.take(np.lexsort((log_id, tenant)))


def _ids(column: pa.ChunkedArray) -> Ints:
    """Ids, -1 where there is none."""
    return np.asarray(pc.fill_null(column, -1).to_numpy(), np.int64)


def _counts(column: pa.ChunkedArray) -> Ints:
    return np.asarray(pc.fill_null(column, 0).to_numpy(), np.int64)


def _words(column: pa.ChunkedArray | pa.Array) -> pd.Series[Any]:
    """A column of text as categories, which are in alphabetical order."""
    encoded = pc.dictionary_encode(column)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
        encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    words = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
    place = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    order = np.argsort(words, kind="stable")
    rank = np.empty(len(words) + 1, np.int32)
    rank[order], rank[-1] = np.arange(len(words)), -1
    return pd.Series(pd.Categorical.from_codes(rank[place], categories=pd.Index(words[order], dtype=object)))


def _positions(ids: Ints, wanted: Ints) -> Ints:
    """Where each wanted id stands in ``ids``; -1 where it does not."""
    return np.asarray(pd.Index(ids).get_indexer(pd.Index(wanted)), np.int64)


def _grants(rows: pa.Table, client: Ints, agents: pd.DataFrame) -> pd.DataFrame:
    ids, parent = _ids(rows["grant_id"]), _ids(rows["parent_grant_id"])
    root = _ids(rows["root_grant_id"])
    role = np.append(agents["role"].fillna("").to_numpy(object), "")
    return pd.DataFrame(
        {
            "tenant": rows["tenant"].to_numpy(),
            "tree": np.where(root < 0, ids, root),
            "parent": _positions(ids, parent),
            "client": client,
            "role": role[client],
            "task": pc.fill_null(rows["task"], "").to_numpy(zero_copy_only=False),
            "issued_at": rows["timestamp"].to_numpy(),
            "granted_tools": _counts(pc.list_value_length(rows["tools"])),
            "granted_resources": _counts(rows["resources"]),
        },
        index=pd.Index(ids, name="grant_id"),
    )


def _events(rows: pa.Table, kind: npt.NDArray[np.str_], grant: Ints, client: Ints) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "grant": grant,
            "client": client,
            "kind": pd.Categorical(pd.Series(kind).map(KINDS), categories=sorted(KINDS.values())),
            "granted": rows["granted"].to_numpy(),
            "reason": _words(rows["reason"]),
            "caller": _words(rows["caller"]),
            "source_ip": _words(rows["source_ip"]),
            "excess": _counts(rows["excess"]),
            "cost": _counts(rows["cost"]),
            "by_parent": pc.fill_null(rows["by_parent"], False).to_numpy(zero_copy_only=False),
            "foreign": pc.fill_null(rows["foreign"], False).to_numpy(zero_copy_only=False),
            "failed": pc.fill_null(pc.equal(rows["outcome"], "error"), False).to_numpy(zero_copy_only=False),
            "executed": _words(rows["executed"]),
            "timestamp": rows["timestamp"].to_numpy(),
        }
    )


def _uses(rows: pa.Table, events: pd.DataFrame) -> pd.DataFrame:
    """One row per tool of a granted verification of a grant."""
    used = ((events["kind"] == "verify") & events["granted"] & (events["grant"] >= 0)).to_numpy(bool)
    event = np.flatnonzero(used)
    tools = rows["tools"].filter(pa.array(used)).combine_chunks()
    tools = tools.chunk(0) if isinstance(tools, pa.ChunkedArray) else tools
    number = _counts(pc.list_value_length(tools))
    event = np.repeat(event, number)
    resource = _words(pc.utf8_slice_codeunits(rows["resource"], 0, RESOURCE_TEXT))
    uses = pd.DataFrame(
        {
            "grant": events["grant"].to_numpy()[event],
            "event": event,
            "tool": _words(tools.flatten()),
            "resource": pd.Categorical.from_codes(
                resource.cat.codes.to_numpy()[event], resource.cat.categories
            ),
        }
    )
    return uses.assign(ok=~_failed(uses, events[events["kind"] == "execute"]))


def _failed(uses: pd.DataFrame, executions: pd.DataFrame) -> Flags:
    """Whether a use's execution failed: a grant's n-th use of a tool meets its n-th outcome with that tool."""
    executions = executions[executions["grant"] >= 0]
    names = uses["tool"].cat.categories
    ended_tool = names.get_indexer(pd.Index(executions["executed"].astype(object)))
    known = ended_tool >= 0
    width = max(len(names), 1)
    used = uses["grant"].to_numpy(np.int64) * width + uses["tool"].cat.codes.to_numpy()
    ended = (executions["grant"].to_numpy(np.int64) * width + ended_tool)[known]
    left = pd.MultiIndex.from_arrays([used, ordinal(used)])
    failed = executions["failed"].to_numpy(bool)[known]
    right = pd.Series(failed, pd.MultiIndex.from_arrays([ended, ordinal(ended)]))
    return right.reindex(left, fill_value=False).to_numpy(bool)


def _ended_others(
    rows: pa.Table, kind: npt.NDArray[np.str_], client: Ints, grant: Ints, grants: pd.DataFrame, size: int
) -> Ints:
    """Per agent, how many grants of other agents it has ended."""
    by_agent = pc.fill_null(rows["by_agent"], False).to_numpy(zero_copy_only=False).astype(bool)
    ended = (kind == "token_revoked") & by_agent & (grant >= 0) & (client >= 0)
    others = ended & (grants["client"].to_numpy()[grant] != client)
    return np.bincount(client[others], minlength=size)
