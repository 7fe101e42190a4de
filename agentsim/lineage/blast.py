"""Blast radius: what whoever gets hold of some grants could reach, for a million holders at once.

A holder reaches its grants and all that hangs below them. Below a grant nobody has more than the grant, so its
tools and resources are all that there is to reach with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from agentsim.lineage.forest import Forest, Indices, ranges
from agentsim.lineage.rules.evidence import Columns, Words
from agentsim.run import Run


@dataclass(frozen=True, eq=False)
class Reach:
    """Who reaches which grants; holders are numbered as they stand in ``holders``.

    Attributes
    ----------
    holders : the distinct holders, ascending.
    top : indices of grants that are held and do not hang below another grant of the same holder.
    top_of : the number of each such grant's holder, ascending.
    below : indices of all grants that a holder reaches, its own among them; each comes once for each holder.
    below_of : the number of the holder that reaches it, ascending.
    """

    holders: Indices
    top: Indices
    top_of: Indices
    below: Indices
    below_of: Indices

    @classmethod
    def of(cls, forest: Forest, holder: Indices) -> Reach:
        """Find what each holder reaches.

        Parameters
        ----------
        holder : for each grant who holds it, such as its agent's client_id, its tree (``forest.root``), or 0 for
            the grants of one set; -1 where nobody does.
        """
        held = np.flatnonzero(holder >= 0)
        held = held[np.lexsort((forest.position[held], holder[held]))]
        holders, number = np.unique(holder[held], return_inverse=True)
        # A subtree is one piece of the depth-first order, and each holder gets an order of its own, so what
        # begins before the furthest end so far hangs below a grant that has been seen.
        begin = number * len(forest) + forest.position[held]
        furthest = np.maximum.accumulate(begin + forest.size[held])
        topmost = begin >= np.concatenate(([0], furthest[:-1]))
        top, top_of = held[topmost], number[topmost]
        size = forest.size[top]
        below = forest.order[ranges(forest.position[top], size)]
        return cls(holders, top, top_of, below, np.repeat(top_of, size))

    def count(self) -> Indices:
        """Grants that each holder reaches."""
        return np.bincount(self.below_of, minlength=len(self.holders)).astype(np.int64)


def agents_of(run: Run) -> Indices:
    """The client_id of each grant of a Run, in the order of its forest."""
    return _first_issues(run, "client_id").ints("client_id")


def blast_radius(run: Run, forest: Forest | None = None, holder: Indices | None = None) -> pd.DataFrame:
    """What each holder of grants could reach.

    Parameters
    ----------
    run : any Run.
    forest : its forest, where the caller has it already.
    holder : as for :meth:`Reach.of`; by default each agent holds its grants, by ``client_id``.

    Returns
    -------
    DataFrame with one row for each holder, ascending, and the columns

    - ``holder``
    - ``held``: its grants, without those that hang below another one of its own
    - ``grants``: those, and all grants below them
    - ``agents``: distinct agents that have these grants
    - ``tools``, ``resources``: distinct members of what it holds, as they were granted
    """
    forest = Forest.from_run(run) if forest is None else forest
    issues = _first_issues(run, "client_id", "granted_tools", "granted_resources")
    agents = issues.ints("client_id")
    reach = Reach.of(forest, agents if holder is None else holder)
    number = len(reach.holders)
    _, agent = np.unique(agents, return_inverse=True)
    return pd.DataFrame(
        {
            "holder": reach.holders,
            "held": np.bincount(reach.top_of, minlength=number),
            "grants": reach.count(),
            "agents": _distinct(reach.below_of, agent[reach.below], number),
            "tools": _members(reach, issues.words("granted_tools")),
            "resources": _members(reach, issues.words("granted_resources")),
        }
    )


def _first_issues(run: Run, *columns: str) -> Columns:
    """The token that each grant began with."""
    tokens = run.read("tokens", ["token_id", "grant_id", *columns])
    return Columns(tokens.filter(pc.equal(tokens["token_id"], tokens["grant_id"])), "token_id")


def _distinct(of: Indices, what: Indices, number: int) -> Indices:
    """How many different codes each of so many holders has."""
    most = int(what.max(initial=0)) + 1
    # Sorted by hand: np.unique builds a hash table first, which takes ten times as long for millions of pairs.
    pairs = np.sort(of * most + what)
    new = np.append(True, pairs[1:] != pairs[:-1])[: len(pairs)]
    return np.bincount(pairs[new] // most, minlength=number).astype(np.int64)


def _members(reach: Reach, words: Words) -> Indices:
    """How many different members the texts of each holder's grants have; few texts are different."""
    members = [text.split() for text in words.texts]
    code = {member: code for code, member in enumerate({one for text in members for one in text})}
    flat = np.array([code[one] for text in members for one in text], dtype=np.int64)
    count = np.array([len(text) for text in members], dtype=np.int64)
    text = words.codes[reach.top]
    told = flat[ranges((np.cumsum(count) - count)[text], count[text])]
    return _distinct(np.repeat(reach.top_of, count[text]), told, len(reach.holders))
