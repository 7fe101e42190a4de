"""From states to features: one function, whether the states were made of a whole Run or as events came.

What the features mean stands in :data:`agentsim.risk.catalogue.FEATURES`. They hold no id and no name: renaming every
id of a Run changes no feature.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Floats, tally
from agentsim.risk.catalogue import FEATURES
from agentsim.risk.peers import Peers
from agentsim.risk.reasons import GROUPS
from agentsim.risk.states import EntityKind, States


def features(
    states: States,
    kind: EntityKind,
    roles: Sequence[str],
    tasks: Sequence[str],
    peers: Peers,
    *,
    timing: bool = True,
    among: bool = False,
) -> pd.DataFrame:
    """Features of each entity: one row each, one column of floats for each feature of its kind.

    Parameters
    ----------
    states : of entities of one kind.
    roles, tasks : of each; an empty task is unknown.
    peers : what the grants of a reference did.
    timing : whether times mean anything; without, there is no family ``timing``.
    among : whether the entities are themselves the reference: then each is compared with the others.
    """
    columns = {
        **_counts(states),
        **_rates(states),
        **{f"refused_{group}": states.refused[:, place] for place, group in enumerate(GROUPS)},
        **_diversity(states),
        **_scope(states),
        **peers.compare(states, roles, tasks, among=among),
        **_timing(states),
    }
    names = [
        name
        for name, feature in FEATURES.items()
        if kind in feature.kinds and (timing or feature.family != "timing")
    ]
    return pd.DataFrame({name: np.asarray(columns[name], np.float64) for name in names})


#: Features that are numbers of the state, by the state's names.
_PLAIN = {
    "verifies": "verifications",
    "excess_asked": "excess",
    "source_ips": "addresses",
    "transitions": "pairs",
    **{
        name: name
        for name in (
            "decisions",
            "executions",
            "refreshes",
            "introspections",
            "children",
            "own_children",
            "grants",
            "cost",
            "callers",
            "foreign_lookups",
            "idle_refreshes",
            "longest_run",
            "caller_changes",
            "address_changes",
            "caller_returns",
            "address_returns",
            "granted_tools",
            "granted_resources",
            "depth",
            "elder_siblings",
            "namesakes",
            "withdrawn_uses",
            "ended_others",
        )
    },
}


def _counts(states: States) -> dict[str, Floats]:
    return {name: states.numbers[number].astype(np.float64) for name, number in _PLAIN.items()}


def _ratio(part: Floats, whole: Floats, otherwise: float = 0.0) -> Floats:
    result = np.full(len(part), otherwise)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _rates(states: States) -> dict[str, Floats]:
    numbers = {name: values.astype(np.float64) for name, values in states.numbers.items()}
    verifies = numbers["verifications"]
    return {
        "refused_share": _ratio(states.refused.sum(axis=1).astype(np.float64), numbers["decisions"]),
        "error_share": _ratio(numbers["errors"], numbers["executions"]),
        "executions_per_verify": _ratio(numbers["executions"], verifies),
        "refreshes_per_verify": _ratio(numbers["refreshes"], verifies),
        "introspections_per_verify": _ratio(numbers["introspections"], verifies),
    }


def _diversity(states: States) -> dict[str, Floats]:
    size = len(states)
    holder, count = states.tools.holder, states.tools.times.astype(np.float64)
    total = tally(holder, size, count)
    share = count / total[holder]
    most = np.zeros(size)
    np.maximum.at(most, holder, count)
    return {
        "tools": tally(holder, size),
        "resources": tally(states.resources.holder, size),
        "tool_entropy": 0.0 - tally(holder, size, share * np.log2(share)),
        "most_repeats": most,
    }


def _scope(states: States) -> dict[str, Floats]:
    size = len(states)
    tools = states.numbers["granted_tools"].astype(np.float64)
    above = states.numbers["parent_tools"].astype(np.float64)
    return {
        "used_tools_share": _ratio(tally(states.tools.holder, size), tools),
        "used_resources_share": _ratio(
            tally(states.resources.holder, size), states.numbers["granted_resources"].astype(np.float64)
        ),
        "tools_of_parent": _ratio(tools, above, otherwise=1.0),
    }


def _timing(states: States) -> dict[str, Floats]:
    numbers = states.numbers
    pauses, total = numbers["pauses"].astype(np.float64), numbers["pause_ms"] / 1000
    mean = _ratio(total, pauses)
    square = _ratio(numbers["pause_ms2"] / 1e6, pauses)
    spread = np.sqrt(np.maximum(square - mean * mean, 0.0))
    return {
        "active_s": (numbers["last_at"] - numbers["first_at"]) / 1e6,
        "pause_mean_s": mean,
        "burstiness": _ratio(spread - mean, spread + mean),
    }
