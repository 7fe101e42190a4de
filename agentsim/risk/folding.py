"""The states of all grants, trees or agents of a Run at once, from whole columns.

What :class:`agentsim.server.history.GrantState` makes event by event is made here for everything together; a test holds
the two against each other.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Behaviour, Flags, Ints
from agentsim.risk.reasons import GROUPS, group_of
from agentsim.risk.states import OTHERS_CODE, EntityKind, Marks, States, name_code, pair_code
from agentsim.server.history import (
    LONGEST_PAUSE_MS,
    MOST_PAIRS,
    MOST_PARTIES,
    MOST_RESOURCES,
    MOST_TOOLS,
    OTHERS,
)


def fold(behaviour: Behaviour, kind: EntityKind = "grant") -> States:
    """The states of all entities of one kind, in the order of ``behaviour.grants`` or ``agents``; trees by their roots."""
    subject, size = subjects(behaviour, kind)
    events = behaviour.events
    kept = subject >= 0
    holder = subject[kept]
    columns = {name: events[name].to_numpy()[kept] for name in ("granted", "by_parent", "foreign", "failed")}
    doing = events["kind"].cat.codes.to_numpy()[kept]
    codes = {name: code for code, name in enumerate(events["kind"].cat.categories)}
    granted = columns["granted"].astype(bool)

    def number(mask: Flags) -> Ints:
        return np.bincount(holder[mask], minlength=size)

    execution, verify = doing == codes["execute"], doing == codes["verify"]
    delegate = doing == codes["delegate"]
    decision = ~execution
    presented = decision & ~delegate & (doing != codes["introspect"])
    refusal = ~granted & decision
    group = _groups(events["reason"])[kept]
    refused = np.bincount((holder * len(GROUPS) + group)[refusal], minlength=size * len(GROUPS)).reshape(
        size, len(GROUPS)
    )
    numbers: dict[str, Ints] = {
        **_given(behaviour, kind, size),
        "decisions": number(decision),
        "verifications": number(verify),
        "refreshes": number((doing == codes["refresh"]) & granted),
        "introspections": number(doing == codes["introspect"]),
        "foreign_lookups": number((doing == codes["introspect"]) & columns["foreign"].astype(bool)),
        "idle_refreshes": _idle(holder, (doing == codes["refresh"]) & granted, verify & granted, size),
        "children": number(delegate & granted),
        "own_children": number(delegate & columns["by_parent"].astype(bool)),
        "executions": number(execution),
        "errors": number(execution & columns["failed"].astype(bool)),
        "excess": _sums(holder, events["excess"].to_numpy()[kept] * refusal, size),
        "cost": _sums(holder, events["cost"].to_numpy()[kept] * (verify & granted), size),
        **_times(holder[decision], events["timestamp"].to_numpy()[kept][decision], size),
        # Children ask for themselves, and resource servers look up, from wherever they are.
        **_parties(holder[presented], events[["caller", "source_ip"]][kept][presented], size),
    }
    use = behaviour.uses
    of_use = subject[use["event"].to_numpy(np.int64)]
    failed = kept.copy()
    failed[kept] = execution & columns["failed"].astype(bool)
    return _with_uses(numbers, refused, use, of_use, events[failed], subject[failed], np.flatnonzero(failed))


def subjects(behaviour: Behaviour, kind: EntityKind) -> tuple[Ints, int]:
    """Which entity each event belongs to (-1: none), and how many entities there are."""
    events, grants = behaviour.events, behaviour.grants
    grant = events["grant"].to_numpy(np.int64)
    if kind == "grant":
        return grant, len(grants)
    if kind == "tree":
        trees, size = tree_codes(grants)
        return np.where(grant >= 0, np.append(trees, -1)[grant], -1), size
    # A granted child is its parent's doing; all else the doing of the agent that the row names.
    owner = np.append(grants["client"].to_numpy(np.int64), -1)[grant]
    delegated = ((events["kind"] == "delegate") & events["granted"]).to_numpy(bool)
    return np.where(delegated, owner, events["client"].to_numpy(np.int64)), len(behaviour.agents)


def tree_codes(grants: pd.DataFrame) -> tuple[Ints, int]:
    """A code per grant for its tree, in the order of the trees' first grants, and how many trees there are."""
    codes, roots = pd.factorize(grants["tree"])
    return np.asarray(codes, np.int64), len(roots)


def _given(behaviour: Behaviour, kind: EntityKind, size: int) -> dict[str, Ints]:
    """What entities are, beside what they do."""
    nothing = np.zeros(size, np.int64)
    grants = behaviour.grants
    result: dict[str, Ints] = dict.fromkeys(
        ("issued_at", "depth", "granted_tools", "granted_resources", "parent_tools", "elder_siblings"),
        nothing,
    )
    result |= dict.fromkeys(("grants", "namesakes", "withdrawn_uses", "ended_others"), nothing)
    if kind == "tree":
        return result | {"grants": np.bincount(tree_codes(grants)[0], minlength=size)}
    if kind == "agent":
        client = grants["client"].to_numpy(np.int64)
        told = {
            name: behaviour.agents[name].to_numpy(np.int64)
            for name in ("namesakes", "withdrawn_uses", "ended_others")
        }
        return result | told | {"grants": np.bincount(client[client >= 0], minlength=size)}
    parent = grants["parent"].to_numpy(np.int64)
    tools = grants["granted_tools"].to_numpy(np.int64)
    return result | {
        "issued_at": grants["issued_at"].to_numpy(np.int64),
        "depth": _depth(parent),
        "granted_tools": tools,
        "granted_resources": grants["granted_resources"].to_numpy(np.int64),
        "parent_tools": np.where(parent >= 0, np.append(tools, 0)[parent], 0),
        "elder_siblings": _elder(parent),
    }


def _depth(parent: Ints) -> Ints:
    """Delegations above each grant. One pass per level."""
    depth = np.zeros(len(parent), np.int64)
    ancestor = parent.copy()
    while (reached := ancestor >= 0).any():
        depth += reached
        ancestor = np.where(reached, parent[ancestor], -1)
    return depth


def _elder(parent: Ints) -> Ints:
    """Grants that the parent had made before; grants are in the order of issue."""
    order = np.argsort(parent, kind="stable")
    ordered = parent[order]
    start = np.searchsorted(ordered, ordered, side="left")
    elder = np.empty(len(parent), np.int64)
    elder[order] = np.arange(len(parent)) - start
    return np.where(parent >= 0, elder, 0)


def _groups(reason: pd.Series[str]) -> Ints:
    """The group of each refusal's reason."""
    groups = np.array([group_of(name) for name in reason.cat.categories] + [group_of("")], np.int64)
    return groups[reason.cat.codes.to_numpy()]


def _sums(holder: Ints, values: Ints, size: int) -> Ints:
    """Exact sums: a float's 53 bits are not enough for what bincount would weigh."""
    result = np.zeros(size, np.int64)
    if len(holder):
        order = np.argsort(holder, kind="stable")
        starts = np.flatnonzero(np.r_[True, np.diff(holder[order]) != 0])
        result[holder[order][starts]] = np.add.reduceat(values[order].astype(np.int64), starts)
    return result


def _times(holder: Ints, time: Ints, size: int) -> dict[str, Ints]:
    order = np.argsort(holder, kind="stable")
    holder, time = holder[order], time[order].astype(np.int64)
    first_at, last_at = np.zeros(size, np.int64), np.zeros(size, np.int64)
    starts = np.flatnonzero(np.r_[True, np.diff(holder) != 0]) if len(holder) else np.zeros(0, np.int64)
    first_at[holder[starts]] = time[starts]
    if len(holder):
        last_at[holder[starts]] = np.maximum.reduceat(time, starts)
    # The latest moment so far; within an entity time may go back where several writers are at work.
    latest = time.copy()
    back = np.flatnonzero((np.diff(time) < 0) & (np.diff(holder) == 0)) + 1
    for place in back:
        latest[place] = max(latest[place], latest[place - 1])
    if len(back):
        latest = pd.Series(time).groupby(holder).cummax().to_numpy()
    same = np.r_[False, np.diff(holder) == 0] if len(holder) else np.zeros(0, bool)
    pause = np.zeros(len(time), np.int64)
    pause[1:] = np.clip((time[1:] - latest[:-1]) // 1000, 0, LONGEST_PAUSE_MS)
    pause *= same
    return {
        "first_at": first_at,
        "last_at": last_at,
        "pauses": np.bincount(holder[same], minlength=size),
        "pause_ms": _sums(holder, pause, size),
        "pause_ms2": _sums(holder, pause * pause, size),
    }


def _idle(holder: Ints, refresh: Flags, use: Flags, size: int) -> Ints:
    """Refreshes with no use between them and the refresh, or the beginning, before."""
    told = np.flatnonzero(refresh | use)
    told = told[np.argsort(holder[told], kind="stable")]
    who, is_refresh = holder[told], refresh[told]
    first = np.r_[True, np.diff(who) != 0] if len(who) else np.zeros(0, bool)
    idle = is_refresh & (first | np.r_[True, is_refresh[:-1]]) if len(who) else is_refresh
    return np.bincount(who[idle], minlength=size)


def _parties(holder: Ints, names: pd.DataFrame, size: int) -> dict[str, Ints]:
    result: dict[str, Ints] = {}
    for column, distinct, changes, returns in (
        ("caller", "callers", "caller_changes", "caller_returns"),
        ("source_ip", "addresses", "address_changes", "address_returns"),
    ):
        code = names[column].cat.codes.to_numpy(np.int64)
        known = code >= 0
        who, code = holder[known], code[known]
        order = np.argsort(who, kind="stable")
        who, code = who[order], code[order]
        changed = (who[1:] == who[:-1]) & (code[1:] != code[:-1])
        result[changes] = np.bincount(who[1:][changed], minlength=size)
        first, met = _first_met(who, code)
        place = _rank(who[first])
        result[distinct] = np.minimum(np.bincount(who[first], minlength=size), MOST_PARTIES)
        # Back to one that was met before and is remembered.
        known = (first[met] < np.arange(len(who))) & (place[met] < MOST_PARTIES)
        result[returns] = np.bincount(who[1:][changed & known[1:]], minlength=size)
    return result


def _with_uses(
    numbers: dict[str, Ints],
    refused: Ints,
    uses: pd.DataFrame,
    holder: Ints,
    failed: pd.DataFrame,
    failed_holder: Ints,
    failed_at: Ints,
) -> States:
    """Add what is known of tools and resources."""
    size = len(refused)
    order = np.argsort(holder, kind="stable")
    order = order[holder[order] >= 0]
    holder, event = holder[order], uses["event"].to_numpy(np.int64)[order]
    tool, tool_names = uses["tool"].cat.codes.to_numpy(np.int64)[order], uses["tool"].cat.categories
    tool_code = np.array([*map(name_code, tool_names), OTHERS_CODE], np.int64)
    first, pair_of = _first_met(holder, tool)
    place = np.minimum(_rank(holder[first]), MOST_TOOLS)
    capped = np.where(place < MOST_TOOLS, tool[first], len(tool_names))[pair_of]
    place = place[pair_of]
    met, of_use = _first_met(holder, place)
    tools = Marks(holder[met], tool_code[capped[met]], np.bincount(of_use, minlength=len(met)))
    before = np.r_[-1, place[:-1]] if len(place) else place
    before = np.where(np.r_[True, np.diff(holder) != 0], -1, before) if len(place) else before
    code_before = np.where(before >= 0, np.r_[0, tool_code[capped][:-1]], 0) if len(place) else before
    pair, _ = _first_met(holder, (1 + before) * 64 + place)
    pair = pair[_rank(holder[pair]) < MOST_PAIRS]
    transitions = Marks(
        holder[pair], pair_code(code_before[pair], tool_code[capped[pair]]), np.ones(len(pair), np.int64)
    )
    resource_names = uses["resource"].cat.categories
    resource_code = np.array([*map(name_code, resource_names)] or [0], np.int64)
    where = resource_code[uses["resource"].cat.codes.to_numpy(np.int64)[order]] if len(order) else order
    seen, _ = _first_met(holder, where)
    seen = seen[_rank(holder[seen]) < MOST_RESOURCES]
    resources = Marks(holder[seen], where[seen], np.ones(len(seen), np.int64))
    numbers["longest_run"] = _longest_runs(holder, place, where, size)
    numbers["pairs"] = np.bincount(holder[pair], minlength=size)
    failures = _failures(failed, failed_holder, failed_at, holder[met], tools.code, event[met])
    names = {int(code): str(name) for code, name in zip(tool_code, [*tool_names, OTHERS], strict=True)}
    names |= dict(zip(resource_code.tolist(), map(str, resource_names), strict=False))
    return States(numbers, refused, tools, failures, resources, transitions, names)


def _longest_runs(holder: Ints, tool: Ints, where: Ints, size: int) -> Ints:
    """The most uses of the same tool on the same resources one after the other."""
    result = np.zeros(size, np.int64)
    if len(holder):
        new = np.r_[True, (np.diff(holder) != 0) | (np.diff(tool) != 0) | (np.diff(where) != 0)]
        starts = np.flatnonzero(new)
        np.maximum.at(result, holder[starts], np.diff(np.r_[starts, len(holder)]))
    return result


def _failures(
    failed: pd.DataFrame, holder: Ints, at: Ints, known_holder: Ints, known_code: Ints, known_at: Ints
) -> Marks:
    """Failed executions by tool; of a tool that was not among the entity's by then, as OTHERS."""
    names = failed["executed"].cat.categories
    code = np.array([*map(name_code, names), name_code("")], np.int64)[
        failed["executed"].cat.codes.to_numpy()
    ]
    met = pd.Series(known_at, pd.MultiIndex.from_arrays([known_holder, known_code]))
    first = met.reindex(pd.MultiIndex.from_arrays([holder, code]), fill_value=np.iinfo(np.int64).max)
    code = np.where(first.to_numpy() < at, code, OTHERS_CODE)
    order = np.lexsort((code, holder))
    holder, code = holder[order], code[order]
    met_first, of_failure = _first_met(holder, code)
    return Marks(holder[met_first], code[met_first], np.bincount(of_failure, minlength=len(met_first)))


def _first_met(holder: Ints, value: Ints) -> tuple[Ints, Ints]:
    """Where each distinct (holder, value) first stands, in that order, and for each element which of them it is.

    ``holder`` is sorted, so that the result is, too.
    """
    _, value = np.unique(value, return_inverse=True)
    width = int(value.max(initial=0)) + 1
    _, first, inverse = np.unique(holder * width + value, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def _rank(holder: Ints) -> Ints:
    """For each element of a sorted array, how many equal ones came before it."""
    return np.arange(len(holder)) - np.searchsorted(holder, holder, side="left")
