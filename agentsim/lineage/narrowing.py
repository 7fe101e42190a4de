"""How much of what its parent held a grant was given, and how much of what it holds it ever used."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from agentsim.lineage.containment import covers, share_given_up
from agentsim.lineage.forest import Forest, Indices, find
from agentsim.run import Run

#: What each grant's verified uses needed: tools with resources, and the scopes that were asked for.
_USED = """
    WITH uses AS (
        SELECT grant_id, from_json(details::JSON, '{"tools": ["VARCHAR"], "resources": ["VARCHAR"], "scope": "JSON"}') AS d
        FROM audit WHERE event_type = 'token_verified' AND status = 'granted' AND grant_id IS NOT NULL
    ), pairs AS (
        SELECT DISTINCT grant_id, tool, unnest(resources) AS resource
        FROM (SELECT grant_id, unnest(d.tools) AS tool, d.resources AS resources FROM uses)
    ), scopes AS (
        SELECT DISTINCT grant_id, unnest(string_split(d.scope ->> '$', ' ')) AS scope
        FROM uses WHERE json_type(d.scope) = 'VARCHAR'
    )
    SELECT grant_id, string_agg(used, ' ' ORDER BY used) AS used FROM (
        SELECT grant_id, tool || ':' || resource AS used FROM pairs UNION SELECT grant_id, scope FROM scopes
    ) GROUP BY grant_id ORDER BY grant_id
"""


def given_up(run: Run, forest: Forest) -> dict[str, npt.NDArray[np.float64]]:
    """Per grant: the share of the bounding token's members that it does not hold whole, NaN for roots.

    Returns
    -------
    (grants,) arrays under ``scope`` and ``tool``, in the order of the forest.
    """
    tokens = run.read("tokens", ["token_id", "parent_token_id", "scope", "granted_tools"])
    tokens = tokens.sort_by("token_id").unify_dictionaries().combine_chunks()
    ids = tokens["token_id"].to_numpy()
    grants = find(ids, forest.grant_id)
    bounds = find(ids, tokens["parent_token_id"].fill_null(0).to_numpy()[grants])
    edges = np.flatnonzero(bounds >= 0)
    result = {}
    for name, column in (("scope", "scope"), ("tool", "granted_tools")):
        result[name] = np.full(len(forest), np.nan)
        if edges.size:
            result[name][edges] = _shares(tokens[column].chunk(0), bounds[edges], grants[edges])
    return result


def unused_scope(run: Run, forest: Forest) -> pd.DataFrame:
    """How much of its scope each grant ever used.

    Returns
    -------
    DataFrame with one row per grant, in the order of the forest, and the columns

    - ``held``: members of its scope
    - ``used``: members among them under which something was verified and let through; one that a refresh gave up
      later counts, too
    """
    tokens = run.read("tokens", ["token_id", "scope"]).sort_by("token_id")
    ids = tokens["token_id"].to_numpy()
    scopes = tokens["scope"].cast(pa.string()).fill_null("").take(find(ids, forest.grant_id)).to_pylist()
    uses = run.arrow(_USED)
    place = find(uses["grant_id"].to_numpy(), forest.grant_id)
    texts = [*uses["used"].to_pylist(), ""]
    used = [_used_of(scope, texts[at]) for scope, at in zip(scopes, place.tolist(), strict=True)]
    held = [len(scope.split()) for scope in scopes]
    return pd.DataFrame({"held": np.array(held, np.int64), "used": np.array(used, np.int64)})


@lru_cache(65_536)
def _used_of(scope: str, used: str) -> int:
    needed = used.split()
    return sum(any(covers(member, one) for one in needed) for member in scope.split())


def _shares(texts: pa.DictionaryArray, held: Indices, asked: Indices) -> npt.NDArray[np.float64]:
    """Each distinct pair of texts is compared once: there are few, whatever the number of edges."""
    codes, words = texts.indices.to_numpy().astype(np.int64), texts.dictionary.to_pylist()
    pairs, which = np.unique(codes[held] * len(words) + codes[asked], return_inverse=True)
    shares = [share_given_up(words[pair // len(words)], words[pair % len(words)]) for pair in pairs]
    return np.array(shares)[which]
