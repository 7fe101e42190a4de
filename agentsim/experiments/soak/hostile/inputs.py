"""Hostile input: forged tokens, hostile bodies and bytes that are no HTTP, at every door of a served server."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm.auto import tqdm

from agentsim.experiments.bench.population import prepare, register_agents
from agentsim.experiments.soak.asks import Door
from agentsim.experiments.soak.complaints import complain
from agentsim.experiments.soak.hostile import requests
from agentsim.experiments.soak.hostile.access_forgeries import ACCESS_ATTACKS
from agentsim.experiments.soak.hostile.forge import Forge
from agentsim.experiments.soak.hostile.site import Site
from agentsim.experiments.soak.served import Served
from agentsim.experiments.soak.tally import Tally
from agentsim.server.clock import SystemClock
from agentsim.server.keyfile import KeyFile

PART = "bad inputs"
_Tried = TypeVar("_Tried")


def inputs(*, folder: Path, database: str | None, step: int, progress: bool) -> list[Tally]:
    """Present hostile input to a served server, and look whether anything of it is let in or disturbs it.

    Parameters
    ----------
    folder : an empty directory, for the keys, and the database where none is named.
    database : URL of an empty PostgreSQL database; None: an SQLite file in the folder.
    step : one input of so many is tried; 1 tries all.
    progress : whether to draw progress bars on standard error.

    Raises
    ------
    BenchError
        If the server does not come up.
    """
    served = Served(folder, database)
    prepare(served.database)
    agent, other, somebody = register_agents(served.database, 3, progress=False)
    ring = KeyFile.ensure(served.keys, SystemClock())
    with served:
        site = Site(served, agent, other)

        def tried(name: str, what: Iterable[_Tried], how: Callable[[Tally, _Tried], object]) -> Tally:
            tally = Tally(part=PART, name=name)
            chosen = itertools.islice(what, 0, None, step)
            for each in tqdm(chosen, unit="input", desc=name, disable=not progress, leave=False):
                tally.tried += 1
                how(tally, each)
            site.must_work(tally)
            return tally

        forge = Forge(site.good(), ring.keys.signing)
        spoilt = requests.spoilt_values(site.callers, somebody.client_id)
        tallies = [
            tried("forged tokens, at each of three doors", _presented(forge), site.present),
            tried("bodies that cannot be read", requests.unreadable(site.callers), site.must_refuse),
            tried("credentials of nobody", requests.impostors(), site.must_refuse),
            tried("members, queries and paths with nasty values", spoilt, site.must_stand),
            tried("bytes that are no HTTP", requests.NO_HTTP, site.must_hang_up),
        ]
        said = Tally(part=PART, name="what the server itself complained of")
        complain(said, served.stop())
        return [*tallies, said]


def _presented(forge: Forge) -> Iterator[tuple[Door, str]]:
    for attack in ACCESS_ATTACKS:
        for token in attack(forge):
            if token != forge.good:
                yield from ((door, token) for door in Door)
