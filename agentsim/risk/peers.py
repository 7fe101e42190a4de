"""What a grant did that its peers do not do: the other grants of its role, or of its task."""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Behaviour, Flags, Floats, Ints, tally

#: Below this share of the peers, what a grant did is rare among them.
RARE = 0.01


def transitions(behaviour: Behaviour) -> tuple[Ints, Ints]:
    """Positions of grants, and codes of the pairs (tool before, tool), in order of time.

    The first use of a grant follows the code 0, so it is a pair, too.
    """
    grant, tool = behaviour.uses["grant"].to_numpy(np.int64), codes(behaviour.uses["tool"])
    order = np.argsort(grant, kind="stable")
    grant, tool = grant[order], tool[order]
    before = np.zeros(len(tool), np.int64)
    same = grant[1:] == grant[:-1]
    before[1:][same] = tool[:-1][same] + 1
    return grant, before * (tool.max(initial=0) + 1) + tool


def changes(behaviour: Behaviour, column: str) -> Ints:
    """The grant of each event whose ``caller`` or ``source_ip`` differs from the grant's event before."""
    grant, value = behaviour.events["grant"].to_numpy(np.int64), codes(behaviour.events[column])
    order = np.argsort(grant, kind="stable")
    order = order[value[order] >= 0]
    grant, value = grant[order], value[order]
    changed: Ints = grant[1:][(grant[1:] == grant[:-1]) & (value[1:] != value[:-1])]
    return changed


def codes(column: pd.Series) -> Ints:
    """Codes of a categorical column."""
    return column.cat.codes.to_numpy(np.int64)


def contexts(grants: pd.DataFrame) -> dict[str, Ints]:
    """A code per grant for its role and for its task; the same words under another role are another task."""
    return {
        "role": grants.groupby("role", sort=True).ngroup().to_numpy(np.int64),
        "task": grants.groupby(["role", "task"], sort=True).ngroup().to_numpy(np.int64),
    }


def peer_features(behaviour: Behaviour, peers: Flags | None = None) -> dict[str, Floats]:
    """Features of the family ``peer``.

    Parameters
    ----------
    behaviour : what the grants did.
    peers : which grants others are compared with; all when None. A grant is never its own peer.
    """
    chosen = np.ones(len(behaviour), bool) if peers is None else peers
    grant = behaviour.uses["grant"].to_numpy(np.int64)
    what = {
        "tools": (grant, codes(behaviour.uses["tool"])),
        "resources": (grant, codes(behaviour.uses["resource"])),
        "transitions": transitions(behaviour),
    }
    result: dict[str, Floats] = {}
    for whose, context in contexts(behaviour.grants).items():
        for name, (holder, item) in what.items():
            pairs, share = peer_share(holder, item, context, chosen)
            for how, unusual in (("new", share == 0), ("rare", share < RARE)):
                result[f"{name}_{how}_{whose}"] = tally(pairs[unusual], len(behaviour))
    return result


def peer_share(holder: Ints, item: Ints, context: Ints, peers: Flags) -> tuple[Ints, Floats]:
    """For each distinct (grant, item): the grant, and the share of its peers in its context that have the item.

    Where a context holds no peer, nothing can be new: the share is then 1.
    """
    width = int(item.max(initial=0)) + 1
    pair = np.unique(holder * width + item)
    holder, item = pair // width, pair % width
    key = context[holder] * width + item
    known, count = np.unique(key[peers[holder]], return_counts=True)
    place = np.minimum(np.searchsorted(known, key), max(len(known) - 1, 0))
    having = np.where(known[place] == key, count[place], 0) if len(known) else np.zeros(len(key), np.int64)
    size = np.bincount(context[peers], minlength=int(context.max(initial=0)) + 1)[context[holder]]
    others = size - peers[holder]
    share = np.ones(len(key))
    np.divide(having - peers[holder], others, out=share, where=others > 0)
    return holder, share
