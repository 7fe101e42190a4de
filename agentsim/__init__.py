"""A workbench for OAuth at the scale of AI agents: token server, simulator, lineage, risk, reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentsim.run import Runs

__all__ = ["runs"]


def runs(directory: Path | str = "data/runs") -> Runs:
    """The Runs of a directory, the newest first; in a notebook they show as a table.

    Parameters
    ----------
    directory : where they are; a relative one is looked up here, then in the checkout.

    Raises
    ------
    RunError
        If there is no such directory.

    Examples
    --------
    >>> agentsim.runs()[0].sql("SELECT count(*) FROM audit")
    """
    # Whoever only asks where the package lies waits for no pandas.
    from agentsim.run import runs as listed

    return listed(directory)
