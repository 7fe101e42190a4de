"""Commands that measure speed beside a bare floor: bench http."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, app, print_json, progress

if TYPE_CHECKING:
    from agentsim.experiments.bench import HttpResult

bench = typer.Typer(
    help="Measure how fast the token server is, as a ratio to a bare floor in the same run.",
    rich_markup_mode="markdown",
)
app.add_typer(bench, name="bench")

_HEADER = ("Measured", "grants/s", "least", "most", "p50 ms", "p99 ms", "most ms", "of the floor")


@bench.command(epilog="Example: `agentsim bench http --agents 10000 --seconds 5`")
def http(
    agents: Annotated[int, typer.Option(min=100, metavar="N", help="Agents to register.")] = 100_000,
    connections: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="N", help="Requests under way at any time.")
    ] = 64,
    seconds: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="How long each is measured, after a warm-up.")
    ] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="How often each is measured.")] = 3,
    db: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The database to serve.", show_default="a temporary SQLite file"),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes that serve; more than one needs PostgreSQL.")
    ] = 1,
    as_json: Json = False,
) -> None:
    """Measure token grants over HTTP, stored and audited, beside a handler that only signs a token.

    Registers agents, serves them, and asks for tokens from this process: one a request, and a hundred a request.
    Floor and server are measured in turn. Exit status 1 if a grant that was answered is not stored.
    """
    from agentsim.experiments.bench import bench_http

    result = bench_http(
        agents=agents,
        connections=connections,
        seconds=seconds,
        rounds=rounds,
        workers=workers,
        database=db,
        progress=progress(),
    )
    complete = result.stored.complete
    if as_json:
        print_json(asdict(result) | {"complete": complete})
    else:
        _present(result)
    if not complete:
        raise typer.Exit(1)


def _present(result: HttpResult) -> None:
    from agentsim.cli.terminal import print_figures, print_table

    rows = []
    for name, figures in result.figures.items():
        rate, ratio = figures.grants_per_second, figures.ratio
        rates = (round(rate.median), round(rate.least), round(rate.most))
        rows.append((name, *rates, figures.p50_ms, figures.p99_ms, figures.most_ms, ratio.median))
    print_figures({"agents": result.agents, "connections": result.connections, "rounds": result.rounds})
    print_table(_HEADER, rows)
    stored = result.stored
    typer.echo(
        f"\nEvery answered grant is stored: {'yes' if stored.complete else 'NO'} ({stored.answered:,} answered, "
        f"{stored.tokens:,} tokens, {stored.audit_rows:,} audit rows, {stored.found:,} of {stored.sampled:,} sampled)"
    )
