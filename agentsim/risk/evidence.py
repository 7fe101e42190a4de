"""What a detector may look at: features and words of a set of grants, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Behaviour, Flags, Ints, read_behaviour
from agentsim.risk.features import grant_features
from agentsim.risk.items import Items, grant_items
from agentsim.run import Run

#: What the words of a grant tell of, unless a caller wants others.
CHANNELS = ("use", "resource", "refusal", "caller")
#: Words about the order of tools, kept apart: they say much the same as the uses, in more words.
ORDER = ("transition",)


@dataclass(frozen=True)
class Evidence:
    """Grants as a detector sees them.

    Attributes
    ----------
    features : :func:`~agentsim.risk.features.grant_features`, index ``grant_id``.
    items, order : words of the channels ``CHANNELS`` and ``ORDER``.
    tree : a code per grant: same tree, same code. For folds and intervals, never a feature.
    silent : grants for which no tool was ever verified; they have no use to be surprised at.
    """

    features: pd.DataFrame
    items: Items
    order: Items
    tree: Ints
    silent: Flags

    def __len__(self) -> int:
        return len(self.features)

    def take(self, mask: Flags) -> Evidence:
        """The grants where ``mask`` holds."""
        return Evidence(
            features=self.features[mask],
            items=self.items.take(mask),
            order=self.order.take(mask),
            tree=self.tree[mask],
            silent=self.silent[mask],
        )


def gather(source: Run | Behaviour, peers: Flags | None = None) -> Evidence:
    """The evidence of every grant of a Run; ``peers`` as in :func:`grant_features`."""
    behaviour = source if isinstance(source, Behaviour) else read_behaviour(source)
    used = np.zeros(len(behaviour), bool)
    used[behaviour.uses["grant"].to_numpy(np.int64)] = True
    return Evidence(
        features=grant_features(behaviour, peers),
        items=grant_items(behaviour, CHANNELS),
        order=grant_items(behaviour, ORDER),
        tree=behaviour.grants.groupby("tree", sort=False).ngroup().to_numpy(np.int64),
        silent=~used,
    )
