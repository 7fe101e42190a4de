"""``agentsim bench core``: the server's batch path beside its floor, by size of batch and by database."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, print_json, progress
from agentsim.cli.bench import bench, whole_numbers
from agentsim.cli.plain import say

if TYPE_CHECKING:
    from agentsim.experiments.bench import CoreResult

_HEADER = ("Database", "batch", "floor/s", "server/s", "times", "quartiles", "p50 ms", "p99 ms")


@bench.command(
    epilog="Example: `agentsim bench core --sizes 1,100,1000 --db postgresql://agentsim@localhost/bench`"
)
def core(
    sizes: Annotated[
        str, typer.Option(metavar="N,N,…", help="Operations in one batch, which is one transaction.")
    ] = "1,10,100,1000,10000",
    seconds: Annotated[
        float,
        typer.Option(min=0.01, metavar="S", help="How long each size is measured; three batches at least."),
    ] = 5.0,
    agents: Annotated[int, typer.Option(min=1, metavar="N", help="Agents to register.")] = 10_000,
    db: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A PostgreSQL to measure, too; in schemas of its own, which are dropped.",
            show_default="SQLite alone",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the server's core without HTTP, beside bare signatures and bare inserts of the same rows.

    Batches of grants, then of verifications of the same tokens, each signature checked for the first time. After each
    batch the floor does what cannot be left out: it signs, or checks, as many tokens and inserts the same token and audit
    rows into equal tables by the driver alone. SQLite files are written with synchronous FULL. Beside other work on the same
    cores both are slower; the ratio moves less.
    """
    from agentsim.experiments.bench import bench_core

    result = bench_core(
        sizes=whole_numbers(sizes, "--sizes"),
        seconds=seconds,
        agents=agents,
        database=db,
        progress=progress(),
    )
    if as_json:
        print_json(asdict(result) | {"judged": result.judged})
    else:
        _present(result)


def _present(result: CoreResult) -> None:
    from agentsim.cli.terminal import print_figures, print_table
    from agentsim.experiments.bench.core import AIM, JUDGED, MOST_TIMES

    print_figures({"agents": result.agents, "seconds_of_each_size": result.seconds})
    rows = [
        (
            f"{each.database}, {each.work}",
            each.batch_size,
            round(each.floor_per_second),
            round(each.server_per_second),
            each.times,
            "{:.2f}-{:.2f}".format(*each.times_quartiles),
            each.p50_ms,
            each.p99_ms,
        )
        for each in result.figures
    ]
    print_table(_HEADER, rows)
    if result.judged:
        say()
    for database, times in result.judged.items():
        within = "yes" if times <= MOST_TIMES else "NO"
        say(
            f"{database}: grants in batches of {JUDGED:,} take {times:.2f} times the floor "
            f"(at most {MOST_TIMES}; aim: {AIM:g}): {within}"
        )
