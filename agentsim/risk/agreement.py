"""Whether features that are made as events come are those that are made of the whole Run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agentsim.risk.behaviour import read_behaviour
from agentsim.risk.evidence import gather, learn_peers
from agentsim.risk.features import features
from agentsim.risk.live import Known, Live, Row
from agentsim.risk.states import KINDS, EntityKind, collect
from agentsim.run import Run
from agentsim.server.history import GrantState

_COLUMNS = [
    "tenant",
    "log_id",
    "event_type",
    "timestamp",
    "status",
    "reason",
    "source_ip",
    "client_id",
    "grant_id",
    "parent_grant_id",
    "root_grant_id",
    "details",
]


@dataclass(frozen=True)
class Agreement:
    """How one feature of one kind of entity agrees.

    Attributes
    ----------
    entities : how many there are.
    differing : how many have another value, by feature; features that agree are left out.
    """

    kind: EntityKind
    entities: int
    differing: dict[str, int]


def check_agreement(run: Run) -> list[Agreement]:
    """Take a Run's audit rows in one by one, and hold the features against those of the whole Run, to the last bit."""
    states: dict[EntityKind, dict[int, GrantState]] = {kind: {} for kind in KINDS}
    known: dict[EntityKind, dict[int, Known]] = {kind: {} for kind in KINDS}
    for live in lives(run):
        for kind in KINDS:
            states[kind] |= live.states[kind]
            known[kind] |= live.known[kind]
    behaviour = read_behaviour(run)
    peers = learn_peers(behaviour)
    result = []
    for kind in KINDS:
        whole = gather(behaviour, kind, peers).features
        ids = whole.index.tolist()
        # An agent that was registered elsewhere and did nothing has no state yet.
        came = features(
            collect([states[kind].get(entity) or GrantState() for entity in ids]),
            kind,
            [known[kind].get(entity, Known()).role for entity in ids],
            [known[kind].get(entity, Known()).task for entity in ids],
            peers,
            timing=behaviour.timing,
        )
        differing = (came.to_numpy() != whole.to_numpy()).sum(axis=0)
        told = {name: int(count) for name, count in zip(whole.columns, differing, strict=True) if count}
        result.append(Agreement(kind, len(ids), told))
    return result


def lives(run: Run) -> Iterator[Live]:
    """The states of each tenant, from its rows in the order of their ids."""
    rows = run.read("audit", _COLUMNS)
    tenants = rows["tenant"].to_numpy()
    order = np.lexsort((rows["log_id"].to_numpy(), tenants))
    for tenant in np.unique(tenants):
        live = Live()
        mine = order[tenants[order] == tenant]
        for start in range(0, len(mine), 50_000):
            live.take(map(Row.of, rows.take(mine[start : start + 50_000]).to_pylist()))
        yield live
