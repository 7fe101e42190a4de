"""Faults: what a server is run on fails under it, and it must say so, keep nothing by halves, and work again afterwards."""

from __future__ import annotations

from pathlib import Path

from agentsim.experiments.soak.tally import Tally


def faults(*, folder: Path, database: str | None, progress: bool) -> list[Tally]:
    """Let everything fail once that a server, or a Run, is kept on.

    Parameters
    ----------
    folder : an empty directory.
    database : URL of an empty PostgreSQL database; None: SQLite files in the folder.
    progress : whether to draw progress bars on standard error.
    """
    return []
