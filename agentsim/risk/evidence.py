"""What a detector may look at: features and words of a set of entities, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    states = fold(behaviour, kind)
    among = peers is None and kind == "grant"
    index, tenant, role, task, tree = _identity(behaviour, kind)
    table = features(
        states,
        kind,
        role.tolist(),
        task.tolist(),
        learn_peers(behaviour) if peers is None else peers,
        timing=behaviour.timing,
        among=among,
    )
    # Where the same words are made as events come, they are made of the same states.
    channels: Sequence[Sequence[str]] = (CHANNELS, ORDER) if kind == "grant" else ((), ())
    items, order = (state_items(states, role.tolist(), task.tolist(), each) for each in channels)
    return Evidence(
        kind=kind,
        tenant=tenant,
        features=table.set_index(index),
        role=role,
        task=task,
        items=items,
        order=order,
        tree=tree,
        silent=_silent(states),
    )


def _behaviour(source: Run | Behaviour) -> Behaviour:
    return source if isinstance(source, Behaviour) else read_behaviour(source)


def _silent(states: States) -> Flags:
    return np.asarray(np.bincount(states.tools.holder, minlength=len(states)) == 0)


def _identity(behaviour: Behaviour, kind: EntityKind) -> tuple[pd.Index, Ints, np.ndarray, np.ndarray, Ints]:
    """Ids, tenants, roles, tasks and trees of the entities of one kind."""
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
        return agents.index, agents["tenant"].to_numpy(np.int64), role, np.full(len(agents), "", object), tree
    role, task = grants["role"].to_numpy(object), grants["task"].to_numpy(object)
    tenant = grants["tenant"].to_numpy(np.int64)
    if kind == "grant":
        return grants.index, tenant, role, task, code
    first = np.unique(code, return_index=True)[1]
    roots = pd.Index(grants["tree"].to_numpy()[first], name="root_grant_id")
    return roots, tenant[first], role[first], task[first], np.arange(trees)
