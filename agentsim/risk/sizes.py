"""Words about the lengths of what tools were given and what they gave back.

In recorded benchmarks, whose injected texts have fixed lengths, they say that an injection is there rather than that it
worked. So they are no channel of :mod:`agentsim.risk.items`, and whoever reads them says so.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from agentsim.risk.behaviour import Floats, Ints
from agentsim.risk.items import ItemEncoder, Items
from agentsim.risk.surprise import ContextualSurprise
from agentsim.run import Run

_CALLS = """
    SELECT grant_id, details ->> '$.tool' AS tool,
           TRY_CAST(details ->> '$.arg_chars' AS BIGINT) AS given, TRY_CAST(details ->> '$.result_chars' AS BIGINT) AS got
    FROM audit
    WHERE event_type = 'task_execution' AND grant_id IS NOT NULL
"""


def size_items(run: Run, grants: pd.DataFrame) -> Items:
    """Words such as ``given send_money 2^5``: the tool was called with 32 to 63 characters of arguments.

    Parameters
    ----------
    grants : of :class:`~agentsim.risk.behaviour.Behaviour`: index ``grant_id``, with ``role`` and ``task``.
    """
    calls = run.sql(_CALLS)
    place = grants.index.get_indexer(pd.Index(calls["grant_id"]))
    calls = calls.assign(place=place)[place >= 0]
    parts = [_words(calls, column) for column in ("given", "got")]
    pairs = pd.concat(parts, ignore_index=True).drop_duplicates()
    word, words = pd.factorize(pairs["word"], sort=True)
    return Items(
        grant=pairs["place"].to_numpy(np.int64),
        word=word.astype(np.int64),
        words=tuple(words),
        role=tuple(grants["role"]),
        task=tuple(grants["task"]),
    )


class SizeNovelty:
    """Surprise of lengths, given the task, else the role."""

    name = "novelty of the sizes"

    def fit(self, items: Items) -> SizeNovelty:
        """Learn which lengths each task knows."""
        self.encoder_ = ItemEncoder().fit(items)
        self.estimator_ = ContextualSurprise(contexts=ItemEncoder.contexts).fit(
            self.encoder_.transform(items)
        )
        return self

    def profile(self, items: Items) -> Floats:
        """The figures of :data:`agentsim.risk.surprise.PROFILE` per grant; the second is the score."""
        return self.estimator_.profile(self.encoder_.transform(items))


def _words(calls: pd.DataFrame, column: str) -> pd.DataFrame:
    known = calls[calls[column].notna()]
    power = _power(known[column].to_numpy(np.int64))
    text = column + " " + known["tool"].astype(str) + " 2^" + pd.Series(power, known.index).astype(str)
    return pd.DataFrame({"place": known["place"], "word": text})


def _power(length: Ints) -> Ints:
    return np.floor(np.log2(np.maximum(length, 1))).astype(np.int64)
