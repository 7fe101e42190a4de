"""What scores the entities of a Run: detectors that have learned from another one."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd

from agentsim.risk import Behaviour, Combined, Novelty, gather, read_behaviour
from agentsim.risk.behaviour import Floats, Ints
from agentsim.run import Run


class Scorer(Protocol):
    """Gives scores; a saved model is one.

    Attributes
    ----------
    detector : its name.
    sha256 : of the saved model.
    """

    @property
    def detector(self) -> str: ...

    @property
    def sha256(self) -> str | None: ...

    def score(self, run: Run) -> pd.DataFrame:
        """A table of scores, columns :data:`agentsim.risk.thresholds.COLUMNS`."""
        ...


class Learned:
    """The combined detector, learned from a Run without attacks and not saved."""

    sha256 = None

    def __init__(self, reference: Run) -> None:
        self._combined = Combined(0, [Novelty(), Novelty(order=True)]).fit(gather(reference))
        self.detector = self._combined.name

    def score(self, run: Run) -> pd.DataFrame:
        """A table of scores of the grants."""
        behaviour = read_behaviour(run)
        return grant_scores(behaviour, self._combined.score(gather(behaviour)))


def grant_scores(behaviour: Behaviour, score: Floats) -> pd.DataFrame:
    """Scores of grants as a table of scores."""
    grants = behaviour.grants
    return pd.DataFrame(
        {
            "kind": "grant",
            "tenant": grants["tenant"].to_numpy(np.int64),
            "entity": grants.index.to_numpy(np.int64),
            "tree": grants.groupby("tree", sort=False).ngroup().to_numpy(np.int64),
            "role": grants["role"].to_numpy(object),
            "score": score,
            "raised_at": _last_events(behaviour),
        }
    )


def _last_events(behaviour: Behaviour) -> Ints:
    """When each grant had the score that it has at the end of the Run: at its last event."""
    last = behaviour.grants["issued_at"].to_numpy(np.int64).copy()
    np.maximum.at(
        last, behaviour.events["grant"].to_numpy(np.int64), behaviour.events["timestamp"].to_numpy(np.int64)
    )
    return last
