"""``agentsim bench cleanup``: what requests notice of a clean-up of many rows that are long over."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from agentsim.cli.app import Json, print_json, progress
from agentsim.cli.bench import bench
from agentsim.cli.plain import say

_HEADER = ("Asked", "requests", "p50 ms", "p99 ms", "most ms")


@bench.command(epilog="Example: `agentsim bench cleanup --rows 20000 --seconds 5`")
def cleanup(
    rows: Annotated[int, typer.Option(min=100, metavar="N", help="Rows that are long over.")] = 1_000_000,
    db: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An empty database that nobody serves.",
            show_default="a temporary SQLite file",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="How long requests are measured before it.")
    ] = 20.0,
    as_json: Json = False,
) -> None:
    """Remove many rows that are long over while tokens are asked for, 100 a second.

    Lineage trees with their states, and used assertions. Their p99 beside it may be twice the usual. Exit status 1 if a
    row that was over is left, or another one has gone.
    """
    from agentsim.cli.terminal import print_figures, print_table
    from agentsim.experiments.bench import bench_cleanup
    from agentsim.experiments.bench.cleanup import MOST_RATIO

    found = bench_cleanup(rows=rows, database=db, usual_seconds=seconds, progress=progress())
    if as_json:
        print_json(asdict(found) | {"ratio": found.ratio, "sound": found.sound})
    else:
        print_figures(
            {
                "rows_removed": found.rows - found.left,
                "seconds": found.seconds,
                "writer_percent": 100 * found.share,
            }
        )
        waits = (("as usual", found.usual), ("beside the clean-up", found.beside))
        print_table(
            _HEADER, ((name, each.requests, each.p50_ms, each.p99_ms, each.most_ms) for name, each in waits)
        )
        say(f"\nAll that was over has gone, and nothing else: {'yes' if found.sound else 'NO'}")
        within = "yes" if found.ratio <= MOST_RATIO else "NO"
        say(f"p99 beside it is {found.ratio:.2f} of the usual (at most {MOST_RATIO:.0f}): {within}")
    if not found.sound:
        raise typer.Exit(1)
