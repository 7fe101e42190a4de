"""Features of every grant of a Run, from its audit rows.

What they mean stands in :data:`agentsim.risk.catalogue.FEATURES`. They hold no id and no name: renaming
every id of a Run changes no feature.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Behaviour, Flags, Floats, Ints, read_behaviour, tally
from agentsim.risk.catalogue import FEATURES, REFUSALS, families
from agentsim.risk.peers import changes, codes, peer_features, transitions
from agentsim.run import Run


def grant_features(source: Run | Behaviour, peers: Flags | None = None) -> pd.DataFrame:
    """Features of each grant, index ``grant_id``, one column of floats for each of ``FEATURES``.

    Parameters
    ----------
    source : a Run, or what was read from it before.
    peers : which grants (in the order of ``Behaviour.grants``) the family ``peer`` compares with; all when None.

    Returns
    -------
    DataFrame without the family ``timing`` where the Run's times mean nothing.
    """
    behaviour = source if isinstance(source, Behaviour) else read_behaviour(source)
    columns = {
        **_counts(behaviour),
        **_refusals(behaviour),
        **_diversity(behaviour),
        **_callers(behaviour),
        **_tree(behaviour),
        **peer_features(behaviour, peers),
    }
    columns.update(_scope(behaviour, columns))
    if behaviour.timing:
        columns.update(_timing(behaviour))
    names = [name for name in FEATURES if behaviour.timing or name not in families("timing")]
    return pd.DataFrame({name: columns[name] for name in names}, index=behaviour.grants.index)


def _ratio(part: Floats, whole: Floats, otherwise: float = 0.0) -> Floats:
    result = np.full(len(part), otherwise)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _distinct(grant: Ints, value: Ints, size: int) -> Floats:
    """How many distinct values each grant has; negative codes are missing values."""
    width = int(value.max(initial=0)) + 1
    known = value >= 0
    return tally(np.unique(grant[known] * width + value[known]) // width, size)


def _counts(behaviour: Behaviour) -> dict[str, Floats]:
    events, size = behaviour.events, len(behaviour)
    of_kind = {kind: events[events["kind"] == kind] for kind in events["kind"].cat.categories}
    none = events.iloc[:0]

    def number(kind: str, *, granted: bool = False) -> Floats:
        rows = of_kind.get(kind, none)
        return tally(rows["grant"][rows["granted"]] if granted else rows["grant"], size)

    executions = number("execute")
    # An execution is the outcome of a decision, not a decision of its own.
    decisions = tally(events["grant"], size) - executions
    failed = tally(behaviour.uses["grant"][~behaviour.uses["ok"]], size)
    refused = events[~events["granted"] & (events["kind"] != "execute")]
    return {
        "decisions": decisions,
        "verifies": number("verify"),
        "executions": executions,
        "refreshes": number("refresh"),
        "introspections": number("introspect"),
        "children": number("delegate", granted=True),
        "refused_share": _ratio(tally(refused["grant"], size), decisions),
        "error_share": _ratio(failed, tally(behaviour.uses["grant"], size)),
        "executions_per_verify": _ratio(executions, number("verify", granted=True)),
        "refreshes_per_verify": _ratio(number("refresh"), number("verify")),
    }


def _refusals(behaviour: Behaviour) -> dict[str, Floats]:
    refused = behaviour.events[~behaviour.events["granted"] & (behaviour.events["kind"] != "execute")]
    group_of = {reason: group for group, reasons in REFUSALS.items() for reason in reasons}
    group = refused["reason"].astype(object).map(lambda reason: group_of.get(reason, "other"))
    grant, size = refused["grant"], len(behaviour)
    excess = tally(grant.to_numpy(np.int64), size, refused["excess"].to_numpy(float))
    return {
        **{f"refused_{name}": tally(grant[group == name], size) for name in REFUSALS},
        "excess_asked": excess,
    }


def _diversity(behaviour: Behaviour) -> dict[str, Floats]:
    size = len(behaviour)
    grant, tool = behaviour.uses["grant"].to_numpy(np.int64), codes(behaviour.uses["tool"])
    width = int(tool.max(initial=0)) + 1
    pair, count = np.unique(grant * width + tool, return_counts=True)
    holder = pair // width
    share = count / tally(grant, size)[holder]
    most = np.zeros(size)
    np.maximum.at(most, holder, count)
    entropy = 0.0 - tally(holder, size, share * np.log2(share))
    return {
        "tools": tally(holder, size),
        "resources": _distinct(grant, codes(behaviour.uses["resource"]), size),
        "tool_entropy": entropy,
        "most_repeats": most,
        "transitions": _distinct(*transitions(behaviour), size),
    }


def _callers(behaviour: Behaviour) -> dict[str, Floats]:
    events, size = behaviour.events, len(behaviour)
    grant = events["grant"].to_numpy(np.int64)
    return {
        "callers": _distinct(grant, codes(events["caller"]), size),
        "source_ips": _distinct(grant, codes(events["source_ip"]), size),
        "caller_changes": tally(changes(behaviour, "caller"), size),
        "address_changes": tally(changes(behaviour, "source_ip"), size),
    }


def _scope(behaviour: Behaviour, known: dict[str, Floats]) -> dict[str, Floats]:
    tools = behaviour.grants["granted_tools"].to_numpy(float)
    resources = behaviour.grants["granted_resources"].to_numpy(float)
    parent = behaviour.grants["parent"].to_numpy(np.int64)
    above = np.where(parent >= 0, tools[parent], tools) if len(tools) else tools
    return {
        "granted_tools": tools,
        "granted_resources": resources,
        "used_tools_share": _ratio(known["tools"], tools),
        "used_resources_share": _ratio(known["resources"], resources),
        "tools_of_parent": _ratio(tools, above, otherwise=1.0),
    }


def _tree(behaviour: Behaviour) -> dict[str, Floats]:
    parent = behaviour.grants["parent"].to_numpy(np.int64)
    size = len(parent)
    depth, descendants = np.zeros(size), np.zeros(size)
    ancestor = parent.copy()
    # One pass per level: every grant counts for the ancestor that it has reached.
    while (reached := ancestor >= 0).any():
        depth += reached
        descendants += tally(ancestor[reached], size)
        ancestor = np.where(reached, parent[ancestor], -1)
    direct = tally(parent[parent >= 0], size)
    tree = behaviour.grants.groupby("tree", sort=False).ngroup().to_numpy(np.int64)
    return {
        "depth": depth,
        "siblings": np.where(parent >= 0, direct[parent] - 1, 0.0) if size else direct,
        "descendants": descendants,
        "tree_size": tally(tree, size)[tree],
    }


def _timing(behaviour: Behaviour) -> dict[str, Floats]:
    size = len(behaviour)
    issued = behaviour.grants["issued_at"].to_numpy(np.int64)
    decided = behaviour.events[behaviour.events["kind"] != "execute"]
    grant = np.concatenate([np.arange(size), decided["grant"].to_numpy(np.int64)])
    time = np.concatenate([issued, decided["timestamp"].to_numpy(np.int64)])
    order = np.lexsort((time, grant))
    grant, time = grant[order], time[order]
    same = grant[1:] == grant[:-1]
    holder, gap = grant[1:][same], (time[1:] - time[:-1])[same] / 1e6
    gaps, total = tally(holder, size), tally(holder, size, gap)
    mean = _ratio(total, gaps)
    spread = np.sqrt(_ratio(tally(holder, size, (gap - mean[holder]) ** 2), gaps))
    return {"active_s": total, "gap_mean_s": mean, "burstiness": _ratio(spread - mean, spread + mean)}
