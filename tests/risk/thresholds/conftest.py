"""Made-up runs: a few entities with scores, and attacks that touched some of them."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
import pytest

from agentsim.risk import Attacks, Case

MINUTE = 60_000_000


def scores(values: Sequence[float], *, kind="grant", role="worker", first=0, tree=None) -> pd.DataFrame:
    """Entities of one kind and role, numbered from ``first``, each in a tree of its own."""
    ids = np.arange(first, first + len(values))
    columns = {"kind": kind, "tenant": 0, "entity": ids, "tree": ids if tree is None else tree, "role": role}
    return pd.DataFrame({**columns, "score": np.asarray(values, dtype=float)})


def attacks(touched: Mapping[str, Sequence[int]], *, kind: str = "grant") -> Attacks:
    """Attacks by name (``theft/1`` is the first theft), with the entities that each touched."""
    named = [(name.split("/")[0], name) for name in touched]
    operations = pd.DataFrame(named, columns=["attack", "instance"]).assign(at=0, honoured=True)
    rows = [(attack, name, 0, kind, entity) for attack, name in named for entity in touched[name]]
    nothing = pd.DataFrame(columns=["tenant", "kind", "entity"]).astype(
        {"tenant": np.int64, "kind": object, "entity": np.int64}
    )
    return Attacks(
        operations=operations,
        touched=pd.DataFrame(rows, columns=["attack", "instance", "tenant", "kind", "entity"]).astype(
            {"entity": np.int64, "kind": object}
        ),
        below=pd.DataFrame({"instance": pd.Series(dtype=object), "grant_id": [], "issued_at": []}),
        near=nothing,
        disputed=nothing,
    )


@pytest.fixture(scope="session")
def make_case() -> Callable[..., Case]:
    """Makes a case of scores and of what each attack touched."""

    def make(scored: Sequence[float] | pd.DataFrame, days: float = 1.0, **touched: Sequence[int]) -> Case:
        table = scored if isinstance(scored, pd.DataFrame) else scores(scored)
        return Case(table, attacks({name.replace("_", "/"): ids for name, ids in touched.items()}), days)

    return make


@pytest.fixture(scope="session")
def make_scores() -> Callable[..., pd.DataFrame]:
    return scores
