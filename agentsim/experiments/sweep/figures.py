"""What is counted of one cell: all figures of its Run, flat."""

from collections.abc import Iterator, Mapping
from typing import Any

from agentsim.lineage import summarise
from agentsim.run import Run


def figures_of(run: Run) -> dict[str, int | float]:
    """The figures of a Run: those of :func:`agentsim.lineage.summarise`, and what it took.

    Returns
    -------
    By name; parts of a figure have its name before a dot, for example ``events.token_issued``. ``wall_seconds`` is
    the run's wall time, and ``operations_per_second`` are decisions of the server in it.
    """
    figures = dict(_flat("", summarise(run).as_dict()))
    wall = run.manifest.wall_seconds
    return {**figures, "wall_seconds": wall, "operations_per_second": figures["operations"] / max(wall, 1e-9)}


def _flat(prefix: str, parts: Mapping[str, Any]) -> Iterator[tuple[str, int | float]]:
    for name, value in parts.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}.", value)
        elif isinstance(value, int | float):
            yield f"{prefix}{name}", value
