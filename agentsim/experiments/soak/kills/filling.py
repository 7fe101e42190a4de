"""A fill cut short: the server is killed after a mark's commit and before its rows are filled in, more than once."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import httpx
from sqlalchemy import func, select

from agentsim.experiments.bench.planting import Planted, plant
from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.experiments.soak.complaints import complain
from agentsim.experiments.soak.kills.kept import are_valid
from agentsim.experiments.soak.kills.mixed import POLICY
from agentsim.experiments.soak.kills.whole import find_halves
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally, note
from agentsim.server import Policy, Store
from agentsim.server.clock import SECOND, SystemClock
from agentsim.server.keyfile import KeyFile
from agentsim.server.schema import IssuedToken, RevocationMark
from agentsim.server.store import table

_TOKENS, _MARKS = table(IssuedToken), table(RevocationMark)
_AGENTS, _HOUR = 100, 3600 * SECOND
#: Seconds within which a mark, or the end of its fill, must have come; and between two looks.
_PATIENCE, _LOOK = 300, 0.002


class _Mark(NamedTuple):
    closure: str
    affected_tokens: int
    affected_grants: int


def fills(*, grants: int, kills: int, folder: Path, database: str | None, progress: bool) -> Tally:
    """Revoke a large tree by its root, and kill the server again and again while its rows are filled in.

    Parameters
    ----------
    grants : of the tree.
    kills : how often, the first time as soon as the mark is committed.
    folder, database : see :func:`agentsim.experiments.soak.kills.crashes.crashes`.
    """
    tally = Tally(part="kills", name=f"kill -9 amid the fill of {grants:,} grants")
    served = Served(folder, database, policy=POLICY)
    tree = _plant(served, grants, progress)
    # Opened before: to open a database may take as long as another's fill.
    with served, closing(Store(served.database)) as store:
        if not all(are_valid(served, tree.probes)):
            tally.lost += 1
            note(tally, "a token is not valid before anything was revoked")
        asking = Thread(target=_revoke, args=(served, tree.root))
        asking.start()
        for number in range(kills):
            _kill_amid(served, store, tree, tally, filled=grants * number // kills)
            asking.join()
            _see(served, tree, tally)
        _end(served, tree, tally, grants)
        complain(tally, served.stop())
    return tally


def _plant(served: Served, grants: int, progress: bool) -> Planted:
    prepare(served.database)
    agents = register_agents(served.database, min(_AGENTS, grants), progress)
    keyring = KeyFile.ensure(served.keys, SystemClock())
    policy = Policy(issuer=served.url, max_depth=64, max_fanout=grants, access_ttl_us=_HOUR)
    with closing(Store(served.database)) as store:
        return plant(store, policy, keyring, agents, shape="4-ary", grants=grants, progress=progress)


def _revoke(served: Served, root: str) -> None:
    # Whether it is answered before the kill does not matter: the mark is seen in the database.
    with suppress(httpx.TransportError):
        served.http.post(
            "/admin/revocations", headers=served.as_admin, json={"token": root, "reason": "soak"}
        )


def _kill_amid(served: Served, store: Store, tree: Planted, tally: Tally, *, filled: int) -> None:
    """Kill the server once so many rows are filled in; it is counted where the fill was cut short by that."""
    deadline = time.monotonic() + _PATIENCE
    while (mark := _mark(store, tree)) is None or (
        mark.closure == "pending" and mark.affected_tokens < filled
    ):
        if time.monotonic() > deadline:
            break
        time.sleep(_LOOK)
    complain(tally, served.kill())
    mark = _mark(store, tree)
    if mark is not None and mark.closure == "pending":
        tally.tried += 1
    else:
        note(tally, "a kill came when the fill had ended, and cut nothing short")


def _see(served: Served, tree: Planted, tally: Tally) -> None:
    """It comes back, and refuses all below the mark however much is filled in."""
    served.start()
    honoured = sum(are_valid(served, tree.probes))
    tally.operations += len(tree.probes)
    if honoured:
        tally.let_in += honoured
        note(tally, f"{honoured} of {len(tree.probes)} tokens below the mark are honoured after a kill")


def _end(served: Served, tree: Planted, tally: Tally, grants: int) -> None:
    """The fill ends, and has marked each grant once."""
    with closing(Store(served.database)) as store:
        deadline = time.monotonic() + _PATIENCE
        while (mark := _mark(store, tree)) is None or mark.closure == "pending":
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)
        with store.reading() as connection:
            query = select(func.count()).where(
                _TOKENS.c.root_grant_id == tree.root_grant_id, _TOKENS.c.is_revoked
            )
            filled = connection.execute(query).scalar_one()
        halves = find_halves(store)
    if mark is None or (mark.closure, mark.affected_grants, filled) != ("closed", grants, grants):
        halves.append(f"{filled:,} of {grants:,} grants are filled in; the mark: {mark}")
    tally.lost += len(halves)
    for sentence in halves:
        note(tally, sentence)


def _mark(store: Store, tree: Planted) -> _Mark | None:
    """The mark on the tree, once there is one."""
    query = select(*(_MARKS.c[name] for name in _Mark._fields)).where(_MARKS.c.key == tree.root_grant_id)
    with store.reading() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else _Mark(*row)
