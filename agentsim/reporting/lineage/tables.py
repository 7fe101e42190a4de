"""What delegation did in a Run: tables of the ``lineage`` report."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pandas as pd

from agentsim.lineage import Forest, aftermath, attacked_grants, given_up, tree_metrics, unused_scope
from agentsim.lineage.bars import COMPLETED
from agentsim.run import Run


class Lineage:
    """The tables of the report, each worked out when it is first asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run

    @cached_property
    def forest(self) -> Forest:
        """The lineage of all grants."""
        return Forest.from_run(self.run)

    @cached_property
    def trees(self) -> pd.DataFrame:
        """One row per lineage tree, as :func:`~agentsim.lineage.tree_metrics` gives it."""
        return tree_metrics(self.run, self.forest)

    @cached_property
    def grants(self) -> pd.DataFrame:
        """Per grant, in the order of the forest: ``depth``, ``kept``, ``tools_kept``, ``held``, ``used``.

        ``kept`` and ``tools_kept`` are the shares of the parent token's scope and tools that the grant holds whole, NaN
        for a root; ``held`` and ``used`` are members of its scope.
        """
        kept = {name: 1 - shares for name, shares in given_up(self.run, self.forest).items()}
        scope = unused_scope(self.run, self.forest)
        return scope.assign(depth=self.forest.depth, kept=kept["scope"], tools_kept=kept["tool"])

    @cached_property
    def children(self) -> pd.DataFrame:
        """The rows of :attr:`grants` that were delegated."""
        return self.grants[self.grants["depth"] > 0]

    @cached_property
    def ends(self) -> pd.DataFrame:
        """One row per mark, as :func:`~agentsim.lineage.aftermath` gives it."""
        return aftermath(self.run, self.forest)

    @cached_property
    def revocations(self) -> pd.DataFrame:
        """The rows of :attr:`ends` that are no finished tasks."""
        return self.ends[self.ends["reason"] != COMPLETED]

    @cached_property
    def attacked(self) -> dict[int, str]:
        """What the labels call the attack on a grant, by grant_id. For pictures only."""
        return attacked_grants(self.run)

    @property
    def deepest(self) -> int:
        """Delegations on top of each other, at most."""
        return int(self.forest.depth.max(initial=0))

    @property
    def narrower(self) -> float:
        """The share of delegated grants that hold less than their parent; NaN without any."""
        return float((self.children["kept"] < 1).mean()) if len(self.children) else float("nan")

    @property
    def honoured(self) -> int:
        """Uses that the token server let through after a mark. It has to be 0."""
        return int(self.ends["honoured"].sum())

    @property
    def longest_exposure(self) -> float:
        """Microseconds from a revocation to the last call that a resource server honoured; 0 where none was."""
        last = self.revocations["last_exposed"].to_numpy(np.float64)
        return float(np.nanmax(last)) if np.isfinite(last).any() else 0.0
