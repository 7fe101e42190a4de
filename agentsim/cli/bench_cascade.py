"""``agentsim bench cascade``: what a revocation of a large tree takes, and what its neighbours notice of it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agentsim.cli.app import Json, print_json, progress
from agentsim.cli.bench import bench
from agentsim.cli.plain import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentsim.experiments.bench import Cascade

_Shape = Literal["star", "chains", "4-ary", "all"]
_HEADER = (
    "Tree",
    "answered ms",
    "refused ms",
    "still valid",
    "filled s",
    "us a grant",
    "CPU s",
    "filling %",
    "others %",
)
_BESIDE = ("Beside", "requests", "usual p50 ms", "usual p99 ms", "p50 ms", "p99 ms", "most ms", "times p99")
_ROWS = ("Database", "grants", "rows marked", "audit rows", "grants told", "chain links", "broken")


@bench.command(epilog="Example: `agentsim bench cascade --grants 100000 --shape star`")
def cascade(
    grants: Annotated[int, typer.Option(min=2, metavar="N", help="Grants of the tree.")] = 1_000_000,
    shape: Annotated[
        _Shape, typer.Option(help="A root with children, with chains of depth 16, or four children each.")
    ] = "all",
    db: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="A database that nobody serves; the trees stay there.",
            show_default="a temporary SQLite file",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="How long others are measured before the call.")
    ] = 10.0,
    as_json: Json = False,
) -> None:
    """Revoke the root of a large tree while other trees go on issuing.

    Measures when nothing below is valid any more, when each row below is marked and audited, and how much longer than
    usual requests of other trees wait meanwhile. Exit status 1 if a token below is still valid after the call, or a
    row is missing.
    """
    from agentsim.experiments.bench import bench_cascade
    from agentsim.experiments.bench.planting import SHAPES

    shapes = tuple(SHAPES) if shape == "all" else (shape,)
    found = bench_cascade(
        grants=grants, shapes=shapes, database=db, usual_seconds=seconds, progress=progress()
    )
    if as_json:
        told = {
            name: asdict(each) | {"ratio": each.ratio, "sound": each.sound, "quick": each.quick}
            for name, each in found.items()
        }
        print_json({"grants": grants, "shapes": told})
    else:
        _present(grants, found)
    if not all(each.sound for each in found.values()):
        raise typer.Exit(1)


def _present(grants: int, found: Mapping[str, Cascade]) -> None:
    from agentsim.cli.terminal import print_figures, print_table
    from agentsim.experiments.bench.cascade import MOST_FILL_S, MOST_RATIO, MOST_REFUSED_MS
    from agentsim.experiments.bench.neighbours import RATE

    print_figures({"grants": grants, "requests_beside_per_second": round(RATE)})
    print_table(_HEADER, ((name, *_took(each, grants)) for name, each in found.items()))
    print_table(
        _BESIDE,
        (
            (
                name,
                each.beside.requests,
                each.usual.p50_ms,
                each.usual.p99_ms,
                each.beside.p50_ms,
                each.beside.p99_ms,
                each.beside.most_ms,
                each.ratio,
            )
            for name, each in found.items()
        ),
    )
    print_table(
        _ROWS,
        (
            (name, left.grants, left.marked, left.told, left.told_once, left.links, left.broken)
            for name, left in ((name, each.aftermath) for name, each in found.items())
        ),
    )
    sound = all(each.sound for each in found.values())
    quick = all(each.quick for each in found.values())
    say(f"\nNothing below was valid after the call, and no row is missing: {_yes(sound)}")
    say(
        f"Refused within {MOST_REFUSED_MS:.0f} ms, filled in within {MOST_FILL_S:.0f} s, p99 beside it at most "
        f"{MOST_RATIO:.0f} times the usual: {_yes(quick)}"
    )


def _took(each: Cascade, grants: int) -> tuple[float, ...]:
    return (
        each.returned_ms,
        each.refused_ms,
        each.still_valid,
        each.fill_s,
        each.fill_s / grants * 1e6,
        each.cpu_s,
        100 * each.fill_share,
        100 * each.others_share,
    )


def _yes(holds: bool) -> str:
    return "yes" if holds else "NO"
