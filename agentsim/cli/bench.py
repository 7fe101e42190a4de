"""Commands that measure: http beside a bare floor, isolation people beside agents, budgets their models."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from agentsim.cli.app import Json, app, print_json, progress
from agentsim.cli.plain import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentsim.experiments.bench import Figures, IsolationResult, Stored

bench = typer.Typer(
    help="Measure how fast the token server is, as a ratio to a bare floor, and how well it keeps people from agents.",
    rich_markup_mode="markdown",
)
app.add_typer(bench, name="bench")

_HEADER = ("Measured", "grants/s", "least", "most", "p50 ms", "p99 ms", "most ms", "of the floor")

_BUDGET_HEADER = (
    "Model",
    "granted",
    "refused",
    "roots overspent",
    "worst %",
    "in all %",
    "stranded %",
    "calls/s",
)


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
        _present({"agents": agents, "connections": connections, "rounds": rounds}, result.figures)
        say(f"\n{_verdict(result.stored)}")
    if not complete:
        raise typer.Exit(1)


@bench.command(epilog="Example: `agentsim bench budgets --db postgresql://agentsim@localhost/bench`")
def budgets(
    db: Annotated[
        str,
        typer.Option(metavar="URL", help="The database; PostgreSQL, so that several writers spend at once."),
    ],
    trees: Annotated[int, typer.Option(min=1, metavar="N", help="Random trees of siblings.")] = 10_000,
    writers: Annotated[int, typer.Option(min=1, max=64, metavar="N", help="Processes that spend.")] = 4,
    seed: Annotated[int, typer.Option(metavar="N", help="Of the trees and the calls.")] = 1,
    as_json: Json = False,
) -> None:
    """Spend the budgets of many trees at once, carved out and from shared pools, and count what was spent too much.

    The same trees and the same calls under both models. Exit status 1 if a carved-out budget was exceeded.
    """
    from agentsim.cli.terminal import print_figures, print_table
    from agentsim.experiments.bench import bench_budgets

    result = bench_budgets(database=db, trees=trees, writers=writers, seed=seed, progress=progress())
    if as_json:
        print_json(asdict(result))
    else:
        print_figures({"trees": result.trees, "grants": result.grants, "writers": result.writers})
        rows = [(name, *asdict(figures).values()) for name, figures in result.figures.items()]
        print_table(_BUDGET_HEADER, rows)
        say(f"\nCarve-out makes {result.ratio:.2f} of the calls a second that shared-pool makes.")
    if result.figures["carve-out"].overspent_roots:
        raise typer.Exit(1)


@bench.command(epilog="Example: `agentsim bench isolation --rounds 5`")
def isolation(
    people: Annotated[
        float, typer.Option(min=1, metavar="RATE", help="Requests of people, per second.")
    ] = 100.0,
    limit: Annotated[
        float | None,
        typer.Option(
            min=1,
            metavar="RATE",
            help="Limit of all agents together, per second.",
            show_default="a tenth of what the server can do",
        ),
    ] = None,
    connections: Annotated[
        int, typer.Option(min=2, max=10_000, metavar="N", help="Connections of all agents together.")
    ] = 256,
    seconds: Annotated[
        float, typer.Option(min=0.5, metavar="S", help="How long each is measured, after a warm-up.")
    ] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, metavar="N", help="How often each is measured.")] = 3,
    as_json: Json = False,
) -> None:
    """Measure what people notice of agents that ask ten times as often as they may.

    People ask for tokens at a steady rate: alone, beside agents at their limit, and beside agents at ten times that.
    Their p99 may at most double, and one request more in a hundred may fail; exit status 1 if it is worse.
    """
    from agentsim.experiments.bench import bench_isolation

    result = bench_isolation(
        people_rate=people,
        limit=limit,
        connections=connections,
        seconds=seconds,
        rounds=rounds,
        progress=progress(),
    )
    if as_json:
        print_json(asdict(result) | {"isolated": result.isolated})
    else:
        _present_isolation(result)
    if not result.isolated:
        raise typer.Exit(1)


def _present_isolation(result: IsolationResult) -> None:
    from agentsim.cli.terminal import print_figures, print_table

    print_figures(
        {
            "server_can_do_per_second": round(result.capacity),
            "agents_limit_per_second": round(result.limit),
            "people_per_second": result.people_rate,
            "rounds": result.rounds,
        }
    )
    rows = [
        (name, phase.p50_ms, phase.p99_ms, result.ratios[name], 100 * phase.success)
        for name, phase in result.phases.items()
    ]
    print_table(("People", "p50 ms", "p99 ms", "of p99 alone", "granted %"), rows)
    agents = [
        (
            name,
            *(phase.agents.get(outcome, 0) for outcome in ("200", "429", "503", "dropped", "not answered")),
        )
        for name, phase in result.phases.items()
        if phase.agents
    ]
    print_table(("Agents", "granted", "429", "503", "no connection free", "not answered"), agents)
    # What agents may do costs people something, too: this is what the rest adds.
    _, allowed, flood = result.phases.values()
    added = flood.p99_ms / allowed.p99_ms
    say(f"\nBeside agents at ten times their limit, p99 is {added:.2f} of that beside agents at their limit.")
    say(f"People are kept from agents: {'yes' if result.isolated else 'NO'}")


def whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """The numbers of an option that takes several.

    Raises
    ------
    BadParameter
        If one of them is no whole number above 0.
    """
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) for word in words):
        raise typer.BadParameter(
            f"write whole numbers above 0 with commas between them, got {text!r}", param_hint=f"'{option}'"
        )
    return tuple(sorted({int(word) for word in words}))


def _present(setting: Mapping[str, int], measured: Mapping[str, Figures]) -> None:
    from agentsim.cli.terminal import print_figures, print_table

    rows = []
    for name, figures in measured.items():
        rate, ratio = figures.grants_per_second, figures.ratio
        rates = (round(rate.median), round(rate.least), round(rate.most))
        rows.append((name, *rates, figures.p50_ms, figures.p99_ms, figures.most_ms, ratio.median))
    print_figures(setting)
    print_table(_HEADER, rows)


def _verdict(stored: Stored) -> str:
    return (
        f"Every answered grant is stored: {'yes' if stored.complete else 'NO'} ({stored.answered:,} answered, "
        f"{stored.tokens:,} tokens, {stored.audit_rows:,} audit rows, {stored.found:,} of {stored.sampled:,} sampled)"
    )
