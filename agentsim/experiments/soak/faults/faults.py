"""Faults: what a server is run on fails under it, and it must say so, keep nothing by halves, and work again afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tqdm.auto import tqdm

from agentsim.experiments.soak.faults.clocks import set_back
from agentsim.experiments.soak.faults.damage import damaged_run
from agentsim.experiments.soak.faults.outages import away, full_disk, locked, read_only
from agentsim.experiments.soak.tally import Tally


def faults(*, folder: Path, database: str | None, progress: bool) -> list[Tally]:
    """Let everything fail once that a server, or a Run, is kept on.

    Parameters
    ----------
    folder : an empty directory.
    database : URL of an empty PostgreSQL database; None: SQLite files in the folder.
    progress : whether to draw progress bars on standard error.
    """
    found = []
    trials = _trials(database)
    for name, trial in tqdm(trials.items(), unit="fault", disable=not progress, desc="faults", leave=False):
        place = folder / name
        place.mkdir()
        found.append(trial(place))
    return found


def _trials(database: str | None) -> dict[str, Callable[[Path], Tally]]:
    """By name of the folder that each has to itself."""
    clocks: dict[str, Callable[[Path], Tally]] = {
        "clock": partial(set_back, database=database),
        "run": damaged_run,
    }
    if database is not None:
        return {"away": partial(away, database=database), **clocks}
    return {"full": full_disk, "locked": locked, "read-only": read_only, **clocks}
