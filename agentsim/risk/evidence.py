"""What a detector may look at: features and words of a set of entities, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Behaviour, Flags, Ints, read_behaviour
from agentsim.risk.features import features
from agentsim.risk.folding import fold, tree_codes
from agentsim.risk.items import Items
from agentsim.risk.peers import Peers
from agentsim.risk.states import EntityKind, States
from agentsim.risk.words import state_items
from agentsim.run import Run

#: What the words of a grant tell of, unless a caller wants others.
CHANNELS = ("use", "resource", "refusal", "caller")
#: Words about the order of tools, kept apart: they say much the same as the uses, in more words.
ORDER = ("transition",)


@dataclass(frozen=True)
class Evidence:
    """Entities of one kind as a detector sees them.

    Attributes
    ----------
    kind : grant, tree or agent.
    tenant : of each.
    features : one row per entity (:func:`agentsim.risk.features.features`); the index is the entity's id.
    role, task : of each, in words; a tree has those of its root, an agent has no task.
    items, order : words of the channels ``CHANNELS`` and ``ORDER``; only grants have any.
    tree : a code per entity: same tree, same code. For folds and intervals, never a feature. Of an agent, the tree of
        its first grant.
    silent : entities for which no tool was ever verified; they have no use to be surprised at.
    """

    kind: EntityKind
    tenant: Ints
    features: pd.DataFrame
    role: np.ndarray
    task: np.ndarray
    items: Items
    order: Items
    tree: Ints
    silent: Flags

    def __len__(self) -> int:
        return len(self.features)

    def take(self, mask: Flags) -> Evidence:
        """The entities where ``mask`` holds."""
        return Evidence(
            kind=self.kind,
            tenant=self.tenant[mask],
            features=self.features[mask],
            role=self.role[mask],
            task=self.task[mask],
            items=self.items.take(mask),
            order=self.order.take(mask),
            tree=self.tree[mask],
            silent=self.silent[mask],
        )


def learn_peers(source: Run | Behaviour) -> Peers:
    """What the grants of a reference did."""
    behaviour = _behaviour(source)
    return Peers.of(fold(behaviour), behaviour.grants["role"].tolist(), behaviour.grants["task"].tolist())


def gather(source: Run | Behaviour, kind: EntityKind = "grant", peers: Peers | None = None) -> Evidence:
    """The evidence of every entity of one kind of a Run.

    Parameters
    ----------
    source : a Run, or what was read from it before.
    peers : what others are compared with; the Run's own grants when None, each with the others.
    """
    behaviour = _behaviour(source)
    states, who = fold(behaviour, kind), _identity(behaviour, kind)
    # Where the same words are made as events come, they are made of the same states.
    channels: Sequence[Sequence[str]] = (CHANNELS, ORDER) if kind == "grant" else ((), ())
    items, order = (state_items(states, who.role.tolist(), who.task.tolist(), each) for each in channels)
    return Evidence(
        kind=kind,
        tenant=who.tenant,
        features=_table(behaviour, states, who, kind, peers),
        role=who.role,
        task=who.task,
        items=items,
        order=order,
        tree=who.tree,
        silent=_silent(states),
    )


def feature_table(source: Run | Behaviour, kind: EntityKind = "grant") -> pd.DataFrame:
    """The features of :func:`gather` alone, without the words: all that is needed to look at them."""
    behaviour = _behaviour(source)
    return _table(behaviour, fold(behaviour, kind), _identity(behaviour, kind), kind, None)


def _table(
    behaviour: Behaviour, states: States, who: _Identity, kind: EntityKind, peers: Peers | None
) -> pd.DataFrame:
    role, task = who.role.tolist(), who.task.tolist()
    among = peers is None and kind == "grant"
    if peers is None:
        peers = Peers.of(states, role, task) if kind == "grant" else learn_peers(behaviour)
    table = features(states, kind, role, task, peers, timing=behaviour.timing, among=among)
    return table.set_index(who.ids)


def _behaviour(source: Run | Behaviour) -> Behaviour:
    return source if isinstance(source, Behaviour) else read_behaviour(source)


def _silent(states: States) -> Flags:
    return np.asarray(np.bincount(states.tools.holder, minlength=len(states)) == 0)


class _Identity(NamedTuple):
    """Who the entities of one kind are."""

    ids: pd.Index
    tenant: Ints
    role: np.ndarray
    task: np.ndarray
    tree: Ints


def _identity(behaviour: Behaviour, kind: EntityKind) -> _Identity:
    grants = behaviour.grants
    code, trees = tree_codes(grants)
    if kind == "agent":
        agents = behaviour.agents
        client = grants["client"].to_numpy(np.int64)
        # Trees of agents that have no grant are their own.
        tree = trees + np.arange(len(agents))
        known = np.flatnonzero(client >= 0)
        holders, first = np.unique(client[known], return_index=True)
        tree[holders] = code[known[first]]
        role = agents["role"].fillna("").to_numpy(object)
        nothing = np.full(len(agents), "", object)
        return _Identity(agents.index, agents["tenant"].to_numpy(np.int64), role, nothing, tree)
    role, task = grants["role"].to_numpy(object), grants["task"].to_numpy(object)
    tenant = grants["tenant"].to_numpy(np.int64)
    if kind == "grant":
        return _Identity(grants.index, tenant, role, task, code)
    first = np.unique(code, return_index=True)[1]
    roots = pd.Index(grants["tree"].to_numpy()[first], name="root_grant_id")
    return _Identity(roots, tenant[first], role[first], task[first], np.arange(trees))
